/* SPDX-License-Identifier: MIT */
#include "edge/ws/watches.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum { FIRST_CAP = 64, SWEEP_CALLS = 100 };

static const uint32_t NONE = UINT32_MAX;

void watches_init(struct watches *watches)
{
    *watches = (struct watches){ .free = NONE };
    idmap_init(&watches->by_subject, WATCHES_MAX);
}

void watches_release(struct watches *watches)
{
    idmap_release(&watches->by_subject);
    free(watches->watch);
    *watches = (struct watches){ .free = NONE };
}

static bool grow(struct watches *watches)
{
    uint32_t cap = watches->cap ? watches->cap * 2 : FIRST_CAP;
    struct watch *watch;

    if (cap > WATCHES_MAX)
        return false;
    watch = realloc(watches->watch, cap * sizeof *watch);
    if (!watch)
        return false;
    watches->watch = watch;
    for (uint32_t i = cap; i > watches->cap; i--) {
        watch[i - 1] = (struct watch){ .next = watches->free };
        watches->free = i - 1;
    }
    watches->cap = cap;
    return true;
}

static uint32_t first_of(const struct watches *watches, struct cq_id subject)
{
    uint64_t *at = idmap_get(&watches->by_subject, subject);

    return at ? (uint32_t)*at : NONE;
}

bool watches_renew(struct watches *watches, struct cq_id subject, int32_t slot, int64_t now_ms)
{
    uint32_t first = first_of(watches, subject), n = 0, at;

    for (uint32_t i = first; i != NONE; i = watches->watch[i].next, n++)
        if (watches->watch[i].slot == slot) {
            if (watches->watch[i].until_ms <= now_ms)
                watches->watch[i].since_ms = now_ms;
            watches->watch[i].until_ms = now_ms + WATCH_MS;
            return true;
        }
    if (n == WATCH_SLOTS_MAX || (watches->free == NONE && !grow(watches)))
        return false;
    at = watches->free;
    if (!idmap_put(&watches->by_subject, subject, at))
        return false;
    watches->free = watches->watch[at].next;
    watches->watch[at] = (struct watch){ .subject = subject,
                                         .until_ms = now_ms + WATCH_MS,
                                         .since_ms = now_ms,
                                         .slot = slot,
                                         .next = first };
    watches->n++;
    return true;
}

size_t watches_of(const struct watches *watches, struct cq_id subject, int64_t now_ms,
                  int32_t out[WATCH_SLOTS_MAX])
{
    size_t n = 0;

    for (uint32_t i = first_of(watches, subject); i != NONE; i = watches->watch[i].next)
        if (watches->watch[i].until_ms > now_ms) {
            CQ_ASSERT(n < WATCH_SLOTS_MAX, n);
            out[n++] = watches->watch[i].slot;
        }
    return n;
}

static void forget(struct watches *watches, uint32_t at)
{
    struct watch *watch = &watches->watch[at];
    uint32_t first = first_of(watches, watch->subject);

    CQ_ASSERT(first != NONE && watches->n > 0, first, watches->n);
    if (first != at) {
        while (watches->watch[first].next != at)
            first = watches->watch[first].next;
        watches->watch[first].next = watch->next;
    } else if (watch->next == NONE) {
        idmap_remove(&watches->by_subject, watch->subject);
    } else {
        *idmap_get(&watches->by_subject, watch->subject) = watch->next;
    }
    *watch = (struct watch){ .next = watches->free };
    watches->free = at;
    watches->n--;
}

static void sweep_one(struct watches *watches, uint32_t at, watches_gone_fn *gone, void *arg)
{
    struct cq_id subject = watches->watch[at].subject;

    forget(watches, at);
    if (gone && first_of(watches, subject) == NONE)
        gone(arg, subject);
}

int64_t watches_since(const struct watches *watches, struct cq_id subject, int64_t now_ms)
{
    int64_t since_ms = INT64_MAX;

    for (uint32_t i = first_of(watches, subject); i != NONE; i = watches->watch[i].next)
        if (watches->watch[i].until_ms > now_ms && watches->watch[i].since_ms < since_ms)
            since_ms = watches->watch[i].since_ms;
    return since_ms;
}

void watches_drop(struct watches *watches, struct cq_id subject, int32_t slot)
{
    for (uint32_t i = first_of(watches, subject); i != NONE; i = watches->watch[i].next)
        if (watches->watch[i].slot == slot) {
            forget(watches, i);
            return;
        }
}

void watches_sweep(struct watches *watches, int64_t now_ms, watches_gone_fn *gone, void *arg)
{
    for (uint32_t steps = watches->cap / SWEEP_CALLS + 1; steps && watches->n; steps--) {
        uint32_t at = watches->sweep++ % watches->cap;

        if (watches->watch[at].until_ms && watches->watch[at].until_ms <= now_ms)
            sweep_one(watches, at, gone, arg);
    }
}
