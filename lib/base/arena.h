/* SPDX-License-Identifier: MIT */
/*
 * lib/base/arena.h - a bump allocator for one turn or one request: reset as a whole, never freed
 * piecewise. Built with address sanitizer each allocation is a malloc of its own, because an arena
 * hides overruns.
 */
#pragma once

#include "lib/base/auto.h"
#include "lib/base/span.h"

struct cq_arena; /* opaque; one thread */

/** `max_bytes`: what arena_alloc hands out between two resets at most. Owned by caller, never NULL:
 * the process aborts when there is no memory for it. */
struct cq_arena *arena_new(size_t max_bytes);
void arena_free(struct cq_arena *arena); /* NULL is fine */

/** Everything handed out is void from here on. Memory is kept for the next turn, unless it has long
 * been many times what turns need. */
void arena_reset(struct cq_arena *arena);

/** Bytes taken from the heap, handed out or not. */
size_t arena_held(const struct cq_arena *arena);

/** Bytes handed out since the last reset. */
size_t arena_used(const struct cq_arena *arena);

/** Whether something was refused since the last reset. */
bool arena_full(const struct cq_arena *arena);

/** The most bytes that were handed out between two resets so far. */
size_t arena_most(const struct cq_arena *arena);

/** Zeroed bytes aligned for any type, valid until reset. NULL at the arena's maximum, or
 * without memory. */
void *arena_alloc(struct cq_arena *arena, size_t n);

/** A copy of `span` in the arena ({NULL,0} for an empty one, or when arena_alloc gives nothing). */
struct cq_span arena_copy(struct cq_arena *arena, struct cq_span span);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (n)))

CQ_DEFINE_AUTO(arena, struct cq_arena *, arena_free)
