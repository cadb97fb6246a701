/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/changes.h - what changes a message that stands: edits and deletions into PostgreSQL.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/persistence/rows.h"

enum {
    CHANGES_VERSIONS =
        8, /* that are kept of a message, and signs of a user there: the newest ones that
                           * somebody may still read; 0036_bounds.sql has both numbers, too */
    CHANGES_EDITS = 64, /* of a message that are known by their ids, the newest ones */
};

/** After all that is in `rows` besides: messages, and who was there. A change of what is no message does
 * nothing, and neither does a repeat, or an older change after a newer one. Statuses of pg_run. */
CQ_MUST_CHECK enum cq_status changes_write(const struct rows *rows, struct pg *db,
                                           struct pg_params *params);
