/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/polls.h - what messages ask, and what their readers chose, into PostgreSQL.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/persistence/rows.h"

/** After messages, and before what deletes them takes the poll with it. Statuses of pg_run. */
CQ_MUST_CHECK enum cq_status polls_write(const struct rows *rows, struct pg *db,
                                         struct pg_params *params);

/** After polls, and after what deletes them: a vote for what is no poll, or not any more, does nothing, and neither
 * does a repeat, or an older vote after a newer one. Statuses of pg_run. */
CQ_MUST_CHECK enum cq_status votes_write(const struct rows *rows, struct pg *db,
                                         struct pg_params *params);
