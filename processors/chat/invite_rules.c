/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/invite_rules.c - links by which others join a group. Whoever has no link that holds is told the same,
 * whatever there is: no group, no such link, or one that is over.
 */
#include "processors/chat/requests.h"
#include "processors/chat/rules.h"
#include "schemas/names.h"

/* The group, when the author is in it and may add others; else NULL and why not. */
static struct group *find_own(const struct chat_step *step, const char **ret_code)
{
    struct group *group = groups_find(&step->state->groups, step->action->chat_id);
    bool is_in = group && group_stay(group, step->action->user_id, step->seq);

    *ret_code = !is_in ? "not_found" : !chat_may(step, RIGHT_ADD) ? "forbidden" : NULL;
    return *ret_code ? NULL : group;
}

/* ---- made --------------------------------------------------------------------------------- */

static struct invite_kept asked_for(const struct chat_step *step)
{
    const struct invite_asked *asked = &step->action->action.u.invite_asked;

    return (struct invite_kept){
        .invite_id = asked->invite_id,
        .hash = asked->hash,
        .by = step->action->user_id,
        .made_seq = step->seq,
        .expires_at_ms = asked->seconds ? step->log_ms + 1000 * asked->seconds : 0,
        .most = asked->uses,
        .approval = asked->approval,
    };
}

static enum cq_status make_invite(struct chat_step *step, struct group *group,
                                  const struct invite_made *made)
{
    const struct invite_kept invite = asked_for(step);
    struct chat_event *event = chat_emit_event(step);
    enum cq_status st;
    size_t ended_n;
    struct cq_id *ended = invites_end_over(group, step->seq, step->log_ms, step->arena, &ended_n);

    if (!event)
        return CQ_FATAL;
    if (!ended)
        return CQ_AGAIN;
    event->event.kind = CHAT_EVENT_INVITE_MADE;
    event->event.u.invite_made = *made;
    event->event.u.invite_made.ended = ended;
    event->event.u.invite_made.ended_n = ended_n;
    st = invite_make(group, &invite);
    return st == CQ_OK ? chat_emit_members(step, group) : st;
}

static bool within_bounds(const struct invite_asked *asked)
{
    return asked->seconds >= 0 && asked->seconds <= LIMIT_INVITE_ASKED_SECONDS_MAX &&
           asked->uses >= 0 && asked->uses <= LIMIT_INVITE_ASKED_USES_MAX;
}

/* Whether what was made at `made_seq` still holds: the view shows no other. */
static bool still_holds(const struct chat_step *step, const struct group *group, int64_t made_seq)
{
    for (size_t i = 0; i < group->invites_n; i++)
        if (group->invites[i].made_seq == made_seq)
            return invite_find(group, group->invites[i].invite_id, step->seq);
    return false;
}

/* Who asks again under the same client id finds the first in the view; or is told that it ended. */
static enum cq_status rule_invite_asked(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct invite_asked *asked = &action->action.u.invite_asked;
    const struct invite_kept invite = asked_for(step);
    struct chat_event made = {
        .chat_id = action->chat_id,
        .seq = step->seq,
        .user_id = action->user_id,
        .client_id = action->client_id,
        .event.kind = CHAT_EVENT_INVITE_MADE,
        .event.u.invite_made = { .invite_id = invite.invite_id,
                                 .hash = invite.hash,
                                 .has_expires_at_ms = invite.expires_at_ms != 0,
                                 .expires_at_ms = invite.expires_at_ms,
                                 .uses = invite.most,
                                 .approval = invite.approval },
    };
    const struct dedupe_entry *first;
    struct dedupe_entry entry;
    enum cq_status st;
    const char *code;
    struct group *group = find_own(step, &code);

    if (!group)
        return chat_reject(step, action->chat_id, code);
    if (!action->client_id.n || !within_bounds(asked))
        return chat_reject(step, action->chat_id, "bad_request");
    if (!chat_dedupe_entry(&made, step->log_ms, &entry))
        return CQ_FATAL;
    first = chat_first(step, entry.id);
    if (first) {
        step->repeated = first->content == entry.content && still_holds(step, group, first->seq);
        return step->repeated ? CQ_OK : chat_reject(step, action->chat_id, "conflict");
    }
    if (!invites_have_room(group, action->user_id, step->seq, step->log_ms))
        return chat_reject(step, action->chat_id, "too_many_invites");
    st = make_invite(step, group, &made.event.u.invite_made);
    return st == CQ_OK ? dedupe_add(&step->state->dedupe, &entry) : st;
}
const struct chat_rule chat_rule_invite_asked = {
    rule_invite_asked, TOPIC_BIT(TOPIC_CHAT_EVENTS) | TOPIC_BIT(TOPIC_MEMBERS) |
                           TOPIC_BIT(TOPIC_USER_INBOX) | TOPIC_BIT(TOPIC_REJECTIONS)
};

