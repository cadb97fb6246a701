/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/window.h"

#include "lib/base/assert.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64 };

static struct window_entry *entry_of(const struct window *w, uint64_t ticket)
{
    return &w->ring[ticket & (w->cap - 1)];
}

void window_init(struct window *w, uint32_t max)
{
    *w = (struct window){ .max = FIRST_CAP, .next = -1 };
    while (w->max < max)
        w->max *= 2;
}

void window_release(struct window *w)
{
    free(w->ring);
    *w = (struct window){ .next = -1 };
}

void window_restart(struct window *w, int64_t next)
{
    w->head = w->tail;
    w->next = next;
}

static bool grow(struct window *w)
{
    uint32_t cap = w->cap ? w->cap * 2 : FIRST_CAP;
    struct window_entry *ring;

    if (cap > w->max)
        return false;
    ring = malloc(cap * sizeof *ring);
    if (!ring)
        return false;
    for (uint64_t t = w->head; t < w->tail; t++)
        ring[t & (cap - 1)] = *entry_of(w, t);
    free(w->ring);
    w->ring = ring;
    w->cap = cap;
    return true;
}

enum cq_status window_add(struct window *w, int64_t offset, uint64_t *ret_ticket)
{
    if (offset < w->next)
        return CQ_POISON;
    if (window_n(w) == w->cap && !grow(w))
        return CQ_AGAIN;
    CQ_ASSERT(window_n(w) < w->cap && w->cap <= w->max, window_n(w), w->cap, w->max);
    *entry_of(w, w->tail) = (struct window_entry){ .offset = offset, .open = true };
    w->next = offset + 1;
    *ret_ticket = w->tail++;
    return CQ_OK;
}

void window_close(struct window *w, uint64_t ticket)
{
    if (ticket < w->head || ticket >= w->tail)
        return;
    entry_of(w, ticket)->open = false;
    while (w->head < w->tail && !entry_of(w, w->head)->open)
        w->head++;
}

int64_t window_position(const struct window *w)
{
    return w->head < w->tail ? entry_of(w, w->head)->offset : w->next;
}
