/* SPDX-License-Identifier: MIT */
#include "edge/ws/rates.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum {
    FIRST_CAP = 64,
    SIGNALS_PER_MINUTE = ADMIT_SIGNALS_SOCKETS * ADMIT_SIGNALS_PER_MINUTE,
    SIGNALS_BURST = ADMIT_SIGNALS_SOCKETS * ADMIT_SIGNALS_BURST,
};

static const uint32_t NONE = UINT32_MAX;

void rates_init(struct rates *rates, int64_t per_minute, int64_t receipts_per_minute,
                uint32_t users_max)
{
    *rates = (struct rates){ .per_minute = per_minute,
                             .burst = bucket_burst(per_minute, ADMIT_FANOUT_BURST_SECONDS),
                             .receipts_per_minute = receipts_per_minute,
                             .receipts_burst =
                                 bucket_burst(receipts_per_minute, ADMIT_RECEIPTS_BURST_SECONDS),
                             .free = NONE,
                             .max = users_max };
    idmap_init(&rates->by_user, users_max);
}

void rates_release(struct rates *rates)
{
    idmap_release(&rates->by_user);
    free(rates->users);
    *rates = (struct rates){ .free = NONE };
}

static bool grow(struct rates *rates)
{
    uint32_t cap = rates->cap ? rates->cap * 2 : FIRST_CAP;
    struct rate_user *users;

    if (cap > rates->max)
        cap = rates->max;
    if (cap == rates->cap)
        return false;
    users = realloc(rates->users, cap * sizeof *users);
    if (!users)
        return false;
    rates->users = users;
    for (uint32_t i = cap; i > rates->cap; i--) {
        users[i - 1] = (struct rate_user){ .next_free = rates->free };
        rates->free = i - 1;
    }
    rates->cap = cap;
    return true;
}

bool rates_join(struct rates *rates, struct cq_id user, int64_t now_ms, uint32_t *ret_index)
{
    uint64_t *at = idmap_get(&rates->by_user, user);
    struct rate_user *rate_user;

    if (at) {
        rate_user = &rates->users[*at];
        if (rate_user->sockets == RATE_SOCKETS_MAX)
            return false;
        rate_user->sockets++;
        *ret_index = (uint32_t)*at;
        return true;
    }
    if (rates->free == NONE && !grow(rates))
        return false;
    if (!idmap_put(&rates->by_user, user, rates->free))
        return false;
    *ret_index = rates->free;
    rate_user = &rates->users[rates->free];
    rates->free = rate_user->next_free;
    *rate_user = (struct rate_user){ .user = user, .sockets = 1, .used = true };
    rate_user->sends = bucket_full(rates->burst, now_ms);
    rate_user->receipts = bucket_full(rates->receipts_burst, now_ms);
    rate_user->signals = bucket_full(SIGNALS_BURST, now_ms);
    return true;
}

void rates_leave(struct rates *rates, uint32_t index)
{
    CQ_ASSERT(index < rates->cap && rates->users[index].used && rates->users[index].sockets > 0,
              index, rates->cap);
    rates->users[index].sockets--;
}

int64_t rates_take(struct rates *rates, uint32_t index, int64_t now_ms)
{
    return bucket_take(&rates->users[index].sends, rates->per_minute, rates->burst, now_ms);
}

int64_t rates_take_receipt(struct rates *rates, uint32_t index, int64_t now_ms)
{
    return bucket_take(&rates->users[index].receipts, rates->receipts_per_minute,
                       rates->receipts_burst, now_ms);
}

int64_t rates_take_signal(struct rates *rates, uint32_t index, int64_t now_ms)
{
    return bucket_take(&rates->users[index].signals, SIGNALS_PER_MINUTE, SIGNALS_BURST, now_ms);
}

uint32_t rates_looks(const struct rates *rates, uint32_t index)
{
    return rates->users[index].looks;
}

void rates_charge_looks(struct rates *rates, uint32_t index, int32_t change)
{
    struct rate_user *user = &rates->users[index];

    CQ_ASSERT(change >= 0 || user->looks >= (uint32_t)-change, user->looks, change);
    user->looks += (uint32_t)change;
}

bool rates_here(struct rates *rates, uint32_t index, bool here)
{
    struct rate_user *user = &rates->users[index];

    CQ_ASSERT(here ? user->here < user->sockets : user->here > 0, user->here, user->sockets);
    if (here)
        return user->here++ == 0;
    return --user->here == 0;
}

bool rates_is_here(const struct rates *rates, struct cq_id user)
{
    const uint64_t *at = idmap_get(&rates->by_user, user);

    return at && rates->users[*at].here > 0;
}

static bool is_full(struct rates *rates, struct rate_user *user, int64_t now_ms)
{
    return bucket_is_full(&user->sends, rates->per_minute, rates->burst, now_ms) &&
           bucket_is_full(&user->receipts, rates->receipts_per_minute, rates->receipts_burst,
                          now_ms) &&
           bucket_is_full(&user->signals, SIGNALS_PER_MINUTE, SIGNALS_BURST, now_ms);
}

void rates_sweep(struct rates *rates, uint32_t steps, int64_t now_ms)
{
    for (; steps && rates->cap; steps--) {
        uint32_t i = rates->sweep++ % rates->cap;
        struct rate_user *user = &rates->users[i];

        if (!user->used || user->sockets || !is_full(rates, user, now_ms))
            continue;
        idmap_remove(&rates->by_user, user->user);
        *user = (struct rate_user){ .next_free = rates->free };
        rates->free = i;
    }
}
