/* SPDX-License-Identifier: MIT */
#include "lib/bus/hold.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/partitions.h"
#include "lib/bus/versions.h"

#include <stdio.h>
#include <stdlib.h>

enum { JOIN_MS = 10000, SHOW_EVERY_MS = 1000 };

/* ---- the table ------------------------------------------------------------------------ */

struct hold *holds_at(struct holds *hs, size_t topic, int32_t partition)
{
    CQ_ASSERT(topic < hs->topics_n && partition >= 0 && partition < PARTITIONS_MAX, topic,
              partition);
    return &hs->v[topic * PARTITIONS_MAX + (size_t)partition];
}

struct hold *holds_find(struct holds *hs, const char *topic, int32_t partition)
{
    if (partition < 0 || partition >= PARTITIONS_MAX)
        return NULL;
    for (size_t t = 0; t < hs->topics_n; t++)
        if (strcmp(hs->topic[t], topic) == 0)
            return holds_at(hs, t, partition);
    return NULL;
}

struct hold *holds_next(struct holds *hs, size_t *at)
{
    size_t width = (size_t)hs->width;

    while (*at < hs->topics_n * width) {
        struct hold *hold = holds_at(hs, *at / width, (int32_t)(*at % width));

        ++*at;
        if (hold->owned)
            return hold;
    }
    return NULL;
}

/* ---- assignment and revocation -------------------------------------------------------- */

/* As before anybody had it. */
static void reset(struct holds *hs, struct hold *hold)
{
    hs->asking -= hold->asks;
    count_add(COUNT_NEWER, -hold->newer);
    *hold = (struct hold){ .topic = hold->topic,
                           .partition = hold->partition,
                           .epoch = hold->epoch + 1,
                           .next = -1,
                           .committed = -1,
                           .suspect = SUSPECT_NONE };
}

static void leave_to_newer(struct hold *hold)
{
    hold->newer = true;
    count_add(COUNT_NEWER, 1);
}

static enum cq_status on_assigned(void *arg, const char *topic, int32_t partition,
                                  int64_t committed, const char *meta, int64_t *ret_from)
{
    struct holds *hs = arg;
    struct hold *hold = holds_find(hs, topic, partition);
    enum cq_status st = CQ_OK;

    if (!hold)
        return CQ_FATAL; /* more partitions than PARTITIONS_MAX */
    reset(hs, hold);
    hold->next = hold->committed = committed;
    meta = suspect_parse(meta, &hold->suspect);
    suspect_found(&hold->suspect);
    if (hs->conf.ops->assigned)
        st = hs->conf.ops->assigned(hs->conf.arg, hold, meta, ret_from);
    if (st == CQ_POISON)
        leave_to_newer(hold);
    else if (st != CQ_OK)
        return st;
    if (hold->next > committed) /* it came further than its commit */
        hold->suspect = SUSPECT_NONE;
    if (hold->suspect.starts >= SUSPECT_STARTS)
        hold->careful = hs->conf.careful_n;
    hold->taken = *ret_from >= 0 ? *ret_from : committed;
    hold->owned = true;
    if (hs->width <= partition)
        hs->width = partition + 1;
    return CQ_OK;
}

static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    struct holds *hs = arg;
    struct hold *hold = holds_find(hs, topic, partition);
    bool may_commit;

    if (!hold)
        return;
    may_commit = !hs->conf.ops->leaving || hs->conf.ops->leaving(hs->conf.arg, hold, lost);
    hold_guard_drop(hs, hold);
    if (!lost && may_commit && hold->owned && hold->next > hold->committed &&
        hold_commit_wait(hs, hold) != CQ_OK)
        log_debug("commit_at_revoke_failed", LOG_S("topic", topic), LOG_I("partition", partition));
    reset(hs, hold);
    if (hs->conf.ops->revoked)
        hs->conf.ops->revoked(hs->conf.arg, hold);
}

/* ---- life ----------------------------------------------------------------------------- */

