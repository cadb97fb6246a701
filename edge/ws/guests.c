/* SPDX-License-Identifier: MIT */
#include "edge/ws/guests.h"

#include "lib/base/assert.h"

void guests_init(struct guests *gs, const struct address_ranges *trusted, uint32_t per_address,
                 size_t max)
{
    *gs = (struct guests){ .trusted = trusted, .per_address = per_address };
    idmap_init(&gs->by_address, max);
}

void guests_release(struct guests *gs)
{
    idmap_release(&gs->by_address);
}

static void uncount(struct guests *gs, struct guest *x)
{
    uint64_t *n = x->counted ? idmap_get(&gs->by_address, x->key) : NULL;

    CQ_ASSERT(!x->counted || (n && *n > 0)); /* who is counted is in the table */
    x->counted = false;
    if (n && --*n == 0)
        idmap_remove(&gs->by_address, x->key);
}

/* Without room in the table an address is not counted; the bound of all sockets still holds. */
static bool count(struct guests *gs, struct guest *x, struct cq_address a)
{
    const uint64_t *held;
    uint64_t n;

    uncount(gs, x);
    x->address = a;
    if (address_is_in(gs->trusted, a))
        return true;
    x->key = address_key(a);
    held = idmap_get(&gs->by_address, x->key);
    n = held ? *held : 0;
    if (n >= gs->per_address)
        return false;
    x->counted = idmap_put(&gs->by_address, x->key, n + 1);
    return true;
}

bool guests_enter(struct guests *gs, struct guest *x, struct cq_address peer, int64_t now_ms)
{
    if (!count(gs, x, peer))
        return false;
    x->since_ms = now_ms;
    x->listed = true;
    x->prev = gs->last;
    if (gs->last)
        gs->last->next = x;
    else
        gs->first = x;
    gs->last = x;
    return true;
}

bool guests_rename(struct guests *gs, struct guest *x, struct cq_address client)
{
    return count(gs, x, client);
}

void guests_leave(struct guests *gs, struct guest *x)
{
    uncount(gs, x);
    if (!x->listed)
        return;
    CQ_ASSERT((x->prev || gs->first == x) && (x->next || gs->last == x));
    if (x->prev)
        x->prev->next = x->next;
    else
        gs->first = x->next;
    if (x->next)
        x->next->prev = x->prev;
    else
        gs->last = x->prev;
    x->prev = x->next = NULL;
    x->listed = false;
}
