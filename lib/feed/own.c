/* SPDX-License-Identifier: MIT */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/feed/state.h"

#include <stdio.h>

enum { ASSIGN_WAIT_MS = 120000 /* for the database, inside an assignment */ };

enum cq_status own_database(struct feed *feed)
{
    bool fresh;
    enum cq_status st = pg_ready(feed->pg, &fresh);

    if (st == CQ_OK && fresh) {
        feed->unsure = true;
        if (feed->conf.ops->connected)
            st = feed->conf.ops->connected(feed->conf.arg, feed->pg);
    }
    feed->stats.database_away = st == CQ_AGAIN;
    return st;
}

static enum cq_status load_position(struct feed *feed, struct hold *hold, int64_t first)
{
    int64_t until_ms = clock_mono_ms() + ASSIGN_WAIT_MS;
    enum cq_status st;

    for (int i = 0;; i++) {
        st = own_database(feed);
        if (st == CQ_OK)
            st = parts_load(&feed->parts, feed->pg, hold, first);
        if (st != CQ_AGAIN || *feed->conf.stop || clock_mono_ms() > until_ms)
            return st;
        clock_sleep_ms(backoff_ms(i, 20, 1000));
    }
}

/* The view has applied this log up to a position. A log that ends before it lost its tail, or was
 * created anew: what is written there from now on would be skipped. Recorded for all writers,
 * too. */
static enum cq_status say_cut(struct feed *feed, const char *topic, int32_t partition, int64_t end,
                              int64_t position)
{
    snprintf(feed->why, sizeof feed->why,
             "log_was_cut: %s partition %d ends at %lld, before position %lld of the view; it lost "
             "records",
             topic, partition, (long long)end, (long long)position);
    if (reader_raise_floor(feed->reader, topic, partition, position) != CQ_OK)
        log_debug("cut_not_told", LOG_S("topic", topic)); /* the next start does */
    return CQ_FATAL;
}

static enum cq_status check_ends(struct feed *feed, const struct hold *hold, int64_t end)
{
    const struct feed_part *part = parts_of(&feed->parts, hold);
    const char *sources = feed_topic_of(feed, hold)->sources;
    int64_t first, next;
    enum cq_status st = CQ_OK, known;

    if (hold->next > end)
        st = say_cut(feed, hold->topic, hold->partition, end, hold->next);
    if (!sources || part->source < 0)
        return st;
    known = reader_watermarks(feed->reader, sources, hold->partition, &first, &next);
    if (known == CQ_FATAL)
        snprintf(feed->why, sizeof feed->why, "ends of partition %d of %s cannot be read",
                 hold->partition, sources);
    if (known != CQ_OK)
        return known;
    return part->source < next ? st
                               : say_cut(feed, sources, hold->partition, next, part->source + 1);
}

static enum cq_status on_assigned(void *arg, struct hold *hold, const char *meta, int64_t *ret_from)
{
    struct feed *feed = arg;
    int64_t first = 0, end = 0;
    enum cq_status st;

    (void)meta;
    st = reader_watermarks(feed->reader, hold->topic, hold->partition, &first, &end);
    if (st == CQ_FATAL)
        snprintf(feed->why, sizeof feed->why, "ends of partition %d of %s cannot be read",
                 hold->partition, hold->topic);
    if (st != CQ_OK)
        return st;
    *parts_of(&feed->parts, hold) = (struct feed_part){ .turn_next = -1, .turn_source = -1 };
    st = load_position(feed, hold, first);
    if (st == CQ_OK)
        st = check_ends(feed, hold, end);
    if (st != CQ_OK)
        return st;
    /* Records that were not applied are gone: an operator has to act. */
    if (hold->next < first && !feed_topic_of(feed, hold)->may_expire) {
        snprintf(feed->why, sizeof feed->why,
                 "position %lld is outside partition %d of %s, which has %lld to %lld",
                 (long long)hold->next, hold->partition, hold->topic, (long long)first,
                 (long long)end);
        return CQ_FATAL;
    }
    *ret_from = hold->next > first ? hold->next : first;
    if (feed->conf.ops->owned)
        feed->conf.ops->owned(feed->conf.arg, hold->topic, hold->partition, *ret_from, true);
    return CQ_OK;
}

void own_drop(struct feed *feed, const struct hold *of, int64_t from, int64_t below)
{
    int kept = 0;

    for (int i = 0; i < feed->held_n; i++) {
        struct held *held = &feed->held[i];

        if (held->of == of && held->rec.offset >= from && held->rec.offset < below) {
            feed_unhold(feed, held);
            continue;
        }
        if (kept != i)
            feed->held[kept] = *held;
        kept++;
    }
    feed->held_n = kept;
}

static bool on_leaving(void *arg, struct hold *hold, bool lost)
{
    struct feed *feed = arg;

    (void)lost;
    own_drop(feed, hold, 0, INT64_MAX);
    feed->tries = 0;
    return true; /* only for the display of lag: the position that counts is in the database */
}

static void on_revoked(void *arg, struct hold *hold)
{
    struct feed *feed = arg;

    *parts_of(&feed->parts, hold) = (struct feed_part){ .turn_next = -1, .turn_source = -1 };
    if (feed->conf.ops->owned)
        feed->conf.ops->owned(feed->conf.arg, hold->topic, hold->partition, -1, false);
}

enum cq_status own_moved(void *arg, struct hold *hold, int64_t next, int64_t source)
{
    struct feed *feed = arg;
    struct feed_part *part = parts_of(&feed->parts, hold);

    /* Where our own unanswered commit would have put it; the row lock lets nobody else get there
     * with the same turn. */
    feed->confirmed |= feed->asked_commit && next == part->turn_next;
    own_drop(feed, hold, 0, next);
    part->slow_n = 0; /* the record that took too long is among them */
    hold_done(hold, next);
    part->source = source;
    if (next > hold->taken)
        hold_seek(&feed->holds, hold, next);
    return CQ_OK;
}

const struct hold_ops own_ops = { on_assigned, on_leaving, on_revoked, NULL };
