/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/requests.h - who asks to be let into a group.
 */
#pragma once

#include "lib/pg/pg.h"

/* Whether the row `r` of view.requests is open: whoever came into the group since does not ask any more. */
#define VIEW_REQUEST_OPEN(r)                                                              \
    "(" r ".ended_seq = 0 AND " r ".expires_at > view.now_ms() AND NOT EXISTS (SELECT 1 " \
    "FROM view.members rm WHERE rm.part = " r ".part AND rm.chat_id = " r ".chat_id "     \
    "AND rm.user_id = " r ".user_id AND rm.joined_seq > " r ".seq))"

/** Spans are borrowed from the rows. */
struct request_row {
    struct cq_id id;     /* who asks; of one's own: which group */
    struct cq_span name; /* of that */
    int64_t at_ms, expires_ms;
    struct cq_id invited_by; /* who made the link */
};

/** Those of a group, the first first. `*ret` is owned by the caller, here and below. */
CQ_MUST_CHECK enum cq_status view_requests(struct pg *db, struct cq_id chat,
                                           struct pg_result **ret);

/** Those of `user`, the latest first. */
CQ_MUST_CHECK enum cq_status view_requests_of(struct pg *db, struct cq_id user,
                                              struct pg_result **ret);
struct request_row request_at(const struct pg_result *rows, int i);

/** Whether `user` asks to be let into the chat. */
CQ_MUST_CHECK enum cq_status view_request_open(struct pg *db, struct cq_id chat, struct cq_id user,
                                               bool *ret);
