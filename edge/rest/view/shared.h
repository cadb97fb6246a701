/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/shared.h - the messages of a chat that show a file, or whose text has an address.
 */
#pragma once

#include "edge/rest/view/messages.h"

/** A page of those that lie in a stay of `user`, from `before` back. */
struct shared_ask {
    struct cq_id chat, user;
    int64_t before;       /* a seq, outside of it */
    bool links;           /* those with an address instead */
    bool has_type;        /* only messages of … */
    int32_t type;         /* … this enum message_type */
    int64_t limit, bytes; /* rows, and bytes of content that end it */
};

/** `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status view_shared(struct pg *db, const struct shared_ask *ask,
                                         struct pg_result **ret);

/** The seq of row i. *ret_shown false: nothing of it is to be seen any more, and it has a place alone.
 * message_at() reads the rest. */
int64_t shared_at(const struct pg_result *rows, int i, bool *ret_shown);

/** How many there would be without `bytes`, up to one more than the page. */
int64_t shared_found(const struct pg_result *rows);
