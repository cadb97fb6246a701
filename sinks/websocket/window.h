/* SPDX-License-Identifier: MIT */
/*
 * sinks/websocket/window.h - which records of one slot are still open, in log order. A record is
 * open until each of its frames was ok'd or handed back; the slot's commit is the first open
 * offset. Pure.
 */
#pragma once

#include "lib/base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct window_entry {
    int64_t offset;
    bool open;
};

/* Tickets rise for the window's whole life, also over a restart: one from before it is ignored. */
struct window {
    struct window_entry *ring; /* owned; cap entries, a power of two */
    uint32_t cap;
    uint32_t max;  /* entries, a power of two */
    uint64_t head; /* ticket of the first entry: open, unless the window is empty */
    uint64_t tail; /* next ticket */
    int64_t next;  /* offset after the last one added; -1: none yet */
};

/** `max` is rounded up to a power of two. */
void window_init(struct window *window, uint32_t max);
void window_release(struct window *window);

/** Forget every record. Reading goes on at `next` (-1: not known). */
void window_restart(struct window *window, int64_t next);

/** A record was read and is open. CQ_POISON: it was added before. CQ_AGAIN: full. */
CQ_MUST_CHECK enum cq_status window_add(struct window *window, int64_t offset,
                                        uint64_t *ret_ticket);

/** The record is done. A ticket from before a restart, or closed already, is ignored. */
void window_close(struct window *window, uint64_t ticket);

/** What to commit: the first open offset, or the one after the last record; -1: nothing known. */
int64_t window_position(const struct window *window);

/** Records from the first open one on. */
static inline uint32_t window_n(const struct window *window)
{
    return (uint32_t)(window->tail - window->head);
}
