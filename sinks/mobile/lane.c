/* SPDX-License-Identifier: MIT */
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/pg/view_guard.h"
#include "sinks/mobile/lane_state.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ARENA_BYTES = 64 * 1024 * 1024,
    PARAMS_BYTES = 1024 * 1024,
    ANSWER_MS = 2000,   /* of the view */
    REQUEST_MS = 15000, /* of a provider, at most */
    COMMIT_EVERY_MS = 100,
    SHOW_EVERY_MS = 1000,
    WAIT_MS = 50,
    JOIN_MS = 10000,
    DRAIN_MS = 5000,
};

enum cq_status lane_decode(struct lane *l, const struct held *h, struct mobile_push *ret)
{
    if (!h->rec.value.p)
        return CQ_POISON;
    return codec_decode(&mobile_push_codec, h->rec.value, l->arena, ret, NULL);
}

enum cq_status lane_decode_job(struct lane *l, const struct job *j, struct mobile_push *ret)
{
    enum cq_status st = lane_decode(l, j->held, ret);

    if (st == CQ_OK && j->target >= 0 && ret->users_n)
        ret->user_id = ret->users[j->target];
    return st;
}

bool lane_owns(const struct lane *l, const struct job *j)
{
    const struct lane_part *part = &l->parts[j->held->rec.partition];

    return part->owned && part->epoch == j->held->epoch;
}

/* ---- life
 * -----------------------------------------------------------------------------------------------
 */

static enum cq_status open_clients(struct lane *l)
{
    const char *topic = topic_name(TOPIC_MOBILE_PUSH);
    char client[64];
    struct producer_conf pc = {
        .brokers = l->conf.brokers,
        .client_id = client,
        .linger_ms = 2,
        .report = lane_reported,
        .arg = l,
    };
    struct consumer_conf cc = {
        .brokers = l->conf.brokers,
        .client_id = client,
        .group = l->conf.group,
        .instance = l->conf.instance,
        .topics = &topic,
        .topics_n = 1,
        .ops = &lane_consumer_ops,
        .arg = l,
        .nonblocking = true,
    };

    snprintf(client, sizeof client, "chasqui-mobile-%s", l->conf.name);
    if (reader_new(l->conf.brokers, &l->reader) != CQ_OK ||
        producer_new(&pc, &l->producer) != CQ_OK || consumer_new(&cc, &l->consumer) != CQ_OK)
        return CQ_FATAL;
    if (!l->conf.provider)
        return CQ_OK;
    return http_pool_new(&(struct http_pool_conf){ .max = l->conf.in_flight + 1,
                                                   .connections = l->conf.connections,
                                                   .timeout_ms = REQUEST_MS,
                                                   .ca_file = l->conf.ca_file,
                                                   .done = lane_answered,
                                                   .arg = l },
                         &l->pool);
}

enum cq_status lane_new(const struct lane_conf *conf, struct lane **ret)
{
    struct lane *l = calloc(1, sizeof *l);

    if (!l)
        return CQ_FATAL;
    l->conf = *conf;
    flight_init(&l->flight, conf->in_flight, conf->connections);
    l->arena = arena_new(ARENA_BYTES);
    buf_init(&l->encoded, TOPIC_RECORD_MAX);
    pg_params_init(&l->params, PARAMS_BYTES);
    l->db = pg_new(conf->database_url, "chasqui-mobile");
    view_guard(l->db); /* a view that is being filled knows no device yet: treated as away */
    pg_limit(l->db, ANSWER_MS);
    l->batch = lane_batch_new();
    if (!l->batch || jobs_init(&l->jobs) != CQ_OK || open_clients(l) != CQ_OK) {
        lane_free(l);
        return CQ_FATAL;
    }
    *ret = l;
    return CQ_OK;
}

const char *lane_error(const struct lane *l)
{
    if (*consumer_error(l->consumer))
        return consumer_error(l->consumer);
    if (*producer_error(l->producer))
        return producer_error(l->producer);
    return l->failed ? "an outcome was not stored" : "a push could not be kept: no memory";
}

void lane_free(struct lane *l)
{
    if (!l)
        return;
    http_pool_free(l->pool); /* first: requests in flight refer to jobs */
    jobs_release(&l->jobs);  /* records are released before their consumer */
    consumer_free(l->consumer);
    free(l->batch);
    producer_free(l->producer);
    reader_free(l->reader);
    pg_free(l->db);
    pg_params_release(&l->params);
    for (int32_t p = 0; p < PARTITIONS_MAX; p++) {
        undone_release(&l->parts[p].undone);
        idmap_release(&l->parts[p].done);
    }
    arena_free(l->arena);
    buf_release(&l->encoded);
    free(l);
}

