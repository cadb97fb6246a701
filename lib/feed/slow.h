/* SPDX-License-Identifier: MIT */
/*
 * lib/feed/slow.h - statements that take longer than PostgreSQL is given (SQLSTATE 57014). The same
 * again would take as long for ever, and everybody waits. So a turn that took too long is applied
 * record by record, and the partition of a record that takes too long alone waits, in its order,
 * while others go on: 5 s, then twice as long each time, 4 minutes at most. Only that one record is
 * held; what follows it is read again after it. It is never given up: what makes it slow may be
 * outside of it (a lock, statistics, a disk), and a record that is left out is missed.
 */
#pragma once

#include "lib/feed/state.h"

enum { SLOW_FIRST_MS = 5000, SLOW_MAX_MS = 240000 };

/** The turn that was taken took too long. */
void slow_note(struct feed *feed, int64_t now_ms);

/** What was taken is applied: its partitions wait no more. */
void slow_over(struct feed *feed);

/** How many of its partitions wait for a record that takes too long, or try it now. */
int64_t slow_partitions(struct feed *feed);

static inline bool slow_waits(const struct feed_part *part, int64_t now_ms)
{
    return part->slow_n && now_ms < part->slow_until_ms;
}
