/* SPDX-License-Identifier: MIT */
#include "processors/chat/dedupe.h"

#include "lib/base/assert.h"

#include <stdlib.h>

void dedupe_init(struct dedupe *dedupe)
{
    *dedupe = (struct dedupe){ 0 };
    idmap_init(&dedupe->by_id, DEDUPE_MAX);
}

void dedupe_release(struct dedupe *dedupe)
{
    free(dedupe->ring);
    idmap_release(&dedupe->by_id);
    dedupe_init(dedupe);
}

static struct dedupe_entry *entry_at(const struct dedupe *dedupe, uint64_t position)
{
    return &dedupe->ring[position & (dedupe->cap - 1)];
}

const struct dedupe_entry *dedupe_find(const struct dedupe *dedupe, struct cq_id id, int64_t at_ms)
{
    const uint64_t *position = idmap_get(&dedupe->by_id, id);
    const struct dedupe_entry *entry = position ? entry_at(dedupe, *position) : NULL;

    return entry && at_ms - entry->at_ms <= DEDUPE_MS ? entry : NULL;
}

static void forget_oldest(struct dedupe *dedupe)
{
    struct dedupe_entry *entry = entry_at(dedupe, dedupe->tail);
    const uint64_t *position = idmap_get(&dedupe->by_id, entry->id);

    CQ_ASSERT(dedupe->tail < dedupe->head && dedupe->head - dedupe->tail <= dedupe->cap,
              dedupe->tail, dedupe->head, dedupe->cap);
    if (position && *position == dedupe->tail)
        idmap_remove(&dedupe->by_id, entry->id);
    dedupe->tail++;
}

static bool grow(struct dedupe *dedupe)
{
    size_t cap = dedupe->cap ? dedupe->cap * 2 : 1024;
    struct dedupe_entry *ring = calloc(cap, sizeof *ring);

    if (!ring)
        return false;
    for (uint64_t i = dedupe->tail; i < dedupe->head; i++)
        ring[i & (cap - 1)] = *entry_at(dedupe, i);
    free(dedupe->ring);
    dedupe->ring = ring;
    dedupe->cap = cap;
    return true;
}

enum cq_status dedupe_add(struct dedupe *dedupe, const struct dedupe_entry *entry)
{
    const uint64_t *known = idmap_get(&dedupe->by_id, entry->id);

    if (known && entry->at_ms - entry_at(dedupe, *known)->at_ms <= DEDUPE_MS)
        return CQ_OK;
    while (dedupe->tail < dedupe->head &&
           (entry->at_ms - entry_at(dedupe, dedupe->tail)->at_ms > DEDUPE_MS ||
            dedupe->head - dedupe->tail >= DEDUPE_MAX))
        forget_oldest(dedupe);
    if (dedupe->head - dedupe->tail == dedupe->cap && !grow(dedupe))
        return CQ_FATAL;
    *entry_at(dedupe, dedupe->head) = *entry;
    if (!idmap_put(&dedupe->by_id, entry->id, dedupe->head))
        return CQ_FATAL;
    dedupe->head++;
    return CQ_OK;
}
