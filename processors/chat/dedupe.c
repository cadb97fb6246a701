/* SPDX-License-Identifier: MIT */
#include "processors/chat/dedupe.h"

#include "lib/base/assert.h"

#include <stdlib.h>

void dedupe_init(struct dedupe *w)
{
    *w = (struct dedupe){ 0 };
    idmap_init(&w->by_id, DEDUPE_MAX);
}

void dedupe_release(struct dedupe *w)
{
    free(w->ring);
    idmap_release(&w->by_id);
    dedupe_init(w);
}

static struct dedupe_entry *entry_at(const struct dedupe *w, uint64_t position)
{
    return &w->ring[position & (w->cap - 1)];
}

const struct dedupe_entry *dedupe_find(const struct dedupe *w, struct cq_id id, int64_t at_ms)
{
    const uint64_t *position = idmap_get(&w->by_id, id);
    const struct dedupe_entry *e = position ? entry_at(w, *position) : NULL;

    return e && at_ms - e->at_ms <= DEDUPE_MS ? e : NULL;
}

static void forget_oldest(struct dedupe *w)
{
    struct dedupe_entry *e = entry_at(w, w->tail);
    const uint64_t *position = idmap_get(&w->by_id, e->id);

    CQ_ASSERT(w->tail < w->head && w->head - w->tail <= w->cap, w->tail, w->head, w->cap);
    if (position && *position == w->tail)
        idmap_remove(&w->by_id, e->id);
    w->tail++;
}

static bool grow(struct dedupe *w)
{
    size_t cap = w->cap ? w->cap * 2 : 1024;
    struct dedupe_entry *ring = calloc(cap, sizeof *ring);

    if (!ring)
        return false;
    for (uint64_t i = w->tail; i < w->head; i++)
        ring[i & (cap - 1)] = *entry_at(w, i);
    free(w->ring);
    w->ring = ring;
    w->cap = cap;
    return true;
}

enum cq_status dedupe_add(struct dedupe *w, const struct dedupe_entry *e)
{
    const uint64_t *known = idmap_get(&w->by_id, e->id);

    if (known && e->at_ms - entry_at(w, *known)->at_ms <= DEDUPE_MS)
        return CQ_OK;
    while (w->tail < w->head &&
           (e->at_ms - entry_at(w, w->tail)->at_ms > DEDUPE_MS || w->head - w->tail >= DEDUPE_MAX))
        forget_oldest(w);
    if (w->head - w->tail == w->cap && !grow(w))
        return CQ_FATAL;
    *entry_at(w, w->head) = *e;
    if (!idmap_put(&w->by_id, e->id, w->head))
        return CQ_FATAL;
    w->head++;
    return CQ_OK;
}
