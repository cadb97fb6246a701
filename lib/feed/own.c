/* SPDX-License-Identifier: MIT */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/feed/state.h"

#include <stdio.h>

enum { ASSIGN_WAIT_MS = 120000 /* for the database, inside an assignment */ };

enum cq_status own_database(struct feed *f)
{
    bool fresh;
    enum cq_status st = pg_ready(f->pg, &fresh);

    if (st == CQ_OK && fresh) {
        f->unsure = true;
        if (f->conf.ops->connected)
            st = f->conf.ops->connected(f->conf.arg, f->pg);
    }
    f->stats.database_away = st == CQ_AGAIN;
    return st;
}

static enum cq_status load_position(struct feed *f, const char *topic, int32_t partition,
                                    int64_t first, struct feed_part *p)
{
    int64_t until_ms = clock_mono_ms() + ASSIGN_WAIT_MS;
    enum cq_status st;

    for (int i = 0;; i++) {
        st = own_database(f);
        if (st == CQ_OK)
            st = parts_load(&f->parts, f->pg, topic, partition, first, p);
        if (st != CQ_AGAIN || *f->conf.stop || clock_mono_ms() > until_ms)
            return st;
        clock_sleep_ms(backoff_ms(i, 20, 1000));
    }
}

static bool may_expire(const struct feed *f, const char *topic)
{
    for (size_t t = 0; t < f->conf.topics_n; t++)
        if (strcmp(f->conf.topics[t].name, topic) == 0)
            return f->conf.topics[t].may_expire;
    return false;
}

/* The view has applied this log up to a position. A log that ends before it lost its tail, or was
 * created anew: what is written there from now on would be skipped. Recorded for all writers,
 * too. */
static enum cq_status say_cut(struct feed *f, const char *topic, int32_t partition, int64_t end,
                              int64_t position)
{
    snprintf(f->why, sizeof f->why,
             "log_was_cut: %s partition %d ends at %lld, before position %lld of the view; it lost "
             "records",
             topic, partition, (long long)end, (long long)position);
    if (reader_raise_floor(f->reader, topic, partition, position) != CQ_OK)
        log_debug("cut_not_told", LOG_S("topic", topic)); /* the next start does */
    return CQ_FATAL;
}

static enum cq_status check_ends(struct feed *f, const char *topic, int32_t partition, int64_t end,
                                 const struct feed_part *p)
{
    const char *sources = NULL;
    int64_t first, next;
    enum cq_status st = CQ_OK, known;

    for (size_t t = 0; t < f->conf.topics_n; t++)
        if (strcmp(f->conf.topics[t].name, topic) == 0)
            sources = f->conf.topics[t].sources;
    if (p->next > end)
        st = say_cut(f, topic, partition, end, p->next);
    if (!sources || p->source < 0)
        return st;
    known = reader_watermarks(f->reader, sources, partition, &first, &next);
    if (known == CQ_FATAL)
        snprintf(f->why, sizeof f->why, "ends of partition %d of %s cannot be read", partition,
                 sources);
    if (known != CQ_OK)
        return known;
    return p->source < next ? st : say_cut(f, sources, partition, next, p->source + 1);
}

static enum cq_status on_assigned(void *arg, const char *topic, int32_t partition,
                                  int64_t committed, const char *meta, int64_t *ret_from)
{
    struct feed *f = arg;
    struct feed_part *p = parts_get(&f->parts, topic, partition);
    int64_t first = 0, end = 0;
    enum cq_status st;

    (void)meta;
    if (!p)
        return feed_fatal(f, "taking a partition over", "it is not in the table of this feed");
    st = reader_watermarks(f->reader, topic, partition, &first, &end);
    if (st == CQ_FATAL)
        snprintf(f->why, sizeof f->why, "ends of partition %d of %s cannot be read", partition,
                 topic);
    if (st != CQ_OK)
        return st;
    *p = (struct feed_part){ .turn_next = -1, .turn_source = -1, .committed = committed };
    st = load_position(f, topic, partition, first, p);
    if (st == CQ_OK)
        st = check_ends(f, topic, partition, end, p);
    if (st != CQ_OK)
        return st;
    /* Records that were not applied are gone: an operator has to act. */
    if (p->next < first && !may_expire(f, topic)) {
        snprintf(f->why, sizeof f->why,
                 "position %lld is outside partition %d of %s, which has %lld to %lld",
                 (long long)p->next, partition, topic, (long long)first, (long long)end);
        return CQ_FATAL;
    }
    p->owned = true;
    p->polled = p->next > first ? p->next : first;
    *ret_from = p->polled;
    if (f->conf.ops->owned)
        f->conf.ops->owned(f->conf.arg, topic, partition, p->polled, true);
    return CQ_OK;
}

/* Forget held records of one partition below `below`. */
static void drop_held(struct feed *f, const char *topic, int32_t partition, int64_t below)
{
    int kept = 0;

    for (int i = 0; i < f->held_n; i++) {
        struct held *h = &f->held[i];

        if (h->rec.partition == partition && h->rec.offset < below &&
            strcmp(h->rec.topic, topic) == 0) {
            feed_unhold(f, h);
            continue;
        }
        if (kept != i)
            f->held[kept] = *h;
        kept++;
    }
    f->held_n = kept;
}

static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    struct feed *f = arg;
    struct feed_part *p = parts_get(&f->parts, topic, partition);

    if (!p)
        return;
    drop_held(f, topic, partition, INT64_MAX);
    f->tries = 0;
    /* Only for the display of lag: the position that counts is in the database. */
    if (!lost && p->owned && p->next > p->committed &&
        consumer_commit_wait(f->consumer, topic, partition, p->next, NULL) != CQ_OK)
        log_debug("commit_at_revoke_failed", LOG_I("partition", partition));
    *p = (struct feed_part){ .turn_next = -1, .turn_source = -1 };
    if (f->conf.ops->owned)
        f->conf.ops->owned(f->conf.arg, topic, partition, -1, false);
}

enum cq_status own_moved(void *arg, size_t topic, int32_t partition, struct feed_part *p,
                         int64_t next, int64_t source)
{
    struct feed *f = arg;
    const char *name = f->conf.topics[topic].name;

    /* Where our own unanswered commit would have put it; the row lock lets nobody else get there
     * with the same turn. */
    f->confirmed |= f->asked_commit && next == p->turn_next;
    drop_held(f, name, partition, next);
    p->next = next;
    p->source = source;
    if (next <= p->polled)
        return CQ_OK;
    p->polled = next;
    consumer_seek(f->consumer, name, partition, next);
    return CQ_OK;
}

const struct consumer_ops own_ops = { on_assigned, on_revoked };
