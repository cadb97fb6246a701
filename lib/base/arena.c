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
    struct cq_arena *a = calloc(1, sizeof *a);

    if (!a)
        abort(); /* a process that cannot start has nothing to save */
    a->max = max_bytes;
    return a;
}

static void drop_blocks(struct cq_arena *a)
{
    struct block *next;

    for (struct block *b = a->first; b; b = next) {
        next = b->next;
        free(b);
    }
    a->first = a->at = NULL;
    a->held = 0;
}

void arena_free(struct cq_arena *a)
{
    if (!a)
        return;
    drop_blocks(a);
    free(a);
}

size_t arena_most(const struct cq_arena *a)
{
    return a->n > a->most ? a->n : a->most;
}

void arena_reset(struct cq_arena *a)
{
    a->most = arena_most(a);
    a->need -= a->need / FORGOTTEN;
    if (a->n > a->need)
        a->need = a->n;
#ifdef CQ_ARENA_MALLOC
    drop_blocks(a); /* so that a use after reset is seen */
#endif
    if (a->held > HELD_FACTOR * a->need + HELD_MIN)
        drop_blocks(a);
    for (struct block *b = a->first; b; b = b->next)
        b->used = 0;
    a->at = a->first;
    a->n = 0;
    a->full = false;
}

static struct block *block_for(struct cq_arena *a, size_t n)
{
    size_t cap = n > BLOCK_BYTES ? n : BLOCK_BYTES;
    struct block *b;

#ifdef CQ_ARENA_MALLOC
    cap = n;
#else
    for (b = a->at; b; b = b->next)
        if (b->cap - b->used >= n)
            return a->at = b;
#endif
    b = malloc(sizeof *b + cap);
    if (!b)
        return NULL;
    *b = (struct block){ .next = a->first, .cap = cap };
    a->first = b;
    a->held += cap;
    return a->at = b;
}

size_t arena_held(const struct cq_arena *a)
{
    return a->held;
}

size_t arena_used(const struct cq_arena *a)
{
    return a->n;
}

bool arena_full(const struct cq_arena *a)
{
    return a->full;
}

void *arena_alloc(struct cq_arena *a, size_t n)
{
    struct block *b = a->at;
    uint8_t *p;

    if (n > a->max || a->n + n > a->max) {
        a->full = true;
        return NULL;
    }
#ifndef CQ_ARENA_MALLOC
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
#endif
    if (!b || b->cap - b->used < n || n == 0)
        b = block_for(a, n);
    if (!b)
        return NULL;
    CQ_ASSERT(b->used + n <= b->cap, b->used, n, b->cap);
    p = (uint8_t *)b->bytes + b->used;
    b->used += n;
    a->n += n;
    memset(p, 0, n);
    return p;
}

struct cq_span arena_copy(struct cq_arena *a, struct cq_span s)
{
    uint8_t *p = s.n ? arena_alloc(a, s.n) : NULL;

    if (!p)
        return (struct cq_span){ NULL, 0 };
    memcpy(p, s.p, s.n);
    return span_of(p, s.n);
}
