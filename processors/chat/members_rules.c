/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/members_rules.c - the rules of groups: creation, membership, roles, names.
 */
#include "processors/chat/requests.h"
#include "processors/chat/rules.h"

#include "schemas/frame.h"
#include "schemas/names.h"

static bool name_good(struct cq_span name)
{
    return name.n && span_is_utf8(name) && span_code_points(name) <= LIMIT_NAME_CHARS;
}

/* With their uses, in the arena; NULL when it is full. */
static struct invite_kept *copy_invites(struct chat_step *step, const struct group *group)
{
    struct invite_kept *invites = ARENA_ARRAY(step->arena, struct invite_kept, group->invites_n);

    for (size_t i = 0; invites && i < group->invites_n; i++) {
        const struct invite_kept *from = &group->invites[i];
        int64_t *uses = ARENA_ARRAY(step->arena, int64_t, from->uses_n);

        if (!uses)
            return NULL;
        for (size_t use = 0; use < from->uses_n; use++)
            uses[use] = from->uses[use];
        invites[i] = *from;
        invites[i].uses = uses;
    }
    return invites;
}

static struct removal_kept *copy_removed(struct chat_step *step, const struct group *group)
{
    struct removal_kept *removed = ARENA_ARRAY(step->arena, struct removal_kept, group->removed_n);

    for (size_t i = 0; removed && i < group->removed_n; i++)
        removed[i] = group->removed[i];
    return removed;
}

static struct request_kept *copy_requests(struct chat_step *step, const struct group *group)
{
    struct request_kept *requests =
        ARENA_ARRAY(step->arena, struct request_kept, group->requests_n);

    for (size_t i = 0; requests && i < group->requests_n; i++)
        requests[i] = group->requests[i];
    return requests;
}

enum cq_status chat_emit_members(struct chat_step *step, const struct group *group)
{
    struct chat_output *output = chat_emit(step, TOPIC_MEMBERS);
    struct member_interval *stays =
        ARENA_ARRAY(step->arena, struct member_interval, group->stays_n);
    struct timer_interval *timers =
        ARENA_ARRAY(step->arena, struct timer_interval, group->timers_n);
    struct right_interval *rights =
        ARENA_ARRAY(step->arena, struct right_interval, group->rights_n);
    struct invite_kept *invites = copy_invites(step, group);
    struct removal_kept *removed = copy_removed(step, group);
    struct request_kept *requests = copy_requests(step, group);
    struct cq_span name = *group->name ? arena_copy(step->arena, span_str(group->name))
                                       : span_str(""); /* a direct chat */

    if (!output)
        return CQ_FATAL;
    if (!stays || !timers || !rights || !invites || !removed || !requests || !name.p)
        return CQ_AGAIN;
    for (size_t i = 0; i < group->stays_n; i++)
        stays[i] = group->stays[i];
    for (size_t i = 0; i < group->timers_n; i++)
        timers[i] = group->timers[i];
    for (size_t i = 0; i < group->rights_n; i++)
        rights[i] = group->rights[i];
    output->u.members = (struct chat_members){
        .chat_id = group->id,
        .source = { TOPIC_GENERATION, step->state->partition, group->source_offset },
        .name = name,
        .members = stays,
        .members_n = group->stays_n,
        .timers = timers,
        .timers_n = group->timers_n,
        .rights = rights,
        .rights_n = group->rights_n,
        .invites = invites,
        .invites_n = group->invites_n,
        .removed = removed,
        .removed_n = group->removed_n,
        .requests = requests,
        .requests_n = group->requests_n,
    };
    return CQ_OK;
}

/* A GroupStarted that shows the group just after `seq`, for those who see it for the first time. */
static enum cq_status show_group(struct chat_step *step, const struct group *group, int64_t seq,
                                 struct chat_event *ret)
{
    struct member_entry *entries = ARENA_ARRAY(step->arena, struct member_entry, group->stays_n);
    struct cq_span name = arena_copy(step->arena, span_str(group->name));
    size_t n = 0;

