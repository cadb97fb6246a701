/* SPDX-License-Identifier: MIT */
/*
 * lib/pg/view_guard.h - for connections that read the view: none of their statements runs while the
 * view is incomplete (view.incomplete, kept by lib/feed/whole.c). The question is part of each
 * statement, and so of its snapshot: it costs no round trip, no rebuild can come in between, and a
 * statement that is added later asks it, too.
 */
#pragma once

#include "lib/pg/pg.h"

/** SQLSTATE of a statement that was not run; its status is CQ_AGAIN. */
#define VIEW_INCOMPLETE "55V01"

/* 3 stands for the keys and numbers of the view that the statements of this build rely on
 * (0013_numbers.sql): a build that does not know them is refused, too. */
static inline void view_guard(struct pg *db)
{
    pg_guard(db, "view.", "(SELECT view.whole(EXISTS (SELECT 1 FROM view.incomplete), 3))");
}

/** Whether the last failure was that the view is incomplete. */
static inline bool view_is_incomplete(const struct pg *db)
{
    return strcmp(pg_sqlstate(db), VIEW_INCOMPLETE) == 0;
}
