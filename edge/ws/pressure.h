/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/pressure.h - takes no more messages than the road behind the log delivers. The log takes
 * far more than the processors can fan out; what it has taken waits there, and everybody's messages
 * come later and later. Both how many are under way and how late they are is seen on messages that
 * come back to their own sender. While they are late, as many are admitted as came back, and a
 * little less; and never more than a road that is well has under way. The view may be slower still,
 * which ticks tell: while they come later and later, a little less is admitted by and by, since
 * what was taken before is between this and that. Pure: times are passed in.
 */
#pragma once

#include "edge/ws/rates.h"

enum {
    PRESSURE_LATE_MS = 400,        /* later than this on average: too much is under way */
    PRESSURE_CALM_MS = 200,        /* less than this: more may be */
    PRESSURE_TICKS_LATE_MS = 1200, /* the same of ticks */
    PRESSURE_TICKS_CALM_MS = 600,
    PRESSURE_JUDGED_MS = 250, /* how often that is judged … */
    PRESSURE_UNDER_WAY_MAX = 16 * 1024,
    PRESSURE_HEARD_MIN = 50, /* … from no fewer messages */
    PRESSURE_LEAST = 1000,   /* messages a second that are always admitted */
    PRESSURE_ROW = 16,       /* messages of one socket that are admitted together */
    PRESSURE_RETRY_MS = 500, /* what a refused one is told */
};

/* Zeroed is at ease. */
struct pressure {
    int64_t per_minute; /* admitted; 0: no limit */
    struct bucket bucket;
    int64_t under_way;      /* taken and not come back, about: see pressure_judge() */
    int64_t heard, late_ms; /* since the last judgement */
    int64_t ticks, ticks_late_ms;
    int64_t tick_ms; /* how late they were at the last judgement */
    int64_t judged_ms;
};

/** `n` messages came back to their senders, `late_ms` after they were taken, together. */
void pressure_heard(struct pressure *p, int64_t n, int64_t late_ms);

/** `n` ticks came, `late_ms` after the receipts that made them, together. */
void pressure_ticked(struct pressure *p, int64_t n, int64_t late_ms);

/** Call often. Some never come back here, because their sender left or was refused by the rules: a
 * tenth of what is under way is forgotten each time. */
void pressure_judge(struct pressure *p, int64_t now_ms);

/** Is less admitted than is asked for, or was it of late? */
bool pressure_limits(const struct pressure *p);

/** May one more message of a socket be taken? 0, or in how many ms. `credit` is the socket's, 0 at
 * first: what of an admitted row is left. */
int64_t pressure_take(struct pressure *p, uint8_t *credit, int64_t now_ms);
