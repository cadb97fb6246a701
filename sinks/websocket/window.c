/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/window.h"

#include "lib/base/assert.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64 };

static struct window_entry *entry_of(const struct window *window, uint64_t ticket)
{
    return &window->ring[ticket & (window->cap - 1)];
}

void window_init(struct window *window, uint32_t max)
{
    *window = (struct window){ .max = FIRST_CAP, .next = -1 };
    while (window->max < max)
        window->max *= 2;
}

void window_release(struct window *window)
{
    free(window->ring);
    *window = (struct window){ .next = -1 };
}

void window_restart(struct window *window, int64_t next)
{
    window->head = window->tail;
    window->next = next;
}

static bool grow(struct window *window)
{
    uint32_t cap = window->cap ? window->cap * 2 : FIRST_CAP;
    struct window_entry *ring;

    if (cap > window->max)
        return false;
    ring = malloc(cap * sizeof *ring);
    if (!ring)
        return false;
    for (uint64_t ticket = window->head; ticket < window->tail; ticket++)
        ring[ticket & (cap - 1)] = *entry_of(window, ticket);
    free(window->ring);
    window->ring = ring;
    window->cap = cap;
    return true;
}

enum cq_status window_add(struct window *window, int64_t offset, uint64_t *ret_ticket)
{
    if (offset < window->next)
        return CQ_POISON;
    if (window_n(window) == window->cap && !grow(window))
        return CQ_AGAIN;
    CQ_ASSERT(window_n(window) < window->cap && window->cap <= window->max, window_n(window),
              window->cap, window->max);
    *entry_of(window, window->tail) = (struct window_entry){ .offset = offset, .open = true };
    window->next = offset + 1;
    *ret_ticket = window->tail++;
    return CQ_OK;
}

void window_close(struct window *window, uint64_t ticket)
{
    if (ticket < window->head || ticket >= window->tail)
        return;
    entry_of(window, ticket)->open = false;
    while (window->head < window->tail && !entry_of(window, window->head)->open)
        window->head++;
}

int64_t window_position(const struct window *window)
{
    return window->head < window->tail ? entry_of(window, window->head)->offset : window->next;
}
