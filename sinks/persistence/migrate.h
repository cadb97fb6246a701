/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/migrate.h - brings a database to this version's schemas. Each file is applied
 * once, in order, and remembered in migrations.applied with the hash of its text.
 */
#pragma once

#include "lib/pg/pg.h"

#include <stdio.h>

/**
 * Apply what is missing, one transaction a file, under an advisory lock; a line for each to `out`.
 * CQ_FATAL: a file that was applied has another text now, or a statement failed (see `out`).
 */
CQ_MUST_CHECK enum cq_status migrate_up(struct pg *db, FILE *out);

/** Hold or release the lock that keeps two migrations from running at once. */
CQ_MUST_CHECK enum cq_status migrate_lock(struct pg *db);
CQ_MUST_CHECK enum cq_status migrate_unlock(struct pg *db);

/** Inside a transaction of the caller: forget that the files of `owner` were applied, and apply
 * them. */
CQ_MUST_CHECK enum cq_status migrate_again(struct pg *db, const char *owner, FILE *out);
