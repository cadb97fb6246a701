/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/sweep.h - deletes rows of schema auth that have expired.
 */
#pragma once

#include "edge/auth/budgets.h"

enum { SWEEP_ROWS = 500 /* of a table in one call */ };

/** At most SWEEP_ROWS rows of each table: challenges a day and an hour old, refresh tokens used or
 * expired for a week, devices ended for a month, links, places, lookups and buckets whose time has passed.
 * `*ret_rows`: how many went. `*ret_more`: a table reached that number. Several processes may do it
 * at once. */
CQ_MUST_CHECK enum cq_status auth_sweep(struct pg *db, int64_t now_ms, int64_t *ret_rows,
                                        bool *ret_more);