    if (!entries || !name.p)
        return CQ_AGAIN;
    for (size_t i = 0; i < group->stays_n; i++)
        if (group_stay(group, group->stays[i].user_id, seq + 1) == &group->stays[i])
            entries[n++] = (struct member_entry){ group->stays[i].user_id, group->stays[i].role };
    *ret = (struct chat_event){
        .chat_id = group->id,
        .seq = seq,
        .at_ms = step->action->at_ms,
        .user_id = step->action->user_id,
        .client_id = step->action->client_id,
        .event = { CHAT_EVENT_GROUP_STARTED, .u.group_started = { name, entries, n } },
    };
    return CQ_OK;
}

static enum cq_status send_group(struct chat_step *step, const struct group *group, int64_t seq,
                                 struct cq_id *to, size_t to_n)
{
    struct chat_event shown;
    enum cq_status st = show_group(step, group, seq, &shown);

    if (st != CQ_OK)
        return st;
    return chat_emit_item(step, FRAME_CLASS_ADDED, seq, (struct cq_id){ 0 },
                          chat_render(step, &shown), to, to_n);
}

static enum cq_status fill_group(struct chat_step *step, struct group **ret)
{
    const struct chat_action *action = step->action;
    const struct group_created *created = &action->action.u.group_created;
    struct member_change *joined =
        ARENA_ARRAY(step->arena, struct member_change, created->members_n + 1);
    struct group *group = groups_find(&step->state->groups, action->chat_id);
    enum cq_status st;

    if (!joined)
        return CQ_AGAIN;
    for (size_t i = 0; i < created->members_n; i++)
        joined[i] = (struct member_change){ created->members[i], MEMBER_CHANGE_KIND_ADD };
    if (!group && !(group = groups_add(&step->state->groups, action->chat_id)))
        return CQ_FATAL;
    st = group->name ? CQ_OK : group_rename(group, created->name, step->seq);
    if (st == CQ_OK)
        st = group_join(group, action->user_id, MEMBER_ROLE_OWNER, step->seq);
    if (st == CQ_OK) /* who is named twice, or is the creator, is in it already */
        st = group_apply(group, joined, created->members_n, step->seq);
    *ret = group;
    return st;
}

static enum cq_status rule_group_created(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct group_created *created = &action->action.u.group_created;
    struct group *group = groups_find(&step->state->groups, action->chat_id);
    struct chat_event *event, shown;
    struct cq_id *to;
    enum cq_status st;
    size_t to_n;

    if (!id_eq(action->chat_id, chat_id_group(action->user_id, action->client_id)) ||
        !action->client_id.n || !name_good(created->name))
        return chat_reject(step, action->chat_id, "bad_request");
    if (created->members_n >= LIMIT_GROUP_MEMBERS)
        return chat_reject(step, action->chat_id, "too_many_members");
    if (!group &&
        groups_full(&step->state->groups)) /* the table is full: the action is refused, and
                                                  * the process goes on */
        return chat_reject(step, action->chat_id, "too_large");
    if (group &&
        group->created_seq != step->seq) { /* the same client id again: show what it made */
        to = arena_alloc(step->arena, sizeof *to);
        if (to)
            *to = action->user_id;
        return send_group(step, group, group->created_seq, to, 1);
    }
    st = fill_group(step, &group);
    if (st == CQ_OK)
        st = show_group(step, group, step->seq, &shown);
    if (st != CQ_OK)
        return st;
    if (!(event = chat_emit_event(step)))
        return CQ_FATAL;
    event->event = shown.event;
    st = chat_emit_members(step, group);
    if (st != CQ_OK)
        return st;
    to = group_members(group, step->seq + 1, step->arena, &to_n);
    return send_group(step, group, step->seq, to, to_n);
}
const struct chat_rule chat_rule_group_created = {
    rule_group_created, TOPIC_BIT(TOPIC_CHAT_EVENTS) | TOPIC_BIT(TOPIC_MEMBERS) |
                            TOPIC_BIT(TOPIC_USER_INBOX) | TOPIC_BIT(TOPIC_REJECTIONS)
};

