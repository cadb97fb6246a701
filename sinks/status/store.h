/* SPDX-License-Identifier: MIT */
/*
 * sinks/status/store.h - what a turn needs of the view, and what it leaves there: a few statements
 * whatever the size of the turn, all inside the caller's transaction.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/status/ticks.h"

/** Load users, stays, cursors and marks of the chats gathered. What they need lives in `a`.
 * Statuses of pg_run, or CQ_FATAL when the arena is full. */
CQ_MUST_CHECK enum cq_status store_load(struct ticks *t, struct pg *c, struct pg_params *p,
                                        struct cq_arena *a);

/** Write what ticks_apply() moved. */
CQ_MUST_CHECK enum cq_status store_save(struct ticks *t, struct pg *c, struct pg_params *p,
                                        struct cq_arena *a);

/** Called for each sender found in a range; more than once for a user is possible. */
typedef enum cq_status store_sender_fn(void *arg, const struct tick_range *range,
                                       struct cq_id sender);

CQ_MUST_CHECK enum cq_status store_senders(const struct ticks *t, struct pg *c, struct pg_params *p,
                                           struct cq_arena *a, store_sender_fn *fn, void *arg);
