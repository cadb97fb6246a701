/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/requests.h - who asks to be let into a group. Asked at the exact seq of an action, as its links are.
 */
#pragma once

#include "processors/chat/invites.h"

enum {
    /* of a group that are open, or ended within the window, and above that none is made */
    REQUESTS_LATELY = 512,
};

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

/** Whether another may be made at `seq`. */
bool requests_have_room(const struct group *group, int64_t seq, int64_t log_ms);

/** From its seq on; making it again changes nothing. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status request_make(struct group *group, const struct request_kept *request);

void request_end(struct group *group, struct request_kept *request, int64_t seq);

/** All by that link end at `seq`. */
void requests_end_by(struct group *group, struct cq_id invite, int64_t seq);

/** Those of who is added end at `seq`. `named`: the change of each who has one. */
void requests_end_added(struct group *group, const struct idmap *named, int64_t seq);