enum cq_status holds_init(struct holds *hs, const struct holds_conf *conf)
{
    *hs = (struct holds){ .conf = *conf, .topics_n = conf->consumer.topics_n };
    if (hs->topics_n > HOLD_TOPICS_MAX)
        return CQ_FATAL;
    hs->v = calloc(hs->topics_n * PARTITIONS_MAX, sizeof *hs->v);
    if (!hs->v)
        return CQ_FATAL;
    for (size_t topic = 0; topic < hs->topics_n; topic++) {
        snprintf(hs->topic[topic], sizeof hs->topic[topic], "%s", conf->consumer.topics[topic]);
        for (int32_t p = 0; p < PARTITIONS_MAX; p++) {
            holds_at(hs, topic, p)->topic = hs->topic[topic];
            holds_at(hs, topic, p)->partition = p;
            reset(hs, holds_at(hs, topic, p));
        }
    }
    return CQ_OK;
}

enum cq_status holds_open(struct holds *hs, const struct holds_conf *conf)
{
    static const struct consumer_ops ops = { on_assigned, on_revoked };
    enum cq_status st = holds_init(hs, conf);

    if (st != CQ_OK)
        return st;
    hs->conf.consumer.ops = &ops;
    hs->conf.consumer.arg = hs;
    st = consumer_new(&hs->conf.consumer, &hs->consumer);
    /* the rest was borrowed for this call */
    hs->conf.consumer = (struct consumer_conf){ .brokers = conf->consumer.brokers };
    return st;
}

void holds_close(struct holds *hs)
{
    consumer_free(hs->consumer); /* gives up the partitions */
    hs->consumer = NULL;
    hold_guard_drop(hs, hs->guard.hold);
    free(hs->v);
    hs->v = NULL;
}

/* ---- records -------------------------------------------------------------------------- */

static bool is_stopped(const struct hold *hold)
{
    return hold->asks || hold->newer;
}

static void move_to(struct holds *hs, struct hold *hold, int64_t offset)
{
    hold->taken = offset;
    consumer_seek(hs->consumer, hold->topic, hold->partition, offset);
}

/* The record is fetched again when the partition goes on. */
static void stop_before(struct holds *hs, struct hold *hold, const struct bus_record *rec)
{
    move_to(hs, hold, rec->offset);
    if (!hold->paused)
        consumer_pause(hs->consumer, hold->topic, hold->partition, true);
}

/* Partitions that stopped until it is known what their next record is. */
static void go_on(struct holds *hs)
{
    struct hold *hold;

    for (size_t at = 0; hs->asking && (hold = holds_next(hs, &at)) != NULL;) {
        if (!hold->asks || !versions_ask(hold->topic, hold->partition, &hold->judged))
            continue;
        hold->asks = false;
        hs->asking--;
        if (!is_stopped(hold) && !hold->paused)
            consumer_pause(hs->consumer, hold->topic, hold->partition, false);
    }
}

/* Whether a record that would be taken is for this build. */
static bool is_for_us(struct holds *hs, struct hold *hold, const struct bus_record *rec)
{
    uint32_t id;

    if (!is_stopped(hold)) {
        if (!versions_is_unknown(rec, &hold->known, &id))
            return true;
        if (rec->offset >= hold->judged) {
            hold->asks = true;
            hs->asking++;
        } else if (versions_is_announced(id)) {
            leave_to_newer(hold);
            newer_tell(rec, id);
        } else {
            return true;
        }
    }
    stop_before(hs, hold, rec);
    return false;
}

bool hold_take(struct hold *hold, const struct bus_record *rec)
{
    if (!hold || !hold->owned || rec->offset < hold->taken)
        return false;
    hold->taken = rec->offset + 1;
    return true;
}

enum cq_status holds_poll(struct holds *hs, int wait_ms, struct bus_record *ret,
                          struct hold **ret_hold)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    enum cq_status st;

    go_on(hs);
    while ((st = consumer_poll(hs->consumer, wait_ms, ret)) == CQ_OK && ret->topic) {
        struct hold *hold = holds_find(hs, ret->topic, ret->partition);

        if (hold_take(hold, ret) && is_for_us(hs, hold, ret)) {
            *ret_hold = hold;
            return CQ_OK;
        }
        record_release(ret);
        wait_ms = clock_left_ms(until_ms);
    }
    return st;
}

