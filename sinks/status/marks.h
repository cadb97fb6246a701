/* SPDX-License-Identifier: MIT */
/*
 * sinks/status/marks.h - receipts into cursors, cursors into marks, and whom a moved mark concerns.
 * All of it inside the caller's transaction, a few statements a turn whatever its size.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/status/receipts.h"

/** One user to be told: all others have, have read everything in the chat up to these seqs. */
typedef enum cq_status marks_tell_fn(void *arg, size_t touched, struct cq_id user,
                                     int64_t delivered, int64_t read);

/** `touched` in the callback is an index into r's chats. Statuses of pg_run, or what the callback
 * said. */
CQ_MUST_CHECK enum cq_status marks_apply(const struct receipts *r, struct pg *c,
                                         struct pg_params *params, marks_tell_fn *tell, void *arg);
