/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/blocks.h - whom a user blocks.
 */
#pragma once

#include "lib/pg/pg.h"

struct block_row {
    struct cq_id user, chat; /* the direct chat with him */
    struct cq_span name;     /* borrowed from the rows */
    int64_t since_ms;
};

/** A page of them, in the order of the ids of the direct chats, behind the chat `behind`; zero: from the
 * beginning. `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status view_blocks(struct pg *db, struct cq_id user, struct cq_id behind,
                                         int64_t limit, struct pg_result **ret);
struct block_row block_at(const struct pg_result *rows, int i);

/** Whether `user` blocks as many as one may, without counting the other of `chat`. */
CQ_MUST_CHECK enum cq_status view_blocks_full(struct pg *db, struct cq_id user, struct cq_id chat,
                                              bool *ret);
