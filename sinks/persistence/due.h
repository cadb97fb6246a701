/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/due.h - messages whose time is over are emptied. Readers do not wait for it: they go by the
 * time itself (view.message_for()).
 */
#pragma once

#include "lib/pg/pg.h"

enum {
    DUE_ROWS = 500,      /* emptied by one statement, at most */
    DUE_EVERY_MS = 5000, /* where nothing more is due */
};

/** Empty what is due in `parts`. `*ret_full`: there may be more. Statuses of pg_run. */
CQ_MUST_CHECK enum cq_status due_empty(struct pg *db, struct pg_params *params,
                                       const int32_t *parts, size_t parts_n, bool *ret_full);
