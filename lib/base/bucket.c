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

static void refill(struct bucket *bucket, int64_t per_minute, int64_t burst, int64_t now_ms)
{
    int64_t elapsed_ms = now_ms - bucket->at_ms, room = burst * BUCKET_UNITS - bucket->level;

    if (elapsed_ms > 0)
        bucket->at_ms = now_ms;
    else
        elapsed_ms = 0;
    /* divided: after a long time the product would overflow */
    if (room < 0 || elapsed_ms > room / per_minute)
        bucket->level += room;
    else
        bucket->level += elapsed_ms * per_minute;
}

int64_t bucket_take(struct bucket *bucket, int64_t per_minute, int64_t burst, int64_t now_ms)
{
    refill(bucket, per_minute, burst, now_ms);
    if (bucket->level < BUCKET_UNITS)
        return (BUCKET_UNITS - bucket->level + per_minute - 1) / per_minute;
    bucket->level -= BUCKET_UNITS;
    return 0;
}

void bucket_charge(struct bucket *bucket, int64_t per_minute, int64_t burst, int64_t now_ms)
{
    refill(bucket, per_minute, burst, now_ms);
    bucket->level -= BUCKET_UNITS;
}

bool bucket_is_full(struct bucket *bucket, int64_t per_minute, int64_t burst, int64_t now_ms)
{
    refill(bucket, per_minute, burst, now_ms);
    return bucket->level >= burst * BUCKET_UNITS;
}
