/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/pins.h - messages that a chat has pinned, and that users starred, into PostgreSQL.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/persistence/rows.h"

/** After messages and what deletes them: of each pin it is asked what stood at its seq. What is no message does
 * nothing, and neither does a repeat. Statuses of pg_run. */
CQ_MUST_CHECK enum cq_status pins_write(const struct rows *rows, struct pg *db,
                                        struct pg_params *params);

/** After messages, and before what deletes and hides them takes the stars with it. What is no message does
 * nothing, and neither does a repeat, or an older fact after a newer one. Statuses of pg_run. */
CQ_MUST_CHECK enum cq_status stars_write(const struct rows *rows, struct pg *db,
                                         struct pg_params *params);
