/* SPDX-License-Identifier: MIT */
/*
 * lib/feed/parts.h - the partitions a feed owns and their rows in view.positions.
 */
#pragma once

#include "lib/base/partitions.h"
#include "lib/bus/hold.h"
#include "lib/feed/feed.h"

/* What a feed knows of a partition beside how it is held (lib/bus/hold.h). hold->next is what
 * view.positions says: the compare-and-set expects it. */
struct feed_part {
    int64_t source;  /* highest source offset applied, -1 for none */
    int64_t until;   /* below this offset nothing is told: a rebuild replays it */
    int64_t sources; /* end of the partition of feed_topic.sources when it was last asked for */
    int64_t looked;  /* hold->taken when it was last asked what the view lacks */
    int held;        /* records gathered and not applied */
    int slow_n; /* times in a row that its next record took too long alone (slow.h); 0: it did not */
    int64_t slow_until_ms; /* … and until when it waits then */
    /* of the turn that is running */
    int64_t turn_next;   /* -1: not touched */
    int64_t turn_source; /* -1: none seen */
    bool blocked;        /* a record of it is held, so all that follow are */
};

struct feed_touched; /* a partition that the turn touched, as a row */

struct feed_parts {
    const struct feed_conf *conf;
    struct holds *holds;          /* borrowed */
    struct feed_part *v;          /* owned; the same places as in holds->v */
    struct feed_touched *touched; /* owned; room for as many as in `v` */
    struct pg_params params;
};

/** `holds` need not be open yet. */
CQ_MUST_CHECK enum cq_status parts_init(struct feed_parts *ps, const struct feed_conf *conf,
                                        struct holds *holds);
void parts_release(struct feed_parts *ps);

static inline struct feed_part *parts_of(struct feed_parts *ps, const struct hold *hold)
{
    return &ps->v[hold - ps->holds->v];
}

/** The highest source offset of what was applied and of the turn that is running, -1 for none. */
static inline int64_t parts_source(const struct feed_part *part)
{
    return part->turn_source > part->source ? part->turn_source : part->source;
}

/** Read the position of one partition; a missing row is made with `first`. */
CQ_MUST_CHECK enum cq_status parts_load(struct feed_parts *ps, struct pg *db, struct hold *hold,
                                        int64_t first);

/** Called for an owned partition whose row says something else than h->next. */
typedef enum cq_status parts_moved_fn(void *arg, struct hold *h, int64_t next, int64_t source);

/** Read all positions anew, after an outcome that is not known. CQ_FATAL: a row went back or is
 * gone. */
CQ_MUST_CHECK enum cq_status parts_reload(struct feed_parts *ps, struct pg *db, parts_moved_fn *fn,
                                          void *arg);

/** The compare-and-set of every partition with turn_next >= 0, and the notification. CQ_OK with
 * `*ret_moved` false: some row is not where it was believed to be. */
CQ_MUST_CHECK enum cq_status parts_move(struct feed_parts *ps, struct pg *db, bool *ret_moved);