void hold_seek(struct holds *hs, struct hold *hold, int64_t offset)
{
    move_to(hs, hold, offset);
    if (!hold->newer)
        return;
    hold->newer = false; /* another record is the next */
    count_add(COUNT_NEWER, -1);
    if (!is_stopped(hold) && !hold->paused)
        consumer_pause(hs->consumer, hold->topic, hold->partition, false);
}

void hold_pause(struct holds *hs, struct hold *hold, bool pause)
{
    if (!hold->owned || hold->paused == pause)
        return;
    if (!is_stopped(hold))
        consumer_pause(hs->consumer, hold->topic, hold->partition, pause);
    hold->paused = pause;
}

void hold_done(struct hold *hold, int64_t next)
{
    if (next <= hold->next)
        return;
    hold->next = next;
    suspect_passed(&hold->suspect, next);
    if (!hold->careful)
        hold->suspect = SUSPECT_NONE; /* there is progress */
}

void hold_stepped(struct hold *hold)
{
    if (hold->careful && !--hold->careful)
        hold->suspect = SUSPECT_NONE;
}

/* ---- commits -------------------------------------------------------------------------- */

const char *hold_meta(struct holds *hs, const struct hold *hold, char *buf)
{
    const size_t cap = BUS_META_MAX + 1;
    char front[SUSPECT_TEXT_MAX];
    size_t k = suspect_format(&hold->suspect, front);
    size_t n =
        hs->conf.ops->meta ? hs->conf.ops->meta(hs->conf.arg, hold, buf + k, cap - k - 1) : 0;

    memcpy(buf, front, k);
    buf[n < cap - k ? k + n : k] = '\0';
    return buf;
}

void hold_commit(struct holds *hs, struct hold *hold)
{
    char meta[BUS_META_MAX + 1];

    consumer_commit(hs->consumer, hold->topic, hold->partition, hold->next,
                    hold_meta(hs, hold, meta));
    hold->committed = hold->next;
}

void holds_commit(struct holds *hs, bool now)
{
    int64_t now_ms = clock_mono_ms();
    struct hold *hold;

    if (!now && now_ms - hs->committed_ms < hs->conf.commit_every_ms)
        return;
    hs->committed_ms = now_ms;
    for (size_t at = 0; (hold = holds_next(hs, &at)) != NULL;)
        if (hold->next > hold->committed)
            hold_commit(hs, hold);
}

enum cq_status hold_commit_wait(struct holds *hs, struct hold *hold)
{
    char meta[BUS_META_MAX + 1];
    enum cq_status st = consumer_commit_wait(hs->consumer, hold->topic, hold->partition, hold->next,
                                             hold_meta(hs, hold, meta));

    if (st == CQ_OK)
        hold->committed = hold->next;
    return st;
}

/* ---- turns ---------------------------------------------------------------------------- */

void holds_turn(struct holds *hs, int n)
{
    hs->turn_ms = clock_mono_ms();
    hs->pace_ms =
        pace_ms((size_t)n, hs->conf.turn_every_ms, hs->conf.turn_slower, hs->conf.turn_slowest_ms);
}

int holds_left_ms(const struct holds *hs)
{
    return clock_left_ms(hs->turn_ms + hs->pace_ms);
}

void holds_show(struct holds *hs, int undone)
{
    int64_t now_ms = clock_mono_ms();

    count_beat(now_ms);
    if (now_ms - hs->shown_ms < SHOW_EVERY_MS)
        return;
    hs->shown_ms = now_ms;
    consumer_show(hs->consumer, undone);
}

enum cq_status holds_join(struct holds *hs, holds_turn_fn *turn, void *loop, int wait_ms,
                          const volatile int *stop)
{
    int64_t until_ms = clock_mono_ms() + JOIN_MS;
    enum cq_status st = CQ_OK;

    while (st == CQ_OK && !*stop && !consumer_owned(hs->consumer) && clock_mono_ms() < until_ms)
        st = turn(loop, wait_ms);
    return st;
}
