/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/pins.h - messages that a chat has pinned, and that a user starred.
 */
#pragma once

#include "edge/rest/view/messages.h"

/** Whether a message of a chat is pinned, by its seq. */
CQ_MUST_CHECK enum cq_status view_pinned(struct pg *db, struct cq_id chat, int64_t target,
                                         bool *ret);

/** Whether `user` has starred as many messages as one may. */
CQ_MUST_CHECK enum cq_status view_stars_full(struct pg *db, struct cq_id user, bool *ret);

/** Where a star stands in the list of its user: the latest first. */
struct star_place {
    int64_t at_ms;
    struct cq_id chat;
    int64_t target;
};

/** A page of what `user` starred, behind `behind`; NULL: from the beginning. `bytes` of content end it, and
 * `limit` rows. `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status view_stars(struct pg *db, struct cq_id user,
                                        const struct star_place *behind, int64_t limit,
                                        int64_t bytes, struct pg_result **ret);

/** Row i; false: nothing of it is to be seen any more, and it has a place alone. message_at() reads the rest. */
bool star_at(const struct pg_result *rows, int i, struct star_place *ret_place);

/** How many there would be without `bytes`, up to one more than the page. */
int64_t stars_found(const struct pg_result *rows);