/* ---- changes -------------------------------------------------------------------------- */

/* Why `actor` may not do this, or NULL. Stays are asked as of just before the action. */
static const char *refuse_change(const struct group *group, const struct idmap *roster,
                                 const struct member_interval *actor, bool may_add,
                                 const struct member_change *change)
{
    const uint64_t *at = idmap_get(roster, change->user_id);
    const struct member_interval *target = at ? &group->stays[*at] : NULL;
    bool self = id_eq(change->user_id, actor->user_id);

    switch (change->change) {
    case MEMBER_CHANGE_KIND_ADD:
        return may_add ? NULL : "forbidden";
    case MEMBER_CHANGE_KIND_REMOVE:
        if (!target)
            return "not_found";
        if (self)
            return NULL;
        return actor->role == MEMBER_ROLE_MEMBER || target->role == MEMBER_ROLE_OWNER ? "forbidden"
                                                                                      : NULL;
    case MEMBER_CHANGE_KIND_PROMOTE:
    case MEMBER_CHANGE_KIND_DEMOTE:
    case MEMBER_CHANGE_KIND_MAKE_OWNER:
        if (actor->role != MEMBER_ROLE_OWNER || self)
            return "forbidden";
        return target ? NULL : "not_found";
    case MEMBER_CHANGE_KIND_N:
        break;
    }
    return "bad_request";
}

/* When the owner leaves, whoever is an admin for longest owns the group, else whoever is a member for
 * longest, of those who stay; and of a group that nobody else was in, the first who is added. A role counts from when it was
 * given, which is all that stands in a stay. `named`: the change of each who has one. Zero: nobody is left. */
static struct cq_id heir(const struct members_changed *changed, const struct group *group,
                         const struct idmap *roster, const struct idmap *named)
{
    const struct member_interval *best = NULL;

    for (size_t i = 0; i < group->stays_n; i++) {
        const struct member_interval *stay = &group->stays[i];
        const uint64_t *at = idmap_get(roster, stay->user_id);
        const uint64_t *change = idmap_get(named, stay->user_id);

        if (!at || *at != i || (change && *change == MEMBER_CHANGE_KIND_REMOVE))
            continue;
        if (!best || stay->role > best->role)
            best = stay;
    }
    for (size_t i = 0; !best && i < changed->changes_n; i++)
        if (changed->changes[i].change == MEMBER_CHANGE_KIND_ADD)
            return changed->changes[i].user_id;
    return best ? best->user_id : (struct cq_id){ 0 };
}

static bool owner_leaves(const struct member_interval *actor, const struct idmap *named)
{
    const uint64_t *change = idmap_get(named, actor->user_id);

    return actor->role == MEMBER_ROLE_OWNER && change && *change == MEMBER_CHANGE_KIND_REMOVE;
}

/* The changes asked for, less those that change nothing, and behind them the heir's, whatever else is asked for
 * him. NULL when the arena is full. */
static struct member_change *effective(struct chat_step *step, const struct group *group,
                                       const struct idmap *roster, const struct idmap *named,
                                       const struct member_interval *actor, size_t *ret_n)
{
    const struct members_changed *changed = &step->action->action.u.members_changed;
    struct member_change *changes =
        ARENA_ARRAY(step->arena, struct member_change, changed->changes_n + 1);
    struct cq_id next = { 0 };
    size_t n = 0;

    for (size_t i = 0; changes && i < changed->changes_n; i++)
        if (changed->changes[i].change != MEMBER_CHANGE_KIND_ADD ||
            !idmap_get(roster, changed->changes[i].user_id))
            changes[n++] = changed->changes[i];
    if (changes && owner_leaves(actor, named))
        next = heir(changed, group, roster, named);
    if (!id_is_zero(next))
        changes[n++] = (struct member_change){ next, MEMBER_CHANGE_KIND_MAKE_OWNER };
    *ret_n = n;
    return changes;
}

