/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/hidden.h - messages that a user sees no more, into PostgreSQL.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/persistence/rows.h"

/** After all that is in `rows` besides. What is no message does nothing, and neither does a repeat. Statuses of
 * pg_run. */
CQ_MUST_CHECK enum cq_status hidden_write(const struct rows *rows, struct pg *db,
                                          struct pg_params *params);
