/* SPDX-License-Identifier: MIT */
/*
 * lib/base/idmap.h - a hash table from ids to 64-bit values, with a maximum.
 */
#pragma once

#include "lib/base/id.h"

struct idmap_slot {
    struct cq_id key;
    uint64_t value;
    bool used;
};

struct idmap {
    struct idmap_slot *slots; /* owned; cap is a power of two, or 0 */
    size_t cap;
    size_t n;
    size_t max; /* entries */
};

/** `max`: entries. Allocates nothing yet. */
void idmap_init(struct idmap *map, size_t max);
void idmap_release(struct idmap *map);

/** Where the value of `key` is, or NULL. Valid until the next put or remove. */
uint64_t *idmap_get(const struct idmap *map, struct cq_id key);

/** Set the value of `key`, replacing what was there. False at the maximum, or without memory: then
 * nothing is changed. */
CQ_MUST_CHECK bool idmap_put(struct idmap *map, struct cq_id key, uint64_t value);

/** Whether it was there. */
bool idmap_remove(struct idmap *map, struct cq_id key);

/** Walk: start with *at = 0; false at the end. No put or remove meanwhile. */
bool idmap_next(const struct idmap *map, size_t *at, struct cq_id *ret_key, uint64_t *ret_value);