/* New members get the whole group; the others, and those who are removed, get the changes. */
static enum cq_status tell_members(struct chat_step *step, const struct group *group,
                                   const struct chat_event *event)
{
    const struct membership_changed *changed = &event->event.u.membership_changed;
    size_t before_n, new_n = 0;
    struct cq_id *before = group_members(group, step->seq, step->arena, &before_n);
    struct cq_id *fresh = ARENA_ARRAY(step->arena, struct cq_id, changed->changes_n + 1);
    enum cq_status st;

    if (!before || !fresh)
        return CQ_AGAIN;
    for (size_t i = 0; i < changed->changes_n; i++)
        if (changed->changes[i].change == MEMBER_CHANGE_KIND_ADD)
            fresh[new_n++] = changed->changes[i].user_id;
    st = chat_emit_item(step, FRAME_CLASS_MEMBER, step->seq, (struct cq_id){ 0 },
                        chat_render(step, event), before, before_n);
    if (st != CQ_OK || !new_n)
        return st;
    return send_group(step, group, step->seq, fresh, new_n);
}

enum cq_status chat_accept_changes(struct chat_step *step, struct group *group,
                                   struct member_change *changes, size_t n,
                                   const struct invite_kept *by)
{
    struct chat_event *event = chat_emit_event(step);
    struct chat_output *output;
    enum cq_status st;

    if (!event)
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_MEMBERSHIP_CHANGED;
    event->event.u.membership_changed = (struct membership_changed){ .changes = changes,
                                                                     .changes_n = n,
                                                                     .has_invite_id = by != NULL,
                                                                     .has_invited_by = by != NULL };
    if (by) {
        event->event.u.membership_changed.invite_id = by->invite_id;
        event->event.u.membership_changed.invited_by = by->by;
    }
    st = group_apply(group, changes, n, step->seq);
    if (st == CQ_OK)
        st = chat_emit_members(step, group);
    if (st == CQ_OK && n)
        st = tell_members(step, group, event);
    if (st != CQ_OK)
        return st;
    /* the one who leaves may have had the lowest cursor, so ticks may advance */
    if (!(output = chat_emit(step, TOPIC_DELIVERY_STATUS)))
        return CQ_FATAL;
    output->u.status = (struct delivery_status){
        .chat_id = group->id,
        .source = { TOPIC_GENERATION, step->state->partition, step->offset },
        .at_ms = step->action->at_ms,
        .user_id = step->action->user_id,
        .device_id = step->action->device_id,
        .kind = RECEIPT_KIND_MEMBERS,
        .seq = step->seq,
    };
    return CQ_OK;
}

/* Why the actor may not do all of this, or NULL; the change of each in `named`. Nobody is named
 * twice. */
static enum cq_status refuse_changes(const struct chat_step *step, const struct group *group,
                                     const struct idmap *roster,
                                     const struct member_interval *actor, struct idmap *named,
                                     const char **ret_code)
{
    const struct members_changed *changed = &step->action->action.u.members_changed;
    bool may_add = chat_may(step, RIGHT_ADD);

    *ret_code = NULL;
    for (size_t i = 0; !*ret_code && i < changed->changes_n; i++) {
        const struct member_change *change = &changed->changes[i];

        *ret_code = refuse_change(group, roster, actor, may_add, change);
        if (!*ret_code && idmap_get(named, change->user_id))
            *ret_code = "bad_request";
        if (!*ret_code && !idmap_put(named, change->user_id, change->change))
            return CQ_FATAL;
    }
    return CQ_OK;
}

