/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/rates.h - buckets of users: how many messages and how many receipts a user may send,
 * whatever the number of sockets, and how many sockets. A bucket outlives its user's sockets until
 * it is full again. Pure: times are passed in.
 */
#pragma once

#include "lib/base/bucket.h"
#include "lib/base/idmap.h"

enum { RATE_SOCKETS_MAX = 32 }; /* of one user, in one gateway */

struct rate_user {
    struct cq_id user;
    struct bucket sends, receipts;
    uint32_t sockets;
    uint32_t next_free; /* in the free list */
    bool used;
};

struct rates {
    int64_t per_minute, burst; /* of messages; burst in tokens */
    int64_t receipts_per_minute, receipts_burst;
    struct idmap by_user;    /* → index */
    struct rate_user *users; /* owned */
    uint32_t cap, free, max; /* `free`: first of the free list, UINT32_MAX: none */
    uint32_t sweep;          /* where the next sweep begins */
};

void rates_init(struct rates *r, int64_t per_minute, int64_t receipts_per_minute,
                uint32_t users_max);
void rates_release(struct rates *r);

/** One more socket of `user`. False: too many, of this user or of users. */
CQ_MUST_CHECK bool rates_join(struct rates *r, struct cq_id user, int64_t now_ms,
                              uint32_t *ret_index);
void rates_leave(struct rates *r, uint32_t index);

/** One message. Returns 0, or ms until the next one is allowed. */
int64_t rates_take(struct rates *r, uint32_t index, int64_t now_ms);

/** The same of a receipt. */
int64_t rates_take_receipt(struct rates *r, uint32_t index, int64_t now_ms);

/** Forget some users without sockets whose buckets are full again. */
void rates_sweep(struct rates *r, uint32_t steps, int64_t now_ms);
