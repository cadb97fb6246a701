/* SPDX-License-Identifier: MIT */
/*
 * lib/feed/map.c - which of the gathered records a turn applies, and what they become.
 */
#include "lib/feed/state.h"

#include <stdio.h>

static const char undecodable[] = "cannot be decoded",
                  too_dear[] = "needs more memory or output than a turn may have";

/* Where the sources of a topic's records stand; NULL: they have none that is known. */
static const char *sources_of(const struct feed *f, const char *topic)
{
    for (size_t t = 0; t < f->conf.topics_n; t++)
        if (strcmp(f->conf.topics[t].name, topic) == 0)
            return f->conf.topics[t].sources;
    return NULL;
}

/* Whether the log has `source` at all. Sources rise by a little, so the broker is asked for the end
 * after a jump only. CQ_POISON: it does not. CQ_AGAIN: the broker does not answer. */
static enum cq_status check_source(struct feed *f, struct feed_part *p, const struct held *h,
                                   int64_t source)
{
    const char *topic = sources_of(f, h->rec.topic);
    int64_t known = p->turn_source > p->source ? p->turn_source : p->source;
    int64_t first;
    enum cq_status st;

    if (!topic || source < p->sources || source <= known + FEED_SOURCE_JUMP)
        return CQ_OK;
    st = reader_watermarks(f->reader, topic, h->rec.partition, &first, &p->sources);
    if (st != CQ_OK)
        return st;
    return source < p->sources ? CQ_OK : CQ_POISON;
}

/* CQ_POISON: it has become a dead letter, though the step took it: the turn is mapped anew. */
static enum cq_status map_one(struct feed *f, struct held *h, struct feed_part *p,
                              const char **ret_why)
{
    int64_t applied = p->turn_source > p->source ? p->turn_source : p->source;
    int64_t source = -1;
    const char *why = undecodable;
    enum cq_status st = CQ_POISON;

    if (h->refused[0])
        why = h->refused;
    else
        st = f->conf.ops->step(f->conf.arg, &h->rec, applied, h->rec.offset < p->until, &source,
                               &why);
    *ret_why = why == undecodable ? too_dear : why;
    if (st == CQ_AGAIN || st == CQ_FATAL)
        return st;
    if (st == CQ_OK) {
        enum cq_status known = check_source(f, p, h, source);

        if (known == CQ_POISON)
            snprintf(h->refused, sizeof h->refused, "its source is beyond the end of %s",
                     sources_of(f, h->rec.topic));
        f->source_unknown |= known == CQ_AGAIN;
        if (known != CQ_OK)
            return known;
    }
    h->why = st == CQ_POISON ? why : NULL;
    h->taken = true;
    f->taken_n++;
    p->turn_next = h->rec.offset + 1;
    if (source > p->turn_source)
        p->turn_source = source;
    return CQ_OK;
}

/* A record finds no room although the turn is empty. CQ_OK: it is a dead letter when it is mapped
 * next. */
static enum cq_status note_try(struct feed *f, struct held *h, const char *why)
{
    if (f->source_unknown || ++f->tries < FEED_TRIES_MAX)
        return CQ_AGAIN;
    snprintf(h->refused, sizeof h->refused, "made no progress in %d tries: %s", f->tries, why);
    f->tries = 0;
    return CQ_OK;
}

static void begin_turn(struct feed *f)
{
    struct feed_part *p;
    size_t topic;
    int32_t partition;

    for (size_t at = 0; (p = parts_next(&f->parts, &at, &topic, &partition)) != NULL;) {
        p->turn_next = p->turn_source = -1;
        p->blocked = false;
    }
    f->taken_n = 0;
    f->source_unknown = false;
    for (int i = 0; i < f->held_n; i++)
        f->held[i].taken = false;
    f->conf.ops->begin(f->conf.arg);
}

enum cq_status feed_map(struct feed *f)
{
    begin_turn(f);
    for (int i = 0; i < f->held_n && !(f->single && f->taken_n); i++) {
        struct held *h = &f->held[i];
        struct feed_part *p = parts_get(&f->parts, h->rec.topic, h->rec.partition);
        const char *why;
        enum cq_status st;

        p->blocked |= f->hold[i];
        if (p->blocked)
            continue;
        st = map_one(f, h, p, &why);
        if (st == CQ_AGAIN && f->taken_n)
            return CQ_OK; /* the turn is full */
        if (st == CQ_AGAIN)
            st = note_try(f, h, why) == CQ_OK ? CQ_POISON : CQ_AGAIN;
        if (st == CQ_POISON) {
            begin_turn(f);
            i = -1;
            continue;
        }
        if (st == CQ_FATAL)
            return feed_fatal(f, "mapping", h->rec.topic);
        if (st != CQ_OK)
            return st;
    }
    f->tries = f->taken_n ? 0 : f->tries;
    return CQ_OK;
}
