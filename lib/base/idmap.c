/* SPDX-License-Identifier: MIT */
#include "lib/base/idmap.h"

#include "lib/base/assert.h"

#include <stdlib.h>

/* Linear probing, at most three quarters full; removal shifts back, so there are no tombstones. */

void idmap_init(struct idmap *map, size_t max)
{
    *map = (struct idmap){ .max = max };
}

void idmap_release(struct idmap *map)
{
    free(map->slots);
    *map = (struct idmap){ .max = map->max };
}

static size_t home(const struct idmap *map, struct cq_id key)
{
    return (size_t)(id_hash(key) >> 16) & (map->cap - 1);
}

/* The slot of `key`, or the empty one where it would go. */
static struct idmap_slot *find(const struct idmap *map, struct cq_id key)
{
    size_t i = home(map, key);

    while (map->slots[i].used && !id_eq(map->slots[i].key, key))
        i = (i + 1) & (map->cap - 1);
    return &map->slots[i];
}

static bool grow(struct idmap *map)
{
    struct idmap bigger = { .cap = map->cap ? map->cap * 2 : 16, .n = map->n, .max = map->max };

    bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < map->cap; i++)
        if (map->slots[i].used)
            *find(&bigger, map->slots[i].key) = map->slots[i];
    free(map->slots);
    *map = bigger;
    return true;
}

uint64_t *idmap_get(const struct idmap *map, struct cq_id key)
{
    struct idmap_slot *slot = map->cap ? find(map, key) : NULL;

    return slot && slot->used ? &slot->value : NULL;
}

bool idmap_put(struct idmap *map, struct cq_id key, uint64_t value)
{
    struct idmap_slot *slot = map->cap ? find(map, key) : NULL;

    if (!slot || !slot->used) {
        if (map->n >= map->max || ((map->n + 1) * 4 > map->cap * 3 && !grow(map)))
            return false;
        slot = find(map, key);
        map->n++;
        /* find() ends at an empty slot, so one must be left */
        CQ_ASSERT(!slot->used && map->n < map->cap, map->n, map->cap);
    }
    *slot = (struct idmap_slot){ key, value, true };
    return true;
}

bool idmap_remove(struct idmap *map, struct cq_id key)
{
    struct idmap_slot *slot = map->cap ? find(map, key) : NULL;
    size_t hole, i;

    if (!slot || !slot->used)
        return false;
    hole = (size_t)(slot - map->slots);
    for (i = (hole + 1) & (map->cap - 1); map->slots[i].used; i = (i + 1) & (map->cap - 1)) {
        size_t from_home = (i - home(map, map->slots[i].key)) & (map->cap - 1);

        if (from_home >= ((i - hole) & (map->cap - 1))) { /* may stand in the hole */
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    CQ_ASSERT(map->n > 0);
    map->slots[hole].used = false;
    map->n--;
    return true;
}

bool idmap_next(const struct idmap *map, size_t *at, struct cq_id *ret_key, uint64_t *ret_value)
{
    for (; *at < map->cap; (*at)++)
        if (map->slots[*at].used) {
            *ret_key = map->slots[*at].key;
            *ret_value = map->slots[(*at)++].value;
            return true;
        }
    return false;
}