static enum cq_status rule_invite_withdrawn(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    struct cq_id id = action->action.u.invite_withdrawn.invite_id;
    struct invite_kept *invite = NULL;
    struct chat_event *event;
    const char *code;
    struct group *group = find_own(step, &code);

    if (group && !(invite = invite_find(group, id, step->seq)))
        code = "not_found";
    if (code)
        return chat_reject(step, action->chat_id, code);
    if (!(event = chat_emit_event(step)))
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_INVITE_ENDED;
    event->event.u.invite_ended.invite_id = id;
    invite_end(group, invite, step->seq);
    requests_end_by(group, id, step->seq); /* whoever came by it came by nothing */
    return chat_emit_members(step, group);
}
const struct chat_rule chat_rule_invite_withdrawn = {
    rule_invite_withdrawn, TOPIC_BIT(TOPIC_CHAT_EVENTS) | TOPIC_BIT(TOPIC_MEMBERS) |
                               TOPIC_BIT(TOPIC_USER_INBOX) | TOPIC_BIT(TOPIC_REJECTIONS)
};

/* ---- used --------------------------------------------------------------------------------- */

/* Who is in it already; an event says that the view has come past. */
static enum cq_status change_nothing(struct chat_step *step)
{
    struct chat_event *event = chat_emit_event(step);

    if (!event)
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_MEMBERSHIP_CHANGED;
    step->repeated = true;
    return CQ_OK;
}

/* The entry of the dedupe window of somebody who comes by a link. */
static bool entry_of_join(const struct chat_step *step, const struct invite_kept *invite,
                          struct dedupe_entry *ret)
{
    const struct chat_action *action = step->action;
    struct member_change change = { action->user_id, MEMBER_CHANGE_KIND_ADD };
    const struct chat_event event = {
        .chat_id = action->chat_id,
        .seq = step->seq,
        .user_id = action->user_id,
        .client_id = action->client_id,
        .event = { CHAT_EVENT_MEMBERSHIP_CHANGED,
                   .u.membership_changed = { .changes = &change,
                                             .changes_n = 1,
                                             .has_invite_id = true,
                                             .invite_id = invite->invite_id } },
    };

    return chat_dedupe_entry(&event, step->log_ms, ret);
}

static enum cq_status join(struct chat_step *step, struct group *group, struct invite_kept *invite)
{
    struct member_change *change = ARENA_NEW(step->arena, struct member_change);
    const struct invite_kept by = *invite;
    struct dedupe_entry entry;
    enum cq_status st;

    if (!change)
        return CQ_AGAIN;
    if (!entry_of_join(step, invite, &entry))
        return CQ_FATAL;
    *change = (struct member_change){ step->action->user_id, MEMBER_CHANGE_KIND_ADD };
    st = invite_use(group, invite, step->seq);
    if (st == CQ_OK)
        st = chat_accept_changes(step, group, change, 1, &by);
    return st == CQ_OK ? dedupe_add(&step->state->dedupe, &entry) : st;
}

