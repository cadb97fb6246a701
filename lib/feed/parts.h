/* SPDX-License-Identifier: MIT */
/*
 * lib/feed/parts.h - the partitions a feed owns and their rows in view.positions.
 */
#pragma once

#include "lib/base/partitions.h"
#include "lib/feed/feed.h"

enum { FEED_TOPICS_MAX = 4 };

struct feed_part {
    bool owned;
    bool paused;
    int64_t next;      /* what view.positions says; the compare-and-set expects it */
    int64_t source;    /* highest source offset applied, -1 for none */
    int64_t until;     /* below this offset nothing is told: a rebuild replays it */
    int64_t polled;    /* one past the last record that was taken from the consumer */
    int64_t sources;   /* end of the partition of feed_topic.sources when it was last asked for */
    int64_t committed; /* told to Kafka, for the display of lag */
    int64_t looked;    /* `polled` when it was last asked what the view lacks */
    int held;          /* records gathered and not applied */
    /* of the turn that is running */
    int64_t turn_next;   /* -1: not touched */
    int64_t turn_source; /* -1: none seen */
    bool blocked;        /* a record of it is held, so all that follow are */
};

struct feed_touched; /* the touched partitions as columns */

struct feed_parts {
    const struct feed_conf *conf;
    struct feed_part *v;          /* owned; topics_n * PARTITIONS_MAX */
    int32_t width;                /* one past the highest partition ever owned */
    struct feed_touched *touched; /* owned */
    struct pg_params params;
};

CQ_MUST_CHECK enum cq_status parts_init(struct feed_parts *ps, const struct feed_conf *conf);
void parts_release(struct feed_parts *ps);

/** NULL for a topic or partition that is none of ours. */
struct feed_part *parts_get(struct feed_parts *ps, const char *topic, int32_t partition);

static inline struct feed_part *parts_at(struct feed_parts *ps, size_t topic, int32_t partition)
{
    return &ps->v[topic * PARTITIONS_MAX + (size_t)partition];
}

/** Walk all partitions that may be owned: start with *at = 0; NULL at the end. */
struct feed_part *parts_next(struct feed_parts *ps, size_t *at, size_t *ret_topic,
                             int32_t *ret_partition);

/** Read the position of one partition into `p`; a missing row is made with `first`. */
CQ_MUST_CHECK enum cq_status parts_load(struct feed_parts *ps, struct pg *c, const char *topic,
                                        int32_t partition, int64_t first, struct feed_part *p);

/** Called for an owned partition whose row says something else than p->next. */
typedef enum cq_status parts_moved_fn(void *arg, size_t topic, int32_t partition,
                                      struct feed_part *p, int64_t next, int64_t source);

/** Read all positions anew, after an outcome that is not known. CQ_FATAL: a row went back or is
 * gone. */
CQ_MUST_CHECK enum cq_status parts_reload(struct feed_parts *ps, struct pg *c, parts_moved_fn *fn,
                                          void *arg);

/** The compare-and-set of every partition with turn_next >= 0, and the notification. CQ_OK with
 * `*ret_moved` false: some row is not where it was believed to be. */
CQ_MUST_CHECK enum cq_status parts_move(struct feed_parts *ps, struct pg *c, bool *ret_moved);