void lane_meta(const struct lane *l, const struct lane_part *part, char out[EVIDENCE_TEXT_MAX])
{
    evidence_format(&l->evidence, undone_said(&part->undone),
                    l->conf.provider ? l->conf.provider->fingerprint : 0, out);
}

/* ---- turns ---------------------------------------------------------------------------- */

static void commit_progress(struct lane *l, int64_t now_ms)
{
    int64_t owned, lag;
    char meta[EVIDENCE_TEXT_MAX];

    if (now_ms - l->committed_ms < COMMIT_EVERY_MS)
        return;
    l->committed_ms = now_ms;
    for (int32_t p = 0; p < l->conf.partitions_n; p++) {
        struct lane_part *part = &l->parts[p];

        if (!part->owned || part->undone.next <= part->committed)
            continue;
        lane_meta(l, part, meta);
        consumer_commit(l->consumer, topic_name(TOPIC_MOBILE_PUSH), p, part->undone.next, meta);
        part->committed = part->undone.next;
    }
    if (now_ms - l->shown_ms < SHOW_EVERY_MS)
        return;
    l->shown_ms = now_ms;
    consumer_look(l->consumer, &owned, &lag);
    l->partitions = owned;
    l->lag = lag;
}

/* How long to wait at most: until something is due that no descriptor signals. */
static int wait_ms(const struct lane *l, int64_t now_ms)
{
    int64_t due_ms = jobs_next_due(&l->jobs);

    if (l->jobs.tell.n)
        return 1; /* the producer's queue was full */
    if (due_ms >= 0 && due_ms - now_ms < WAIT_MS)
        return due_ms > now_ms ? (int)(due_ms - now_ms) : 1;
    return WAIT_MS;
}

static enum cq_status wait_for_news(struct lane *l, int64_t now_ms)
{
    int fds[] = { consumer_fd(l->consumer), producer_fd(l->producer) };

    if (l->pool)
        return http_pool_turn(l->pool, fds, 2, wait_ms(l, now_ms));
    clock_sleep_ms(5); /* nobody to ask: only outcomes to write */
    return CQ_OK;
}

static enum cq_status lane_turn(struct lane *l)
{
    int64_t now_ms = clock_mono_ms();
    enum cq_status st = lane_take(l);

    l->beat_ms = now_ms;
    if (st == CQ_OK && l->pool && !l->stopping)
        st = lane_send(l, now_ms);
    if (st == CQ_OK)
        st = wait_for_news(l, now_ms);
    lane_relieve(l, now_ms);
    if (st == CQ_OK)
        st = lane_flush(l);
    producer_serve(l->producer, 0);
    commit_progress(l, now_ms);
    if (l->failed || producer_is_fatal(l->producer))
        st = CQ_FATAL;
    return st;
}

enum cq_status lane_join(struct lane *l)
{
    int64_t until_ms = clock_mono_ms() + JOIN_MS;
    enum cq_status st = CQ_OK;

    while (st == CQ_OK && !*l->conf.stop && !consumer_owned(l->consumer) &&
           clock_mono_ms() < until_ms) {
        count_beat(clock_mono_ms()); /* the role's loop, which does this, has not begun yet */
        st = lane_turn(l);
    }
    return st;
}

struct lane_health lane_health(const struct lane *l)
{
    return (struct lane_health){ l->beat_ms, l->partitions, l->lag };
}

/* Drain: wait for the answers to requests in flight, so that they need not be sent again. */
static enum cq_status drain(struct lane *l)
{
    int64_t until_ms = clock_mono_ms() + DRAIN_MS;
    enum cq_status st = CQ_OK;

    l->stopping = true;
    while (st == CQ_OK && clock_mono_ms() < until_ms &&
           ((l->pool && http_pool_in_flight(l->pool)) || l->jobs.tell.n ||
            producer_pending(l->producer)))
        st = lane_turn(l);
    l->committed_ms = 0;
    commit_progress(l, clock_mono_ms());
    return st;
}

enum cq_status lane_run(struct lane *l)
{
    enum cq_status st = CQ_OK;

    while (st == CQ_OK && !*l->conf.stop)
        st = lane_turn(l);
    return st == CQ_OK ? drain(l) : st;
}