/* `named` is empty, and gets the change of each. */
static enum cq_status change_members(struct chat_step *step, struct group *group,
                                     const struct idmap *roster, struct idmap *named,
                                     const struct member_interval *actor)
{
    const struct chat_action *action = step->action;
    const char *code;
    struct member_change *changes;
    size_t n, added = 0;
    bool often = false;
    enum cq_status st = refuse_changes(step, group, roster, actor, named, &code);

    if (st != CQ_OK || code)
        return st == CQ_OK ? chat_reject(step, action->chat_id, code) : st;
    changes = effective(step, group, roster, named, actor, &n);
    if (!changes)
        return CQ_AGAIN;
    for (size_t i = 0; i < n; i++)
        added += changes[i].change == MEMBER_CHANGE_KIND_ADD;
    if (group_count(group, step->seq) + added > LIMIT_GROUP_MEMBERS)
        return chat_reject(step, action->chat_id, "too_many_members");
    if (added && group_came_often(group, changes, n, step->seq, &often) != CQ_OK)
        return CQ_FATAL;
    if (often)
        return chat_reject(step, action->chat_id, "too_many_returns");
    requests_end_added(group, named, step->seq);
    st = group_note_removals(group, action->user_id, changes, n, named, step->seq);
    return st == CQ_OK ? chat_accept_changes(step, group, changes, n, NULL) : st;
}

static enum cq_status rule_members_changed(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct members_changed *changed = &action->action.u.members_changed;
    struct group *group = groups_find(&step->state->groups, action->chat_id);
    const struct member_interval *actor =
        group ? group_stay(group, action->user_id, step->seq) : NULL;
    struct idmap roster, named;
    enum cq_status st;

    if (!actor)
        return chat_reject(step, action->chat_id, "not_found");
    if (!changed->changes_n || changed->changes_n > LIMIT_GROUP_MEMBERS)
        return chat_reject(step, action->chat_id, "bad_request");
    idmap_init(&named, changed->changes_n);
    st = group_roster(group, step->seq, &roster)
             ? change_members(step, group, &roster, &named, actor)
             : CQ_FATAL;
    idmap_release(&roster);
    idmap_release(&named);
    return st;
}
const struct chat_rule chat_rule_members_changed = {
    rule_members_changed, TOPIC_BIT(TOPIC_CHAT_EVENTS) | TOPIC_BIT(TOPIC_MEMBERS) |
                              TOPIC_BIT(TOPIC_USER_INBOX) | TOPIC_BIT(TOPIC_REJECTIONS) |
                              TOPIC_BIT(TOPIC_DELIVERY_STATUS)
};

static enum cq_status rule_chat_renamed(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    struct cq_span name = action->action.u.chat_renamed.name;
    struct group *group = groups_find(&step->state->groups, action->chat_id);
    const struct member_interval *actor =
        group ? group_stay(group, action->user_id, step->seq) : NULL;
    struct chat_event *event;
    struct cq_id *to;
    enum cq_status st;
    size_t to_n;

    if (!actor)
        return chat_reject(step, action->chat_id, "not_found");
    if (!chat_may(step, RIGHT_INFO))
        return chat_reject(step, action->chat_id, "forbidden");
    if (!name_good(name))
        return chat_reject(step, action->chat_id, "bad_request");
    if (group_rename(group, name, step->seq) != CQ_OK || !(event = chat_emit_event(step)))
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_GROUP_NAMED;
    event->event.u.group_named.name = name;
    st = chat_emit_members(step, group);
    if (st != CQ_OK)
        return st;
    to = group_members(group, step->seq, step->arena, &to_n);
    return chat_emit_item(step, FRAME_CLASS_MEMBER, step->seq, (struct cq_id){ 0 },
                          chat_render(step, event), to, to_n);
}
const struct chat_rule chat_rule_chat_renamed = {
    rule_chat_renamed, TOPIC_BIT(TOPIC_CHAT_EVENTS) | TOPIC_BIT(TOPIC_MEMBERS) |
                           TOPIC_BIT(TOPIC_USER_INBOX) | TOPIC_BIT(TOPIC_REJECTIONS)
};
