/* SPDX-License-Identifier: MIT */
#include "processors/chat/requests.h"

#include "lib/base/array.h"

enum cq_status group_restore_requests(struct group *group, const struct chat_members *value)
{
    group->requests_n = 0;
    if (!array_room(&group->requests, &group->requests_cap, value->requests_n,
                    sizeof *group->requests, 1))
        return CQ_FATAL;
    for (size_t i = 0; i < value->requests_n; i++)
        group->requests[group->requests_n++] = value->requests[i];
    return CQ_OK;
}

/* Made before `seq`, and not ended before it, nor over. */
static bool is_open(const struct request_kept *request, int64_t seq, int64_t log_ms)
{
    return request->seq < seq && (!request->ended_seq || request->ended_seq >= seq) &&
           log_ms < request->expires_at_ms;
}

struct request_kept *request_find(const struct group *group, struct cq_id user, int64_t seq,
                                  int64_t log_ms)
{
    for (size_t i = 0; i < group->requests_n; i++)
        if (id_eq(group->requests[i].user_id, user) && is_open(&group->requests[i], seq, log_ms))
            return &group->requests[i];
    return NULL;
}

bool request_by(const struct group *group, struct cq_id invite, int64_t seq, int64_t log_ms)
{
    for (size_t i = 0; i < group->requests_n; i++)
        if (id_eq(group->requests[i].invite_id, invite) &&
            is_open(&group->requests[i], seq, log_ms))
            return true;
    return false;
}

/* Where it ended, or may have: what is over by time is ended when another is made. */
static bool ended_within(const struct request_kept *request, int64_t seq, int64_t window)
{
    return seq_offset(request->ended_seq) >= seq_offset(seq) - window;
}

bool requests_have_room(const struct group *group, struct cq_id user, int64_t seq, int64_t log_ms)
{
    size_t open = 0, lately = 0, own = 0;

    for (size_t i = 0; i < group->requests_n; i++) {
        const struct request_kept *request = &group->requests[i];

        if (request->seq >= seq)
            continue;
        open += is_open(request, seq, log_ms);
        if (is_open(request, seq, log_ms) || ended_within(request, seq, INVITES_WINDOW)) {
            lately++;
            own += id_eq(request->user_id, user);
        }
    }
    return open < LIMIT_REQUESTS && own < REQUESTS_OF_ONE && lately < REQUESTS_LATELY;
}

static void end_over(struct group *group, int64_t seq, int64_t log_ms)
{
    for (size_t i = 0; i < group->requests_n; i++) {
        struct request_kept *request = &group->requests[i];

        if (request->seq < seq && !request->ended_seq && log_ms >= request->expires_at_ms)
            request->ended_seq = seq;
    }
}

static void forget_ended(struct group *group, int64_t seq)
{
    size_t kept = 0;

    for (size_t i = 0; i < group->requests_n; i++) {
        const struct request_kept *request = &group->requests[i];

        if (!request->ended_seq || ended_within(request, seq, 2 * INVITES_WINDOW))
            group->requests[kept++] = *request;
    }
    group->requests_n = kept;
}

enum cq_status request_make(struct group *group, const struct request_kept *request)
{
    group_changed_at(group, request->seq);
    for (size_t i = 0; i < group->requests_n; i++)
        if (group->requests[i].seq == request->seq)
            return CQ_OK; /* a replay */
    end_over(group, request->seq, request->expires_at_ms - REQUEST_MS);
    forget_ended(group, request->seq);
    if (!array_room(&group->requests, &group->requests_cap, group->requests_n + 1,
                    sizeof *group->requests, 1))
        return CQ_FATAL;
    group->requests[group->requests_n++] = *request;
    return CQ_OK;
}

void request_end(struct group *group, struct request_kept *request, int64_t seq)
{
    group_changed_at(group, seq);
    if (!request->ended_seq)
        request->ended_seq = seq;
}

void requests_end_by(struct group *group, struct cq_id invite, int64_t seq)
{
    for (size_t i = 0; i < group->requests_n; i++)
        if (id_eq(group->requests[i].invite_id, invite) && group->requests[i].seq < seq)
            request_end(group, &group->requests[i], seq);
}

void requests_end_added(struct group *group, const struct idmap *named, int64_t seq)
{
    for (size_t i = 0; i < group->requests_n; i++) {
        struct request_kept *request = &group->requests[i];
        const uint64_t *change =
            request->seq < seq && !request->ended_seq ? idmap_get(named, request->user_id) : NULL;

        if (change && *change == MEMBER_CHANGE_KIND_ADD)
            request_end(group, request, seq);
    }
}
