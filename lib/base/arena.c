/* SPDX-License-Identifier: MIT */
#include "lib/base/arena.h"

#include "lib/base/assert.h"

#include <stdlib.h>

/* Blocks are kept across resets, so that a turn need not allocate again what the last one had.
 * Memory that has not been needed for many turns is freed. */
struct block {
    struct block *next;
    size_t cap;
    size_t used;
    max_align_t bytes[];
};

struct cq_arena {
    struct block *first; /* owned list */
    struct block *at;    /* block being filled */
    size_t max;          /* bytes allowed since the last reset */
    size_t n;            /* bytes handed out since the last reset */
    size_t held;         /* bytes of all blocks */
    bool full;           /* something was refused since the last reset */
    size_t most;         /* the most of `n` so far */
    size_t need;         /* the largest recent `n`, as seen by resets; it decays */
};

enum {
    BLOCK_BYTES = 64 * 1024,
    ALIGN = _Alignof(max_align_t),
    FORGOTTEN = 64,  /* each reset lowers `need` by one part in this many */
    HELD_FACTOR = 4, /* blocks are given back once they are this many times the need … */
    HELD_MIN = 16 * BLOCK_BYTES, /* … and this much more */
};

struct cq_arena *arena_new(size_t max_bytes)
{
    struct cq_arena *arena = calloc(1, sizeof *arena);

    if (!arena)
        abort(); /* a process that cannot start has nothing to save */
    arena->max = max_bytes;
    return arena;
}

static void drop_blocks(struct cq_arena *arena)
{
    struct block *next;

    for (struct block *block = arena->first; block; block = next) {
        next = block->next;
        free(block);
    }
    arena->first = arena->at = NULL;
    arena->held = 0;
}

void arena_free(struct cq_arena *arena)
{
    if (!arena)
        return;
    drop_blocks(arena);
    free(arena);
}

size_t arena_most(const struct cq_arena *arena)
{
    return arena->n > arena->most ? arena->n : arena->most;
}

void arena_reset(struct cq_arena *arena)
{
    arena->most = arena_most(arena);
    arena->need -= arena->need / FORGOTTEN;
    if (arena->n > arena->need)
        arena->need = arena->n;
#ifdef CQ_ARENA_MALLOC
    drop_blocks(arena); /* so that a use after reset is seen */
#endif
    if (arena->held > HELD_FACTOR * arena->need + HELD_MIN)
        drop_blocks(arena);
    for (struct block *block = arena->first; block; block = block->next)
        block->used = 0;
    arena->at = arena->first;
    arena->n = 0;
    arena->full = false;
}

static struct block *block_for(struct cq_arena *arena, size_t n)
{
    size_t cap = n > BLOCK_BYTES ? n : BLOCK_BYTES;
    struct block *block;

#ifdef CQ_ARENA_MALLOC
    cap = n;
#else
    for (block = arena->at; block; block = block->next)
        if (block->cap - block->used >= n)
            return arena->at = block;
#endif
    block = malloc(sizeof *block + cap);
    if (!block)
        return NULL;
    *block = (struct block){ .next = arena->first, .cap = cap };
    arena->first = block;
    arena->held += cap;
    return arena->at = block;
}

size_t arena_held(const struct cq_arena *arena)
{
    return arena->held;
}

size_t arena_used(const struct cq_arena *arena)
{
    return arena->n;
}

bool arena_full(const struct cq_arena *arena)
{
    return arena->full;
}

void *arena_alloc(struct cq_arena *arena, size_t n)
{
    struct block *block = arena->at;
    uint8_t *p;

    if (n > arena->max || arena->n + n > arena->max) {
        arena->full = true;
        return NULL;
    }
#ifndef CQ_ARENA_MALLOC
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
#endif
    if (!block || block->cap - block->used < n || n == 0)
        block = block_for(arena, n);
    if (!block)
        return NULL;
    CQ_ASSERT(block->used + n <= block->cap, block->used, n, block->cap);
    p = (uint8_t *)block->bytes + block->used;
    block->used += n;
    arena->n += n;
    memset(p, 0, n);
    return p;
}

struct cq_span arena_copy(struct cq_arena *arena, struct cq_span span)
{
    uint8_t *p = span.n ? arena_alloc(arena, span.n) : NULL;

    if (!p)
        return (struct cq_span){ NULL, 0 };
    memcpy(p, span.p, span.n);
    return span_of(p, span.n);
}
