/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/rejected.h - what was refused, and changes that were accepted and fit no message. Both
 * are rows of view.rejected, which is bounded here.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/persistence/rows.h"

/* 0040_rejected.sql has these numbers, too. A partition's rows have one writer, so which are the newest is the
 * same whatever came at the same time in others, and after a rebuild. */
enum {
    REJECTED_STALE = 64,    /* of a user and partition that sync may tell, the newest ones */
    REJECTED_OTHERS = 1000, /* the same of what only the request of its own asks for */
    REJECTED_DAYS = 30,     /* as `rejections` has it */
    REJECTED_SWEPT = 500,   /* by one statement, at most */
};

/** After messages and what was refused: a row for each target that is no message, and of each user named in
 * `rows` no more rows than may stay. Statuses of pg_run. */
CQ_MUST_CHECK enum cq_status rejected_write(const struct rows *rows, struct pg *db,
                                            struct pg_params *params);

/** Drop what is older than REJECTED_DAYS of these partitions of chat.actions. `*ret_full`: there may be
 * more. Statuses of pg_run. */
CQ_MUST_CHECK enum cq_status rejected_sweep(struct pg *db, struct pg_params *params,
                                            const int32_t *partitions, size_t n, bool *ret_full);
