/* SPDX-License-Identifier: MIT */
#include "edge/rest/limits.h"

/* A bucket is one number: the time, in ms, at which it will be full again. Taking a token moves it
 * by the time that a token needs; more than a burst ahead of now is too much. */

enum { BURST_LEAST = 20 };

int64_t limits_burst(int64_t per_minute, int64_t seconds)
{
    int64_t burst = per_minute * seconds / 60;

    return burst > BURST_LEAST ? burst : BURST_LEAST;
}

void limits_init(struct limits *l, int64_t per_minute, int64_t burst)
{
    idmap_init(&l->by_key, LIMITS_MAX);
    l->per_minute = per_minute;
    l->burst = burst;
}

void limits_release(struct limits *l)
{
    idmap_release(&l->by_key);
}

int64_t limits_take(struct limits *l, struct cq_id key, int64_t now_ms)
{
    int64_t token_us = 60 * 1000 * 1000 / l->per_minute, now_us = now_ms * 1000;
    int64_t burst_us = l->burst * token_us;
    uint64_t *full = idmap_get(&l->by_key, key);
    int64_t at = full && (int64_t)*full > now_us ? (int64_t)*full : now_us;

    if (at + token_us - now_us > burst_us)
        return (at + token_us - now_us - burst_us) / 1000000 + 1;
    if (!idmap_put(&l->by_key, key, (uint64_t)(at + token_us))) {
        idmap_release(
            &l->by_key); /* full of strangers: forget them all rather than refuse everybody */
        if (!idmap_put(&l->by_key, key, (uint64_t)(at + token_us)))
            return 1;
    }
    return 0;
}
