/* SPDX-License-Identifier: MIT */
#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/pg/view_guard.h"
#include "sinks/mobile/lane_state.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ARENA_BYTES = 64 * 1024 * 1024,
    PARAMS_BYTES = 1024 * 1024,
    ANSWER_MS = 2000,   /* of the view */
    REQUEST_MS = 15000, /* of a provider, at most … */
    OUTSIDE_MS = 10000, /* … and of one that a client chose */
    COMMIT_EVERY_MS = 100,
    SHOW_EVERY_MS = 1000,
    WAIT_MS = 200,
    NOTE_MS = 1000,   /* for the broker to answer about a note; then it is tried in another turn */
    CAREFUL_N = 4096, /* each ends in a later commit: those behind have their turn after the next
                       * deaths */
    DRAIN_MS = 5000,
};

enum cq_status lane_decode(struct lane *lane, const struct bus_record *rec, struct mobile_push *ret,
                           const char **ret_why)
{
    *ret_why = "cannot be decoded";
    if (!rec->value.p)
        return CQ_POISON;
    return codec_decode(&mobile_push_codec, rec->value, lane->arena, ret, ret_why);
}

enum cq_status lane_decode_job(struct lane *lane, const struct job *job, struct mobile_push *ret)
{
    const char *why;
    enum cq_status st = lane_decode(lane, &job->held->rec, ret, &why);

    if (st == CQ_OK && job->target >= 0 && ret->users_n)
        ret->user_id = ret->users[job->target];
    return st;
}

bool lane_owns(const struct lane *lane, const struct job *job)
{
    const struct hold *hold = &lane->holds.v[job->held->rec.partition]; /* of the one topic */

    return hold->owned && hold->epoch == job->held->epoch;
}

void lane_leave(struct lane *lane)
{
    while (hold_leave(&lane->holds, NOTE_MS) == CQ_AGAIN)
        log_debug("note_not_removed", LOG_S("lane", lane->conf.name));
}

enum cq_status lane_enter(struct lane *lane, const struct bus_record *rec, const char **ret_why)
{
    struct hold *hold = holds_find(&lane->holds, rec->topic, rec->partition);
    enum cq_status st;

    /* the text of a note says where to begin in push.outcomes: for the offset that it stands by */
    hold_done(hold, lane_part_of(lane, hold)->undone.next);
    st = hold_enter(&lane->holds, rec, NOTE_MS, ret_why);
    if (st == CQ_AGAIN)
        lane_leave(lane); /* its turn comes in another way, if at all */
    return st;
}

enum cq_status lane_enter_again(struct lane *lane, const struct job *job)
{
    const char *why;
    enum cq_status st = lane_enter(lane, &job->held->rec, &why);

    /* It was judged when it was taken. (Acquittals of one record can be forgotten for those of
     * another.) */
    return st == CQ_POISON ? CQ_OK : st;
}

/* ---- life ----------------------------------------------------------------------------- */

static enum cq_status open_clients(struct lane *lane)
{
    const char *topic = topic_name(TOPIC_MOBILE_PUSH);
    char client[64];
    struct producer_conf conf = {
        .brokers = lane->conf.brokers,
        .client_id = client,
        .linger_ms = 2,
        .report = lane_reported,
        .arg = lane,
    };
    struct holds_conf hc = {
        .consumer = { .brokers = lane->conf.brokers,
                      .client_id = client,
                      .group = lane->conf.group,
                      .instance = lane->conf.instance,
                      .topics = &topic,
                      .topics_n = 1,
                      .nonblocking = true },
        .ops = &lane_hold_ops,
        .arg = lane,
        .commit_every_ms = COMMIT_EVERY_MS,
        .careful_n = CAREFUL_N,
        .in_pieces = true,
    };

    snprintf(client, sizeof client, "chasqui-mobile-%s", lane->conf.name);
    if (reader_new(lane->conf.brokers, &lane->reader) != CQ_OK ||
        producer_new(&conf, &lane->producer) != CQ_OK || holds_open(&lane->holds, &hc) != CQ_OK)
        return CQ_FATAL;
    if (!lane->conf.provider)
        return CQ_OK;
    return http_pool_new(
        &(struct http_pool_conf){ .max = lane->conf.in_flight + 1,
                                  .connections = lane->conf.connections,
                                  .timeout_ms = lane->conf.outside ? OUTSIDE_MS : REQUEST_MS,
                                  .outside = lane->conf.outside,
                                  .private_too = lane->conf.private_too,
                                  .total = lane->services.n * lane->conf.connections,
                                  .ca_file = lane->conf.ca_file,
                                  .done = lane_answered,
                                  .arg = lane },
        &lane->pool);
}

enum cq_status lane_new(const struct lane_conf *conf, struct lane **ret)
{
    struct lane *lane = calloc(1, sizeof *lane);

    if (!lane)
        return CQ_FATAL;
    lane->conf = *conf;
    lane->arena = arena_new(ARENA_BYTES);
    buf_init(&lane->encoded, TOPIC_RECORD_MAX);
    pg_params_init(&lane->params, PARAMS_BYTES);
    lane->db = pg_new(conf->database_url, "chasqui-mobile");
    view_guard(lane->db); /* a view that is being filled knows no device yet: treated as away */
    pg_limit(lane->db, ANSWER_MS);
    lane->batch = lane_batch_new();
    if (!lane->batch ||
        services_init(&lane->services, conf->many, conf->in_flight, conf->connections) != CQ_OK ||
        jobs_init(&lane->jobs) != CQ_OK || open_clients(lane) != CQ_OK) {
        lane_free(lane);
        return CQ_FATAL;
    }
    *ret = lane;
    return CQ_OK;
}

