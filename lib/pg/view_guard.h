/* SPDX-License-Identifier: MIT */
/*
 * lib/pg/view_guard.h - for connections that read the view: no statement on it runs while it is
 * incomplete (view.incomplete, kept by lib/feed/whole.c). The question is part of the statement,
 * and so of its snapshot: it costs no round trip, no rebuild comes between, and a statement that is
 * added later asks it, too.
 */
#pragma once

#include "lib/pg/pg.h"

/** SQLSTATE of a statement that was not run; its status is CQ_AGAIN. */
#define VIEW_INCOMPLETE "55V01"

static inline void view_guard(struct pg *c)
{
    pg_guard(c, "view.", "(SELECT view.whole(EXISTS (SELECT 1 FROM view.incomplete)))");
}

/** Whether the last failure was that. */
static inline bool view_is_incomplete(const struct pg *c)
{
    return strcmp(pg_sqlstate(c), VIEW_INCOMPLETE) == 0;
}
