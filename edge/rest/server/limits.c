/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/limits.h"

#include <stdlib.h>

enum cq_status limits_init(struct limits *limits, int64_t per_minute, int64_t burst)
{
    *limits = (struct limits){ .per_minute = per_minute, .burst = burst };
    idmap_init(&limits->by_key, LIMITS_MAX);
    /* No page of these is touched before a bucket in it is used. */
    limits->buckets = calloc(LIMITS_MAX, sizeof *limits->buckets);
    return limits->buckets ? CQ_OK : CQ_FATAL;
}

void limits_release(struct limits *limits)
{
    idmap_release(&limits->by_key);
    free(limits->buckets);
    limits->buckets = NULL;
}

/* NULL: no memory. */
static struct bucket *bucket_of(struct limits *limits, struct cq_id key, int64_t now_ms)
{
    const uint64_t *at = idmap_get(&limits->by_key, key);
    size_t index = limits->by_key.n;

    if (at)
        return &limits->buckets[*at];
    if (!idmap_put(&limits->by_key, key, index)) {
        /* full of strangers: forget all rather than refuse anybody */
        idmap_release(&limits->by_key);
        index = 0;
        if (!idmap_put(&limits->by_key, key, index))
            return NULL;
    }
    limits->buckets[index] = bucket_full(limits->burst, now_ms);
    return &limits->buckets[index];
}

int64_t limits_take(struct limits *limits, struct cq_id key, int64_t now_ms)
{
    struct bucket *bucket = bucket_of(limits, key, now_ms);

    return bucket ? (bucket_take(bucket, limits->per_minute, limits->burst, now_ms) + 999) / 1000
                  : 1;
}