/* ---- asked to be let in ------------------------------------------------------------------- */

/* Those who may add, and whoever it is about. No member changes by it: no look at the chat ends. */
static enum cq_status tell_request(struct chat_step *step, const struct group *group,
                                   const struct chat_event *event, struct cq_id about)
{
    bool all = group_holders(group, RIGHT_ADD, step->seq) == RIGHT_HOLDERS_EVERYONE;
    struct cq_id *to = ARENA_ARRAY(step->arena, struct cq_id, group->stays_n + 1);
    struct idmap roster;
    size_t n = 0;
    bool good = group_roster(group, step->seq, &roster);

    for (size_t i = 0; to && good && i < group->stays_n; i++) {
        const struct member_interval *stay = &group->stays[i];
        const uint64_t *at = idmap_get(&roster, stay->user_id);

        if (at && *at == i && (all || stay->role != MEMBER_ROLE_MEMBER))
            to[n++] = stay->user_id;
    }
    idmap_release(&roster);
    if (!good)
        return CQ_FATAL;
    if (to)
        to[n++] = about; /* he is not in it */
    return chat_emit_item(step, FRAME_CLASS_CHANGE, step->seq, (struct cq_id){ 0 },
                          chat_render(step, event), to, n);
}

static enum cq_status ask_in(struct chat_step *step, struct group *group,
                             const struct invite_kept *invite)
{
    const struct chat_action *action = step->action;
    const struct request_kept request = { .user_id = action->user_id,
                                          .invite_id = invite->invite_id,
                                          .seq = step->seq,
                                          .expires_at_ms = step->log_ms + REQUEST_MS };
    struct dedupe_entry entry;
    struct chat_event *event;
    enum cq_status st;

    if (!requests_have_room(group, action->user_id, step->seq, step->log_ms))
        return chat_reject(step, action->chat_id, "too_many_requests");
    if (!(event = chat_emit_event(step)))
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_JOIN_REQUESTED;
    event->event.u.join_requested =
        (struct join_requested){ invite->invite_id, invite->by, request.expires_at_ms };
    if (!chat_dedupe_entry(event, step->log_ms, &entry))
        return CQ_FATAL;
    st = request_make(group, &request);
    if (st == CQ_OK)
        st = chat_emit_members(step, group);
    if (st == CQ_OK)
        st = tell_request(step, group, event, action->user_id);
    return st == CQ_OK ? dedupe_add(&step->state->dedupe, &entry) : st;
}

static enum cq_status rule_invite_used(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    struct group *group = groups_find(&step->state->groups, action->chat_id);
    const struct member_change change = { action->user_id, MEMBER_CHANGE_KIND_ADD };
    struct invite_kept *invite;
    bool often = false;

    if (group && (group_stay(group, action->user_id, step->seq) ||
                  request_find(group, action->user_id, step->seq, step->log_ms)))
        return change_nothing(step);
    if (!action->client_id.n)
        return chat_reject(step, action->chat_id, "bad_request");
    /* he was let in under this client id, or asked, and it is over since: sent again it is no second time */
    if (chat_first(step, change_id(action->chat_id, action->user_id, action->client_id)))
        return chat_reject(step, action->chat_id, "conflict");
    invite = group ? invite_open(group, action->action.u.invite_used.hash, step->seq, step->log_ms)
                   : NULL;
    if (!invite)
        return chat_reject(step, action->chat_id, "not_found");
    if (group_came_often(group, &change, 1, step->seq, &often) != CQ_OK)
        return CQ_FATAL;
    if (often)
        return chat_reject(step, action->chat_id, "too_many_returns");
    if (invite->approval || group_was_removed(group, action->user_id, step->seq) ||
        group_left_often(group, action->user_id, step->seq))
        return ask_in(step, group, invite);
    if (group_count(group, step->seq) >= LIMIT_GROUP_MEMBERS)
        return chat_reject(step, action->chat_id, "too_many_members");
    return join(step, group, invite);
}
const struct chat_rule chat_rule_invite_used = {
    rule_invite_used, TOPIC_BIT(TOPIC_CHAT_EVENTS) | TOPIC_BIT(TOPIC_MEMBERS) |
                          TOPIC_BIT(TOPIC_USER_INBOX) | TOPIC_BIT(TOPIC_REJECTIONS) |
                          TOPIC_BIT(TOPIC_DELIVERY_STATUS)
};

