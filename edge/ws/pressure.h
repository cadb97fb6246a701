/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/pressure.h - overload control: admit no more messages than the processors deliver. The
 * log takes far more than they can fan out; without a limit the backlog grows, and everybody's
 * messages come later and later. How many messages are in flight and how late they are is measured
 * on those that come back to their own sender. While they are late, a little less is admitted than
 * came back, and the rest is shed; there are never more in flight than a healthy system has. The
 * view may be slower still, which ticks show: while they come later and later, what is admitted is
 * lowered step by step, since the effect shows only after the backlog. Pure: times are passed in.
 */
#pragma once

#include "edge/ws/rates.h"

enum {
    PRESSURE_LATE_MS = 400,        /* later than this on average: overload */
    PRESSURE_CALM_MS = 200,        /* less than this: admit more */
    PRESSURE_TICKS_LATE_MS = 1200, /* the same for ticks */
    PRESSURE_TICKS_CALM_MS = 600,
    PRESSURE_JUDGED_MS = 250, /* how often that is judged … */
    PRESSURE_UNDER_WAY_MAX = 16 * 1024,
    PRESSURE_HEARD_MIN = 50, /* … from no fewer messages */
    PRESSURE_LEAST = 1000,   /* messages a second that are always admitted */
    PRESSURE_ROW = 16,       /* messages of one socket that are admitted together */
    PRESSURE_RETRY_MS = 500, /* retry-after of a refused message */
};

/* All zero: no limit. */
struct pressure {
    int64_t per_minute; /* admitted; 0: no limit */
    struct bucket bucket;
    int64_t under_way;      /* admitted and not come back yet, about: see pressure_judge() */
    int64_t heard, late_ms; /* since the last judgement */
    int64_t ticks, ticks_late_ms;
    int64_t tick_ms; /* how late they were at the last judgement */
    int64_t judged_ms;
};

/** `n` messages came back to their senders, `late_ms` after they were taken, together. */
void pressure_heard(struct pressure *pressure, int64_t n, int64_t late_ms);

/** `n` ticks came, `late_ms` after the receipts that made them, together. */
void pressure_ticked(struct pressure *pressure, int64_t n, int64_t late_ms);

/** Call often. Some messages never come back here, because their sender left or the rules refused
 * them: each time a tenth of what is counted as in flight is dropped from the count. */
void pressure_judge(struct pressure *pressure, int64_t now_ms);

/** Whether load is being shed, or was until recently. */
bool pressure_limits(const struct pressure *pressure);

/** 0: one more message of a socket may be taken; else in how many ms to try again. `credit` is the
 * socket's, 0 at first: how much is left of its admitted row. */
int64_t pressure_take(struct pressure *pressure, uint8_t *credit, int64_t now_ms);
