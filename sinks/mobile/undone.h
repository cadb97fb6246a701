/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/undone.h - the records of one partition that are not done yet (pure). They end in
 * any order; the commit follows the oldest that has not.
 */
#pragma once

#include "lib/base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { UNDONE_MAX = 8192 }; /* records between the oldest that is not done and the newest */

struct undone_entry {
    int64_t offset;
    int32_t left;  /* pushes of it that are not done */
    int64_t first; /* lowest offset of its outcomes in push.outcomes; -1: none yet */
};

struct undone {
    struct undone_entry *v; /* owned; UNDONE_MAX, used as a ring */
    uint64_t head, tail;    /* [head, tail) are in it; both only rise */
    int64_t next;           /* to be committed: the first offset that is not done */
    int64_t said;           /* one past the highest offset in push.outcomes seen */
    int64_t kept; /* lowest outcome of records that were done before and may not be added yet; -1:
                   * there are none */
};

/** `next`: where reading begins; `said`: the end of push.outcomes; `kept`: the lowest offset there
 * of an outcome of a record at or above `next`, -1 for none. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status undone_init(struct undone *undone, int64_t next, int64_t said,
                                         int64_t kept);
void undone_release(struct undone *undone);

bool undone_full(const struct undone *undone);

/** A record with `left` pushes to be done, which may be none; `first`: the lowest outcome of those
 * that were done before (-1: none were). `*ret` names it. CQ_AGAIN: full. */
CQ_MUST_CHECK enum cq_status undone_add(struct undone *undone, int64_t offset, int32_t left,
                                        int64_t first, uint64_t *ret);

/** One push of record `name` is done, its outcome at `outcome` in push.outcomes (-1: it has
 * none). */
void undone_done(struct undone *undone, uint64_t name, int64_t outcome);

/** Every record that was done before has been added. */
void undone_caught_up(struct undone *undone);

/** Where a reader of push.outcomes has to begin to find every outcome of records at or above
 * `next`. */
int64_t undone_said(const struct undone *undone);

/** Records between the oldest and the newest, both counted. */
static inline uint64_t undone_span(const struct undone *undone)
{
    return undone->tail - undone->head;
}
