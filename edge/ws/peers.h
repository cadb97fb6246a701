/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/peers.h - how many people a user may write to in direct chats a day. A gateway cannot
 * know whether somebody is registered: only PostgreSQL does, which it never asks. So a daily limit
 * stops users who make up people and chats with them. Counted in memory, in one gateway, from one
 * midnight (UTC) to the next; the same person again is free. Pure: times are passed in.
 */
#pragma once

#include "lib/base/idmap.h"

enum {
    PEERS_PAIRS_MAX = 512 * 1024, /* of user and person: 32 MiB. When they are full all are
                                     forgotten, rather than refuse everybody */
    PEERS_USERS_MAX = 256 * 1024,
};

struct peers {
    int64_t most;        /* people, for a user and a day */
    int64_t day;         /* days since 1970 that the maps are about */
    struct idmap pairs;  /* derived from user and person */
    struct idmap counts; /* user → people written to */
};

/** `most`: DIRECT_PEERS_DAY. */
void peers_init(struct peers *peers, int64_t most);
void peers_release(struct peers *peers);

/** Whether `user` may write to `peer` at wall time `now_ms`: 0, or ms until the next day. */
int64_t peers_take(struct peers *peers, struct cq_id user, struct cq_id peer, int64_t now_ms);