/* ---- answered ----------------------------------------------------------------------------- */

static enum cq_status grant(struct chat_step *step, struct group *group,
                            struct request_kept *request)
{
    struct member_change *change = ARENA_NEW(step->arena, struct member_change);
    struct cq_id chat = step->action->chat_id;
    struct invite_kept *invite = invite_find(group, request->invite_id, step->seq);
    struct invite_kept by;
    struct idmap named;
    bool often = false;
    enum cq_status st;

    if (!change)
        return CQ_AGAIN;
    if (!invite) /* with a link end its requests */
        return chat_reject(step, chat, "not_found");
    by = *invite;
    if (invite_is_used_up(invite, step->seq))
        return chat_reject(step, chat, "too_many_uses");
    if (group_count(group, step->seq) >= LIMIT_GROUP_MEMBERS)
        return chat_reject(step, chat, "too_many_members");
    *change = (struct member_change){ request->user_id, MEMBER_CHANGE_KIND_ADD };
    st = group_came_often(group, change, 1, step->seq, &often);
    if (st != CQ_OK || often)
        return st != CQ_OK ? st : chat_reject(step, chat, "too_many_returns");
    idmap_init(&named, 1);
    st = idmap_put(&named, request->user_id, MEMBER_CHANGE_KIND_ADD) ? CQ_OK : CQ_FATAL;
    if (st == CQ_OK)
        st = invite_use(group, invite, step->seq);
    if (st == CQ_OK)
        st = group_note_removals(group, step->action->user_id, change, 1, &named, step->seq);
    if (st == CQ_OK)
        requests_end_added(group, &named, step->seq);
    idmap_release(&named);
    return st == CQ_OK ? chat_accept_changes(step, group, change, 1, &by) : st;
}

static enum cq_status end_request(struct chat_step *step, struct group *group,
                                  struct request_kept *request)
{
    struct chat_event *event = chat_emit_event(step);
    struct cq_id user = request->user_id;
    enum cq_status st;

    if (!event)
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_REQUEST_ENDED;
    event->event.u.request_ended.user_id = user;
    request_end(group, request, step->seq);
    st = chat_emit_members(step, group);
    return st == CQ_OK ? tell_request(step, group, event, user) : st;
}

static enum cq_status rule_request_answered(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct request_answered *answer = &action->action.u.request_answered;
    bool own = id_eq(answer->user_id, action->user_id);
    const char *code = "not_found";
    struct request_kept *request = NULL;
    struct group *group =
        own ? groups_find(&step->state->groups, action->chat_id) : find_own(step, &code);

    if (group)
        request = request_find(group, answer->user_id, step->seq, step->log_ms);
    if (!request)
        return chat_reject(step, action->chat_id, code ? code : "not_found");
    if (own && answer->granted)
        return chat_reject(step, action->chat_id, "forbidden");
    return answer->granted ? grant(step, group, request) : end_request(step, group, request);
}
const struct chat_rule chat_rule_request_answered = {
    rule_request_answered, TOPIC_BIT(TOPIC_CHAT_EVENTS) | TOPIC_BIT(TOPIC_MEMBERS) |
                               TOPIC_BIT(TOPIC_USER_INBOX) | TOPIC_BIT(TOPIC_REJECTIONS) |
                               TOPIC_BIT(TOPIC_DELIVERY_STATUS)
};
