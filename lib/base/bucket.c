/* SPDX-License-Identifier: MIT */
#include "lib/base/bucket.h"

int64_t bucket_burst(int64_t per_minute, int64_t seconds)
{
    int64_t burst = per_minute * seconds / 60;

    return burst > BUCKET_BURST_LEAST ? burst : BUCKET_BURST_LEAST;
}

struct bucket bucket_full(int64_t burst, int64_t now_ms)
{
    return (struct bucket){ burst * BUCKET_UNITS, now_ms };
}

static void refill(struct bucket *b, int64_t per_minute, int64_t burst, int64_t now_ms)
{
    int64_t elapsed_ms = now_ms - b->at_ms, room = burst * BUCKET_UNITS - b->level;

    if (elapsed_ms > 0)
        b->at_ms = now_ms;
    else
        elapsed_ms = 0;
    /* divided, not multiplied: any time may have passed */
    if (room < 0 || elapsed_ms > room / per_minute)
        b->level += room;
    else
        b->level += elapsed_ms * per_minute;
}

int64_t bucket_take(struct bucket *b, int64_t per_minute, int64_t burst, int64_t now_ms)
{
    refill(b, per_minute, burst, now_ms);
    if (b->level < BUCKET_UNITS)
        return (BUCKET_UNITS - b->level + per_minute - 1) / per_minute;
    b->level -= BUCKET_UNITS;
    return 0;
}

void bucket_charge(struct bucket *b, int64_t per_minute, int64_t burst, int64_t now_ms)
{
    refill(b, per_minute, burst, now_ms);
    b->level -= BUCKET_UNITS;
}

bool bucket_is_full(struct bucket *b, int64_t per_minute, int64_t burst, int64_t now_ms)
{
    refill(b, per_minute, burst, now_ms);
    return b->level >= burst * BUCKET_UNITS;
}
