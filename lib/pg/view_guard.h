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

/* 2 stands for what the statements of this build take for granted of the view's keys
 * (0011_part.sql): a build that does not know them is sent away, too. */
static inline void view_guard(struct pg *c)
{
    pg_guard(c, "view.", "(SELECT view.whole(EXISTS (SELECT 1 FROM view.incomplete), 2))");
}

/** Whether the last failure was that. */
static inline bool view_is_incomplete(const struct pg *c)
{
    return strcmp(pg_sqlstate(c), VIEW_INCOMPLETE) == 0;
}
