/* SPDX-License-Identifier: MIT */
#include "lib/base/idmap.h"

#include "lib/base/assert.h"

#include <stdlib.h>

/* Linear probing, at most three quarters full; removal shifts back, so there are no tombstones. */

void idmap_init(struct idmap *m, size_t max)
{
    *m = (struct idmap){ .max = max };
}

void idmap_release(struct idmap *m)
{
    free(m->slots);
    *m = (struct idmap){ .max = m->max };
}

static size_t home(const struct idmap *m, struct cq_id key)
{
    return (size_t)(id_hash(key) >> 16) & (m->cap - 1);
}

/* The slot of `key`, or the empty one where it would go. */
static struct idmap_slot *find(const struct idmap *m, struct cq_id key)
{
    size_t i = home(m, key);

    while (m->slots[i].used && !id_eq(m->slots[i].key, key))
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

static bool grow(struct idmap *m)
{
    struct idmap bigger = { .cap = m->cap ? m->cap * 2 : 16, .n = m->n, .max = m->max };

    bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].used)
            *find(&bigger, m->slots[i].key) = m->slots[i];
    free(m->slots);
    *m = bigger;
    return true;
}

uint64_t *idmap_get(const struct idmap *m, struct cq_id key)
{
    struct idmap_slot *s = m->cap ? find(m, key) : NULL;

    return s && s->used ? &s->value : NULL;
}

bool idmap_put(struct idmap *m, struct cq_id key, uint64_t value)
{
    struct idmap_slot *s = m->cap ? find(m, key) : NULL;

    if (!s || !s->used) {
        if (m->n >= m->max || ((m->n + 1) * 4 > m->cap * 3 && !grow(m)))
            return false;
        s = find(m, key);
        m->n++;
        CQ_ASSERT(!s->used && m->n < m->cap, m->n, m->cap); /* a walk has its end at an empty one */
    }
    *s = (struct idmap_slot){ key, value, true };
    return true;
}

bool idmap_remove(struct idmap *m, struct cq_id key)
{
    struct idmap_slot *s = m->cap ? find(m, key) : NULL;
    size_t hole, i;

    if (!s || !s->used)
        return false;
    hole = (size_t)(s - m->slots);
    for (i = (hole + 1) & (m->cap - 1); m->slots[i].used; i = (i + 1) & (m->cap - 1)) {
        size_t from_home = (i - home(m, m->slots[i].key)) & (m->cap - 1);

        if (from_home >= ((i - hole) & (m->cap - 1))) { /* may stand in the hole */
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    CQ_ASSERT(m->n > 0);
    m->slots[hole].used = false;
    m->n--;
    return true;
}

bool idmap_next(const struct idmap *m, size_t *at, struct cq_id *ret_key, uint64_t *ret_value)
{
    for (; *at < m->cap; (*at)++)
        if (m->slots[*at].used) {
            *ret_key = m->slots[*at].key;
            *ret_value = m->slots[(*at)++].value;
            return true;
        }
    return false;
}
