/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/peers.h - to how many people a user may write in direct chats a day. A gateway cannot
 * know whether somebody is registered: that stands in PostgreSQL, which it never asks. So users who
 * make up people, and chats with them, are stopped by a number a day instead. Counted in memory, in
 * one gateway, from one midnight (UTC) to the next; the same person again is free. Pure: times are
 * passed in.
 */
#pragma once

#include "lib/base/idmap.h"

enum {
    PEERS_PAIRS_MAX = 512 * 1024, /* of user and person: 32 MiB. When they are full all are
                                     forgotten, rather than refuse everybody */
    PEERS_USERS_MAX = 256 * 1024,
};

struct peers {
    int64_t most;        /* people a user and day */
    int64_t day;         /* days since 1970 that the maps are about */
    struct idmap pairs;  /* derived from user and person */
    struct idmap counts; /* user → people written to */
};

void peers_init(struct peers *p, int64_t most);
void peers_release(struct peers *p);

/** Whether `user` may write to `peer` at wall time `now_ms`: 0, or ms until the next day. */
int64_t peers_take(struct peers *p, struct cq_id user, struct cq_id peer, int64_t now_ms);
