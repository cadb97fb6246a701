/* SPDX-License-Identifier: MIT */
#include "edge/ws/rates.h"

#include "lib/base/assert.h"

#include <stdlib.h>

/* Three seconds' worth of messages, since each may be fanned out to a thousand; ten of receipts. */
enum { FIRST_CAP = 64, SENDS_BURST_SECONDS = 3, RECEIPTS_BURST_SECONDS = 10 };

static const uint32_t NONE = UINT32_MAX;

void rates_init(struct rates *r, int64_t per_minute, int64_t receipts_per_minute,
                uint32_t users_max)
{
    *r =
        (struct rates){ .per_minute = per_minute,
                        .burst = bucket_burst(per_minute, SENDS_BURST_SECONDS),
                        .receipts_per_minute = receipts_per_minute,
                        .receipts_burst = bucket_burst(receipts_per_minute, RECEIPTS_BURST_SECONDS),
                        .free = NONE,
                        .max = users_max };
    idmap_init(&r->by_user, users_max);
}

void rates_release(struct rates *r)
{
    idmap_release(&r->by_user);
    free(r->users);
    *r = (struct rates){ .free = NONE };
}

static bool grow(struct rates *r)
{
    uint32_t cap = r->cap ? r->cap * 2 : FIRST_CAP;
    struct rate_user *users;

    if (cap > r->max)
        cap = r->max;
    if (cap == r->cap)
        return false;
    users = realloc(r->users, cap * sizeof *users);
    if (!users)
        return false;
    r->users = users;
    for (uint32_t i = cap; i > r->cap; i--) {
        users[i - 1] = (struct rate_user){ .next_free = r->free };
        r->free = i - 1;
    }
    r->cap = cap;
    return true;
}

bool rates_join(struct rates *r, struct cq_id user, int64_t now_ms, uint32_t *ret_index)
{
    uint64_t *at = idmap_get(&r->by_user, user);
    struct rate_user *u;

    if (at) {
        u = &r->users[*at];
        if (u->sockets == RATE_SOCKETS_MAX)
            return false;
        u->sockets++;
        *ret_index = (uint32_t)*at;
        return true;
    }
    if (r->free == NONE && !grow(r))
        return false;
    if (!idmap_put(&r->by_user, user, r->free))
        return false;
    *ret_index = r->free;
    u = &r->users[r->free];
    r->free = u->next_free;
    *u = (struct rate_user){ .user = user, .sockets = 1, .used = true };
    u->sends = bucket_full(r->burst, now_ms);
    u->receipts = bucket_full(r->receipts_burst, now_ms);
    return true;
}

void rates_leave(struct rates *r, uint32_t index)
{
    CQ_ASSERT(index < r->cap && r->users[index].used && r->users[index].sockets > 0, index, r->cap);
    r->users[index].sockets--;
}

int64_t rates_take(struct rates *r, uint32_t index, int64_t now_ms)
{
    return bucket_take(&r->users[index].sends, r->per_minute, r->burst, now_ms);
}

int64_t rates_take_receipt(struct rates *r, uint32_t index, int64_t now_ms)
{
    return bucket_take(&r->users[index].receipts, r->receipts_per_minute, r->receipts_burst,
                       now_ms);
}

static bool is_full(struct rates *r, struct rate_user *u, int64_t now_ms)
{
    return bucket_is_full(&u->sends, r->per_minute, r->burst, now_ms) &&
           bucket_is_full(&u->receipts, r->receipts_per_minute, r->receipts_burst, now_ms);
}

void rates_sweep(struct rates *r, uint32_t steps, int64_t now_ms)
{
    for (; steps && r->cap; steps--) {
        uint32_t i = r->sweep++ % r->cap;
        struct rate_user *u = &r->users[i];

        if (!u->used || u->sockets || !is_full(r, u, now_ms))
            continue;
        idmap_remove(&r->by_user, u->user);
        *u = (struct rate_user){ .next_free = r->free };
        r->free = i;
    }
}
