/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/rates.h - buckets of users: how many messages and how many receipts a user may send,
 * whatever the number of sockets, and how many sockets. A bucket outlives its user's sockets until
 * it is full again. Pure: times are passed in.
 */
#pragma once

#include "ingest/admission.h"
#include "lib/base/bucket.h"
#include "lib/base/idmap.h"

enum { RATE_SOCKETS_MAX = ADMIT_SOCKETS_MAX };

struct rate_user {
    struct cq_id user;
    struct bucket sends, receipts, signals;
    uint32_t sockets;
    uint32_t looks;     /* of all its sockets together */
    uint32_t here;      /* of its sockets, those in the foreground */
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

/** Rates of one user; `users_max`: users with a bucket at once. */
void rates_init(struct rates *rates, int64_t per_minute, int64_t receipts_per_minute,
                uint32_t users_max);
void rates_release(struct rates *rates);

/** One more socket of `user`. *ret_index stands for the user until rates_leave(). False: too many
 * sockets of this user, or too many users. */
CQ_MUST_CHECK bool rates_join(struct rates *rates, struct cq_id user, int64_t now_ms,
                              uint32_t *ret_index);

/** A socket that joined has ended. */
void rates_leave(struct rates *rates, uint32_t index);

/** Take one message. 0: it is allowed; else the ms until one is. */
int64_t rates_take(struct rates *rates, uint32_t index, int64_t now_ms);

/** The same for a receipt. */
int64_t rates_take_receipt(struct rates *rates, uint32_t index, int64_t now_ms);

/** The same of a look or a signal. */
int64_t rates_take_signal(struct rates *rates, uint32_t index, int64_t now_ms);

/** How many looks the user's sockets have, and `change` more of them. */
uint32_t rates_looks(const struct rates *rates, uint32_t index);
void rates_charge_looks(struct rates *rates, uint32_t index, int32_t change);

/** One more of its sockets is in the foreground, or one fewer. True: it is the first, or was the
 * last. */
bool rates_here(struct rates *rates, uint32_t index, bool here);

/** Whether one is. */
bool rates_is_here(const struct rates *rates, struct cq_id user);

/** Forget some users without sockets whose buckets are full again. */
void rates_sweep(struct rates *rates, uint32_t steps, int64_t now_ms);
