/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/lines.h - what happened in a chat besides its messages.
 */
#pragma once

#include "edge/rest/view/messages.h"

/** A page of what `user` was told of it: the facts of his stays, the one that each began and the one that it ended with
 * among them. As history_ask says; `bytes` of lines end it. `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status view_lines(struct pg *db, const struct history_ask *ask,
                                        struct pg_result **ret);

/** Row i, as JSON; borrowed from the rows. */
struct cq_span line_at(const struct pg_result *rows, int i);

/** How many there would be without `bytes`, up to one more than the page. */
int64_t lines_found(const struct pg_result *rows);
