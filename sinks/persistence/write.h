/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/write.h - rows into PostgreSQL: one statement a table, inside the caller's
 * transaction.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/persistence/rows.h"

/** Statuses of pg_run. `params` is the caller's, reused. `repeated`: messages that stand already
 * are passed over; without it one of them refuses the whole (SQLSTATE 23505), and the others are
 * written faster. */
CQ_MUST_CHECK enum cq_status rows_write(const struct rows *r, struct pg *c,
                                        struct pg_params *params, bool repeated);
