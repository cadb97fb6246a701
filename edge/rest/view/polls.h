/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/polls.h - what a vote has to keep to, and who chose what.
 */
#pragma once

#include "edge/rest/view/messages.h"

/** A poll, for who wants to vote in it. */
struct ballot {
    int32_t options_n, choices;
    bool is_closed; /* by its author, or by now */
    int32_t chosen; /* by this user, a bit an option */
    int64_t seq;    /* of that vote; 0: there never was one */
};

/** The poll at `target`, which `user` may see. *ret_there: false where the message is none. */
CQ_MUST_CHECK enum cq_status view_ballot(struct pg *db, struct cq_id chat, int64_t target,
                                         struct cq_id user, struct ballot *ret, bool *ret_there);

/** Who chose what, as JSON: a list, the oldest vote first, of all who chose anything; of an anonymous poll, and of one
 * whose result is not shown to `reader`, no more than his own vote. One row, owned by the caller. */
CQ_MUST_CHECK enum cq_status view_votes(struct pg *db, struct cq_id chat, int64_t target,
                                        struct cq_id reader, struct pg_result **ret);
