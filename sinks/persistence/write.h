/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/write.h - rows into PostgreSQL: one statement a table, inside the caller's
 * transaction.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/persistence/rows.h"

/** Statuses of pg_run. `params` is the caller's, reused. `repeated`: messages that are there
 * already are skipped. Without it the statement fails on such a message (SQLSTATE 23505), and is
 * faster when there is none. */
CQ_MUST_CHECK enum cq_status rows_write(const struct rows *rows, struct pg *db,
                                        struct pg_params *params, bool repeated);
