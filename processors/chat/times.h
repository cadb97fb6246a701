/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/times.h - which records of a partition are younger than a window, in log time. Pure.
 *
 * Log time is the running maximum of the broker's times. For each minute of the last hour, and each hour of
 * the last sixty-four, the first offset at that time or later is kept. These are properties of the log
 * alone, so that a verdict is the same whenever and wherever its action is stepped again. A window is as
 * long as it says, and up to one minute, or hour, longer.
 */
#pragma once

#include "lib/base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TIMES_MINUTES = 60,
    TIMES_HOURS = 64,
    TIMES_MINUTE_MS = 60 * 1000,
    TIMES_HOUR_MS = 60 * TIMES_MINUTE_MS,
};

struct times {
    int64_t minute;                                     /* of log time; 0: no record yet */
    int64_t minutes[TIMES_MINUTES], hours[TIMES_HOURS]; /* first offset of each, modulo */
};

/** How long ago something may be. */
enum times_unit { TIMES_IN_MINUTES, TIMES_IN_HOURS };

/** The record at `offset` is stepped, perhaps again. Each record has to pass here in its order. */
void times_advance(struct times *times, int64_t offset, int64_t log_ms);

/** First offset of the partition at `at_ms` or later, or the next one when there is none. */
typedef enum cq_status times_first_fn(void *arg, int64_t at_ms, int64_t *ret);

/** What advancing over every record below `committed` leaves, of a fresh `times`. `last_ms`: the time of the
 * last of them. Asks for each minute and hour once, and not for those of a time when nothing was said.
 * CQ_OK, or what `first` says. */
CQ_MUST_CHECK enum cq_status times_restore(struct times *times, int64_t committed, int64_t last_ms,
                                           times_first_fn *first, void *arg);

/** Whether the record at `target` is at most `n` minutes, or hours, older than the one at `now`, which is the
 * last that passed or one not much older. */
bool times_within(const struct times *times, int64_t now, int64_t target, enum times_unit unit,
                  int n);
