/* SPDX-License-Identifier: MIT */
#include "edge/rest/limits.h"

#include <stdlib.h>

enum cq_status limits_init(struct limits *l, int64_t per_minute, int64_t burst)
{
    *l = (struct limits){ .per_minute = per_minute, .burst = burst };
    idmap_init(&l->by_key, LIMITS_MAX);
    l->buckets = calloc(LIMITS_MAX, sizeof *l->buckets); /* no page before its bucket is used */
    return l->buckets ? CQ_OK : CQ_FATAL;
}

void limits_release(struct limits *l)
{
    idmap_release(&l->by_key);
    free(l->buckets);
    l->buckets = NULL;
}

/* NULL: no memory. */
static struct bucket *bucket_of(struct limits *l, struct cq_id key, int64_t now_ms)
{
    const uint64_t *at = idmap_get(&l->by_key, key);
    size_t index = l->by_key.n;

    if (at)
        return &l->buckets[*at];
    if (!idmap_put(&l->by_key, key, index)) {
        idmap_release(&l->by_key); /* full of strangers: forget them all, refuse nobody */
        index = 0;
        if (!idmap_put(&l->by_key, key, index))
            return NULL;
    }
    l->buckets[index] = bucket_full(l->burst, now_ms);
    return &l->buckets[index];
}

int64_t limits_take(struct limits *l, struct cq_id key, int64_t now_ms)
{
    struct bucket *b = bucket_of(l, key, now_ms);

    return b ? (bucket_take(b, l->per_minute, l->burst, now_ms) + 999) / 1000 : 1;
}