const char *lane_error(const struct lane *lane)
{
    if (*consumer_error(lane->holds.consumer))
        return consumer_error(lane->holds.consumer);
    if (*producer_error(lane->producer))
        return producer_error(lane->producer);
    return lane->failed ? "an outcome was not stored" : "a push could not be kept: no memory";
}

void lane_free(struct lane *lane)
{
    if (!lane)
        return;
    http_pool_free(lane->pool); /* first: requests in flight refer to jobs */
    services_release(&lane->services);
    jobs_release(&lane->jobs); /* records are released before their consumer */
    holds_close(&lane->holds);
    free(lane->batch);
    producer_free(lane->producer);
    reader_free(lane->reader);
    pg_free(lane->db);
    pg_params_release(&lane->params);
    for (int32_t p = 0; p < PARTITIONS_MAX; p++) {
        undone_release(&lane->parts[p].undone);
        idmap_release(&lane->parts[p].done);
    }
    arena_free(lane->arena);
    buf_release(&lane->encoded);
    free(lane);
}

/* ---- turns ---------------------------------------------------------------------------- */

static void commit_progress(struct lane *lane, bool now)
{
    struct hold *hold;

    for (size_t at = 0; (hold = holds_next(&lane->holds, &at)) != NULL;)
        hold_done(hold, lane_part_of(lane, hold)->undone.next);
    holds_commit(&lane->holds, now);
}

/* For whoever looks at the lane from another thread. */
static void show(struct lane *lane, int64_t now_ms)
{
    int64_t owned, lag;

    if (now_ms - lane->shown_ms < SHOW_EVERY_MS)
        return;
    lane->shown_ms = now_ms;
    consumer_look(lane->holds.consumer, &owned, &lag);
    lane->partitions = owned;
    lane->lag = lag;
}

/* How long to wait at most: until something is due that no descriptor signals. */
static int wait_ms(const struct lane *lane, int64_t now_ms)
{
    int64_t due_ms = jobs_next_due(&lane->jobs);

    if (lane->jobs.tell.n)
        return 1; /* the producer's queue was full */
    if (due_ms >= 0 && due_ms - now_ms < WAIT_MS)
        return due_ms > now_ms ? (int)(due_ms - now_ms) : 1;
    return WAIT_MS;
}

static enum cq_status wait_for_news(struct lane *lane, int64_t now_ms)
{
    int fds[] = { consumer_fd(lane->holds.consumer), producer_fd(lane->producer) };

    if (lane->pool)
        return http_pool_turn(lane->pool, fds, 2, wait_ms(lane, now_ms));
    /* Nobody to ask: only outcomes to write. */
    if (poll((struct pollfd[]){ { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 } }, 2,
             wait_ms(lane, now_ms)) < 0 &&
        errno != EINTR)
        return CQ_FATAL;
    return CQ_OK;
}

static enum cq_status lane_turn(struct lane *lane)
{
    int64_t now_ms = clock_mono_ms();
    enum cq_status st = lane_take(lane);

    lane->beat_ms = now_ms;
    if (st == CQ_OK && lane->pool && !lane->stopping)
        st = lane_send(lane, now_ms);
    if (st == CQ_OK)
        st = wait_for_news(lane, now_ms);
    lane_relieve(lane, now_ms);
    if (st == CQ_OK)
        st = lane_flush(lane);
    producer_serve(lane->producer, 0);
    commit_progress(lane, false);
    show(lane, now_ms);
    if (lane->failed || producer_is_fatal(lane->producer))
        st = CQ_FATAL;
    return st;
}

static enum cq_status join_turn(void *loop, int wait_ms)
{
    (void)wait_ms;               /* a turn waits by itself */
    count_beat(clock_mono_ms()); /* the role's loop, which does this, has not begun yet */
    return lane_turn(loop);
}

enum cq_status lane_join(struct lane *lane)
{
    return holds_join(&lane->holds, join_turn, lane, 0, lane->conf.stop);
}

struct lane_health lane_health(const struct lane *lane)
{
    return (struct lane_health){ lane->beat_ms, lane->partitions, lane->lag };
}

/* Drain: wait for the answers to requests in flight, so that they need not be sent again. */
static enum cq_status drain(struct lane *lane)
{
    int64_t until_ms = clock_mono_ms() + DRAIN_MS;
    enum cq_status st = CQ_OK;

    lane->stopping = true;
    while (st == CQ_OK && clock_mono_ms() < until_ms &&
           ((lane->pool && http_pool_in_flight(lane->pool)) || lane->jobs.tell.n ||
            producer_pending(lane->producer)))
        st = lane_turn(lane);
    commit_progress(lane, true);
    return st;
}

enum cq_status lane_run(struct lane *lane)
{
    enum cq_status st = CQ_OK;

    while (st == CQ_OK && !*lane->conf.stop)
        st = lane_turn(lane);
    return st == CQ_OK ? drain(lane) : st;
}
