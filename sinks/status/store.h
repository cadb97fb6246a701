/* SPDX-License-Identifier: MIT */
/*
 * sinks/status/store.h - what a turn needs of the view, and what it leaves there: a few statements
 * whatever the size of the turn, all inside the caller's transaction.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/status/ticks.h"

/** Load users, stays, cursors and marks of the chats gathered. What they need lives in `arena`.
 * Statuses of pg_run, or CQ_FATAL when the arena is full. */
CQ_MUST_CHECK enum cq_status store_load(struct ticks *ticks, struct pg *db,
                                        struct pg_params *params, struct cq_arena *arena);

/** Load the gaps of the direct chats in which somebody may have to be told, as the view has them now:
 * they say what a tick does not tell, and nothing that is kept. */
CQ_MUST_CHECK enum cq_status store_gaps(struct ticks *ticks, struct pg *db,
                                        struct pg_params *params, struct cq_arena *arena);

/** Write what ticks_apply() moved. */
CQ_MUST_CHECK enum cq_status store_save(struct ticks *ticks, struct pg *db,
                                        struct pg_params *params, struct cq_arena *arena);

struct store_sender {
    struct cq_id user;
    bool sees_reads; /* his read receipts are on: he is told what others have read */
};

/** Called for each sender found in a range; more than once for a user is possible. */
typedef enum cq_status store_sender_fn(void *arg, const struct tick_range *range,
                                       const struct store_sender *sender);

CQ_MUST_CHECK enum cq_status store_senders(const struct ticks *ticks, struct pg *db,
                                           struct pg_params *params, struct cq_arena *arena,
                                           store_sender_fn *fn, void *arg);
