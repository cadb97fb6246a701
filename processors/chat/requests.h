/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/requests.h - who asks to be let into a group. Asked at the exact seq of an action, as its links are.
 */
#pragma once

#include "processors/chat/invites.h"
#include "schemas/topics.h"

enum {
    /* of a group that are open, or ended within the window, and above that none is made */
    REQUESTS_LATELY = 512,
    REQUESTS_OF_ONE = 5, /* of those, by one user: as many users as may ask at once find room */
};

/* What a group keeps at most. Of what ended within two windows there are as many as may have ended within each; uses are of
 * links that held when the two began, one an offset since, and of those that hold. */
enum {
    INVITES_KEPT = 2 * INVITES_LATELY,
    INVITE_USES_KEPT = 2 * LIMIT_INVITES * LIMIT_INVITE_ASKED_USES_MAX + 2 * INVITES_WINDOW,
    REQUESTS_KEPT = 2 * (REQUESTS_LATELY + LIMIT_REQUESTS),
    /* a value of topic members with all of it: an id is 16 bytes, a number at most 10, one of a few words 1 */
    MEMBERS_BYTES_MAX = 1024 + GROUP_STAYS_MAX * (16 + 1 + 10 + 10) + GROUP_TIMERS_MAX * (10 + 10) +
                        RIGHT_N * GROUP_RIGHTS_MAX * (10 + 1 + 1) +
                        INVITES_KEPT * (3 * 16 + 4 * 10 + 1 + 10) + INVITE_USES_KEPT * 10 +
                        REMOVED_KEPT * (16 + 2 * 10) + REQUESTS_KEPT * (2 * 16 + 3 * 10),
};
_Static_assert((int)MEMBERS_BYTES_MAX < (int)TOPIC_RECORD_MAX, "more than a record may have");

/** How long a request is open, in log time. */
#define REQUEST_MS ((int64_t)LIMIT_REQUEST_DAYS * 24 * 60 * 60 * 1000)

/** Take over those of a value of topic members. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status group_restore_requests(struct group *group,
                                                    const struct chat_members *value);

/** The request of `user` that is open at `seq`; or NULL. */
struct request_kept *request_find(const struct group *group, struct cq_id user, int64_t seq,
                                  int64_t log_ms);

/** Whether one by that link is open at `seq`. */
bool request_by(const struct group *group, struct cq_id invite, int64_t seq, int64_t log_ms);

/** Whether `user` may make another at `seq`. */
bool requests_have_room(const struct group *group, struct cq_id user, int64_t seq, int64_t log_ms);

/** From its seq on; making it again changes nothing. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status request_make(struct group *group, const struct request_kept *request);

void request_end(struct group *group, struct request_kept *request, int64_t seq);

/** All by that link end at `seq`. */
void requests_end_by(struct group *group, struct cq_id invite, int64_t seq);

/** Those of who is added end at `seq`. `named`: the change of each who has one. */
void requests_end_added(struct group *group, const struct idmap *named, int64_t seq);
