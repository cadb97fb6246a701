/* SPDX-License-Identifier: MIT */
/*
 * lib/base/arena.h - one bump allocator a turn or a request: reset as a whole, never freed
 * piecewise. Built with address sanitizer each allocation is a malloc of its own, because an arena
 * hides overruns.
 */
#pragma once

#include "lib/base/auto.h"
#include "lib/base/span.h"

struct cq_arena; /* opaque; one thread */

/** `max_bytes`: arena_alloc returns NULL once this much is handed out since the last reset. Owned
 * by caller. */
struct cq_arena *arena_new(size_t max_bytes);
void arena_free(struct cq_arena *a); /* NULL is fine */

/** Everything handed out is void from here on; memory is kept for the next turn, unless it has
 * been many times what was needed for many turns. */
void arena_reset(struct cq_arena *a);

/** Bytes taken from the heap, handed out or not. */
size_t arena_held(const struct cq_arena *a);

/** Bytes handed out since the last reset. */
size_t arena_used(const struct cq_arena *a);

/** Whether its maximum refused something since the last reset. */
bool arena_full(const struct cq_arena *a);

/** The most bytes that were handed out between two resets so far. */
size_t arena_most(const struct cq_arena *a);

/** Zeroed bytes aligned for any type, valid until reset. NULL when the arena's maximum is
 * reached. */
void *arena_alloc(struct cq_arena *a, size_t n);

/** A copy of `s` in the arena ({NULL,0} for an empty one or when the maximum is reached). */
struct cq_span arena_copy(struct cq_arena *a, struct cq_span s);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (n)))

CQ_DEFINE_AUTO(arena, struct cq_arena *, arena_free)
