/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/costs_invites.h - a group with as many links as it keeps, each used as often as one may be, but once.
 */
#pragma once

#include "processors/chat/requests.h"

/** Before `seq`. The first has `id` for its id and hash, and holds; the others count up from there. `leaver` makes room for one who
 * joins. */
static inline bool fill_invites(struct group *group, struct cq_id id, struct cq_id leaver,
                                int64_t seq, bool approval)
{
    const struct member_change leaves = { leaver, MEMBER_CHANGE_KIND_REMOVE };
    struct invite_kept invite = { .by = id,
                                  .most = LIMIT_INVITE_ASKED_USES_MAX,
                                  .approval = approval };

    for (int n = 0; n < INVITES_LATELY - 1; n++) {
        bool holds = n < LIMIT_INVITES - 1;

        invite.invite_id = invite.hash = id;
        invite.invite_id.b[0] ^= (uint8_t)n;
        invite.hash.b[0] ^= (uint8_t)n;
        invite.made_seq = seq - INVITES_WINDOW + n;
        if (invite_make(group, &invite) != CQ_OK)
            return false;
        if (!holds)
            invite_end(group, &group->invites[n], seq - 1);
        for (int64_t i = 1; holds && i < LIMIT_INVITE_ASKED_USES_MAX; i++)
            if (invite_use(group, &group->invites[n], invite.made_seq + i) != CQ_OK)
                return false;
    }
    return group_apply(group, &leaves, 1, seq - 1) == CQ_OK;
}

/** As many requests as a group keeps; `guest` asks by the link `invite`, as do as many as may. */
static inline bool fill_requests(struct group *group, struct cq_id guest, struct cq_id invite,
                                 int64_t seq)
{
    struct request_kept request = { .invite_id = invite, .user_id = guest };

    for (int n = 0; n < REQUESTS_LATELY; n++) {
        request.seq = seq - INVITES_WINDOW + n;
        request.expires_at_ms = REQUEST_MS + n; /* in the order of their making */
        if (n)
            request.user_id.b[n % 2] ^= (uint8_t)(n / 2 + 1);
        if (request_make(group, &request) != CQ_OK)
            return false;
        if (n >= LIMIT_REQUESTS)
            request_end(group, &group->requests[n], seq - 1);
    }
    return true;
}

/** What a kind about links asks for; nothing for others. */
static inline bool fill_links(enum chat_action_action_kind kind, struct group *group,
                              struct cq_id invite, struct cq_id leaver, struct cq_id guest,
                              int64_t seq, bool approval)
{
    bool answers = kind == CHAT_ACTION_REQUEST_ANSWERED;

    if (!answers && kind != CHAT_ACTION_INVITE_ASKED && kind != CHAT_ACTION_INVITE_WITHDRAWN &&
        kind != CHAT_ACTION_INVITE_USED)
        return true;
    return fill_invites(group, invite, leaver, seq, approval) &&
           (!answers || fill_requests(group, guest, invite, seq));
}
