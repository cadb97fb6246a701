/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/changes.h - what changes a message that stands: edits and deletions into PostgreSQL.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/persistence/rows.h"

/** After all that is in `rows` besides: messages, and who was there. A change of what is no message does
 * nothing, and neither does a repeat, or an older change after a newer one. Statuses of pg_run. */
CQ_MUST_CHECK enum cq_status changes_write(const struct rows *rows, struct pg *db,
                                           struct pg_params *params);
