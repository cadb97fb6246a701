/* SPDX-License-Identifier: MIT */
#include "edge/ws/guests.h"

#include "lib/base/assert.h"

void guests_init(struct guests *guests, const struct address_ranges *trusted, uint32_t per_address,
                 size_t max)
{
    *guests = (struct guests){ .trusted = trusted, .per_address = per_address };
    idmap_init(&guests->by_address, max);
}

void guests_release(struct guests *guests)
{
    idmap_release(&guests->by_address);
}

static void uncount(struct guests *guests, struct guest *guest)
{
    uint64_t *n = guest->counted ? idmap_get(&guests->by_address, guest->key) : NULL;

    CQ_ASSERT(!guest->counted || (n && *n > 0)); /* who is counted is in the table */
    guest->counted = false;
    if (n && --*n == 0)
        idmap_remove(&guests->by_address, guest->key);
}

/* Without room in the table an address is not counted; the bound of all sockets still holds. */
static bool count(struct guests *guests, struct guest *guest, struct cq_address address)
{
    const uint64_t *held;
    uint64_t n;

    uncount(guests, guest);
    guest->address = address;
    if (address_is_in(guests->trusted, address))
        return true;
    guest->key = address_key(address);
    held = idmap_get(&guests->by_address, guest->key);
    n = held ? *held : 0;
    if (n >= guests->per_address)
        return false;
    guest->counted = idmap_put(&guests->by_address, guest->key, n + 1);
    return true;
}

bool guests_enter(struct guests *guests, struct guest *guest, struct cq_address peer,
                  int64_t now_ms)
{
    if (!count(guests, guest, peer))
        return false;
    guest->since_ms = now_ms;
    guest->listed = true;
    guest->prev = guests->last;
    if (guests->last)
        guests->last->next = guest;
    else
        guests->first = guest;
    guests->last = guest;
    return true;
}

bool guests_rename(struct guests *guests, struct guest *guest, struct cq_address client)
{
    return count(guests, guest, client);
}

void guests_leave(struct guests *guests, struct guest *guest)
{
    uncount(guests, guest);
    if (!guest->listed)
        return;
    CQ_ASSERT((guest->prev || guests->first == guest) && (guest->next || guests->last == guest));
    if (guest->prev)
        guest->prev->next = guest->next;
    else
        guests->first = guest->next;
    if (guest->next)
        guest->next->prev = guest->prev;
    else
        guests->last = guest->prev;
    guest->prev = guest->next = NULL;
    guest->listed = false;
}
