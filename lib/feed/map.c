/* SPDX-License-Identifier: MIT */
/*
 * lib/feed/map.c - which of the gathered records a turn applies, and what they become.
 */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/feed/slow.h"

#include <stdio.h>

enum { NOTE_MS = 10000 /* for the broker to answer about a note; then the turn is repeated */ };

static const char undecodable[] = "cannot be decoded",
                  too_dear[] = "needs more memory or output than a turn may have";

/* Whether the log has `source` at all. Sources rise by a little, so the broker is asked for the end
 * after a jump only. CQ_POISON: it does not. CQ_AGAIN: the broker does not answer. */
static enum cq_status check_source(struct feed *feed, struct feed_part *part,
                                   const struct held *held, int64_t source)
{
    const char *topic = feed_topic_of(feed, held->of)->sources;
    int64_t first;
    enum cq_status st;

    if (!topic || source < part->sources || source <= parts_source(part) + FEED_SOURCE_JUMP)
        return CQ_OK;
    st = reader_watermarks(feed->reader, topic, held->rec.partition, &first, &part->sources);
    if (st != CQ_OK)
        return st;
    return source < part->sources ? CQ_OK : CQ_POISON;
}

/* The step, with a note about the record where it needs care. The note is gone before anybody waits
 * for the broker or the database. */
static enum cq_status step(struct feed *feed, struct held *held, const struct feed_part *part,
                           int64_t *ret_source, const char **ret_why)
{
    const char *killer;
    enum cq_status st = hold_enter(&feed->holds, &held->rec, NOTE_MS, &killer);

    feed->waits |= st == CQ_AGAIN;
    if (st == CQ_POISON) { /* also when the turn is done again */
        snprintf(held->refused, sizeof held->refused, "%s", killer);
        *ret_why = killer;
    }
    if (st != CQ_OK)
        return st;
    st = feed->conf.ops->step(feed->conf.arg, &held->rec, parts_source(part),
                              held->rec.offset < part->until, ret_source, ret_why);
    while (st != CQ_FATAL && hold_leave(&feed->holds, NOTE_MS) == CQ_AGAIN)
        log_debug("note_not_removed", LOG_S("topic", held->rec.topic));
    return st;
}

/* CQ_POISON: it has become a dead letter, though the step took it: the turn is mapped anew. */
static enum cq_status map_one(struct feed *feed, struct held *held, struct feed_part *part,
                              const char **ret_why)
{
    int64_t source = -1;
    const char *why = undecodable;
    enum cq_status st = CQ_POISON;

    if (held->refused[0])
        why = held->refused;
    else
        st = step(feed, held, part, &source, &why);
    *ret_why = why == undecodable ? too_dear : why;
    if (st == CQ_AGAIN || st == CQ_FATAL)
        return st;
    if (st == CQ_OK) {
        enum cq_status known = check_source(feed, part, held, source);

        if (known == CQ_POISON)
            snprintf(held->refused, sizeof held->refused, "its source is beyond the end of %s",
                     feed_topic_of(feed, held->of)->sources);
        feed->waits |= known == CQ_AGAIN;
        if (known != CQ_OK)
            return known;
    }
    held->why = st == CQ_POISON ? why : NULL;
    held->taken = true;
    feed->taken_n++;
    part->turn_next = held->rec.offset + 1;
    if (source > part->turn_source)
        part->turn_source = source;
    return CQ_OK;
}

/* A record finds no room although the turn is empty. CQ_OK: it is a dead letter when it is mapped
 * next. */
static enum cq_status note_try(struct feed *feed, struct held *held, const char *why)
{
    if (feed->waits || ++feed->tries < FEED_TRIES_MAX)
        return CQ_AGAIN;
    snprintf(held->refused, sizeof held->refused, "made no progress in %d tries: %s", feed->tries,
             why);
    feed->tries = 0;
    return CQ_OK;
}

static void begin_turn(struct feed *feed)
{
    int64_t now_ms = clock_mono_ms();
    const struct hold *of;

    for (size_t at = 0; (of = holds_next(&feed->holds, &at)) != NULL;) {
        struct feed_part *part = parts_of(&feed->parts, of);

        part->turn_next = part->turn_source = -1;
        part->blocked = slow_waits(part, now_ms);
    }
    feed->taken_n = 0;
    feed->waits = false;
    for (int i = 0; i < feed->held_n; i++)
        feed->held[i].taken = false;
    feed->conf.ops->begin(feed->conf.arg);
}

/* What needs care, or took too long, is applied alone. */
static bool comes_alone(const struct hold *of, const struct feed_part *part)
{
    return of->careful > 0 || part->slow_n > 0;
}

/* Whether the turn ends before a record of that partition. `alone`: the turn has one that comes alone. */
static bool ends_before(const struct feed *feed, const struct hold *of,
                        const struct feed_part *part, bool alone)
{
    return feed->taken_n && (feed->single || alone || comes_alone(of, part));
}

enum cq_status feed_map(struct feed *feed)
{
    bool alone = false;

    begin_turn(feed);
    for (int i = 0; i < feed->held_n; i++) {
        struct held *held = &feed->held[i];
        struct feed_part *part = parts_of(&feed->parts, held->of);
        const char *why;
        enum cq_status st;

        part->blocked |= feed->hold[i];
        if (part->blocked)
            continue;
        if (ends_before(feed, held->of, part, alone))
            break;
        alone = comes_alone(held->of, part);
        st = map_one(feed, held, part, &why);
        if (st == CQ_AGAIN && feed->taken_n)
            return CQ_OK; /* the turn is full */
        if (st == CQ_AGAIN)
            st = note_try(feed, held, why) == CQ_OK ? CQ_POISON : CQ_AGAIN;
        if (st == CQ_POISON) {
            begin_turn(feed);
            i = -1;
            continue;
        }
        if (st == CQ_FATAL)
            return feed_fatal(feed, "mapping", held->rec.topic);
        if (st != CQ_OK)
            return st;
    }
    feed->tries = feed->taken_n ? 0 : feed->tries;
    return CQ_OK;
}
