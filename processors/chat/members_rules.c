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
static struct invite_kept *copy_invites(struct chat_step *step, const struct group *g)
{
    struct invite_kept *invites = ARENA_ARRAY(step->arena, struct invite_kept, g->invites_n);

    for (size_t i = 0; invites && i < g->invites_n; i++) {
        const struct invite_kept *from = &g->invites[i];
        int64_t *uses = ARENA_ARRAY(step->arena, int64_t, from->uses_n);

        if (!uses)
            return NULL;
        for (size_t k = 0; k < from->uses_n; k++)
            uses[k] = from->uses[k];
        invites[i] = *from;
        invites[i].uses = uses;
    }
    return invites;
}

static struct removal_kept *copy_removed(struct chat_step *step, const struct group *g)
{
    struct removal_kept *removed = ARENA_ARRAY(step->arena, struct removal_kept, g->removed_n);

    for (size_t i = 0; removed && i < g->removed_n; i++)
        removed[i] = g->removed[i];
    return removed;
}

static struct request_kept *copy_requests(struct chat_step *step, const struct group *g)
{
    struct request_kept *requests = ARENA_ARRAY(step->arena, struct request_kept, g->requests_n);

    for (size_t i = 0; requests && i < g->requests_n; i++)
        requests[i] = g->requests[i];
    return requests;
}

enum cq_status chat_emit_members(struct chat_step *step, const struct group *g)
{
    struct chat_output *o = chat_emit(step, TOPIC_MEMBERS);
    struct member_interval *stays = ARENA_ARRAY(step->arena, struct member_interval, g->stays_n);
    struct timer_interval *timers = ARENA_ARRAY(step->arena, struct timer_interval, g->timers_n);
    struct right_interval *rights = ARENA_ARRAY(step->arena, struct right_interval, g->rights_n);
    struct invite_kept *invites = copy_invites(step, g);
    struct removal_kept *removed = copy_removed(step, g);
    struct request_kept *requests = copy_requests(step, g);
    struct cq_span name =
        *g->name ? arena_copy(step->arena, span_str(g->name)) : span_str(""); /* a direct chat */

    if (!o)
        return CQ_FATAL;
    if (!stays || !timers || !rights || !invites || !removed || !requests || !name.p)
        return CQ_AGAIN;
    for (size_t i = 0; i < g->stays_n; i++)
        stays[i] = g->stays[i];
    for (size_t i = 0; i < g->timers_n; i++)
        timers[i] = g->timers[i];
    for (size_t i = 0; i < g->rights_n; i++)
        rights[i] = g->rights[i];
    o->u.members = (struct chat_members){
        .chat_id = g->id,
        .source = { TOPIC_GENERATION, step->state->partition, g->source_offset },
        .name = name,
        .members = stays,
        .members_n = g->stays_n,
        .timers = timers,
        .timers_n = g->timers_n,
        .rights = rights,
        .rights_n = g->rights_n,
        .invites = invites,
        .invites_n = g->invites_n,
        .removed = removed,
        .removed_n = g->removed_n,
        .requests = requests,
        .requests_n = g->requests_n,
    };
    return CQ_OK;
}

/* A GroupStarted that shows the group just after `seq`, for those who see it for the first time. */
static enum cq_status show_group(struct chat_step *step, const struct group *g, int64_t seq,
                                 struct chat_event *ret)
{
    struct member_entry *entries = ARENA_ARRAY(step->arena, struct member_entry, g->stays_n);
    struct cq_span name = arena_copy(step->arena, span_str(g->name));
    size_t n = 0;

    if (!entries || !name.p)
        return CQ_AGAIN;
    for (size_t i = 0; i < g->stays_n; i++)
        if (group_stay(g, g->stays[i].user_id, seq + 1) == &g->stays[i])
            entries[n++] = (struct member_entry){ g->stays[i].user_id, g->stays[i].role };
    *ret = (struct chat_event){
        .chat_id = g->id,
        .seq = seq,
        .at_ms = step->action->at_ms,
        .user_id = step->action->user_id,
        .client_id = step->action->client_id,
        .event = { CHAT_EVENT_GROUP_STARTED, .u.group_started = { name, entries, n } },
    };
    return CQ_OK;
}

static enum cq_status send_group(struct chat_step *step, const struct group *g, int64_t seq,
                                 struct cq_id *to, size_t to_n)
{
    struct chat_event shown;
    enum cq_status st = show_group(step, g, seq, &shown);

    if (st != CQ_OK)
        return st;
    return chat_emit_item(step, FRAME_CLASS_ADDED, seq, (struct cq_id){ 0 },
                          chat_render(step, &shown), to, to_n);
}

static enum cq_status fill_group(struct chat_step *step, struct group **ret)
{
    const struct chat_action *a = step->action;
    const struct group_created *c = &a->action.u.group_created;
    struct member_change *joined = ARENA_ARRAY(step->arena, struct member_change, c->members_n + 1);
    struct group *g = groups_find(&step->state->groups, a->chat_id);
    enum cq_status st;

    if (!joined)
        return CQ_AGAIN;
    for (size_t i = 0; i < c->members_n; i++)
        joined[i] = (struct member_change){ c->members[i], MEMBER_CHANGE_KIND_ADD };
    if (!g && !(g = groups_add(&step->state->groups, a->chat_id)))
        return CQ_FATAL;
    st = g->name ? CQ_OK : group_rename(g, c->name, step->seq);
    if (st == CQ_OK)
        st = group_join(g, a->user_id, MEMBER_ROLE_OWNER, step->seq);
    if (st == CQ_OK) /* who is named twice, or is the creator, is in it already */
        st = group_apply(g, joined, c->members_n, step->seq);
    *ret = g;
    return st;
}

static enum cq_status rule_group_created(struct chat_step *step)
{
    const struct chat_action *a = step->action;
    const struct group_created *c = &a->action.u.group_created;
    struct group *g = groups_find(&step->state->groups, a->chat_id);
    struct chat_event *e, shown;
    struct cq_id *to;
    enum cq_status st;
    size_t to_n;

    if (!id_eq(a->chat_id, chat_id_group(a->user_id, a->client_id)) || !a->client_id.n ||
        !name_good(c->name))
        return chat_reject(step, a->chat_id, "bad_request");
    if (c->members_n >= LIMIT_GROUP_MEMBERS)
        return chat_reject(step, a->chat_id, "too_many_members");
    if (!g && groups_full(&step->state->groups)) /* the table is full: the action is refused, and
                                                  * the process goes on */
        return chat_reject(step, a->chat_id, "too_large");
    if (g && g->created_seq != step->seq) { /* the same client id again: show what it made */
        to = arena_alloc(step->arena, sizeof *to);
        if (to)
            *to = a->user_id;
        return send_group(step, g, g->created_seq, to, 1);
    }
    st = fill_group(step, &g);
    if (st == CQ_OK)
        st = show_group(step, g, step->seq, &shown);
    if (st != CQ_OK)
        return st;
    if (!(e = chat_emit_event(step)))
        return CQ_FATAL;
    e->event = shown.event;
    st = chat_emit_members(step, g);
    if (st != CQ_OK)
        return st;
    to = group_members(g, step->seq + 1, step->arena, &to_n);
    return send_group(step, g, step->seq, to, to_n);
}
const struct chat_rule chat_rule_group_created = {
    rule_group_created, TOPIC_BIT(TOPIC_CHAT_EVENTS) | TOPIC_BIT(TOPIC_MEMBERS) |
                            TOPIC_BIT(TOPIC_USER_INBOX) | TOPIC_BIT(TOPIC_REJECTIONS)
};

/* ---- changes -------------------------------------------------------------------------- */

/* Why `actor` may not do this, or NULL. Stays are asked as of just before the action. */
static const char *refuse_change(const struct group *g, const struct idmap *roster,
                                 const struct member_interval *actor, bool may_add,
                                 const struct member_change *c)
{
    const uint64_t *at = idmap_get(roster, c->user_id);
    const struct member_interval *target = at ? &g->stays[*at] : NULL;
    bool self = id_eq(c->user_id, actor->user_id);

    switch (c->change) {
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
static struct cq_id heir(const struct members_changed *m, const struct group *g,
                         const struct idmap *roster, const struct idmap *named)
{
    const struct member_interval *best = NULL;

    for (size_t i = 0; i < g->stays_n; i++) {
        const struct member_interval *s = &g->stays[i];
        const uint64_t *at = idmap_get(roster, s->user_id);
        const uint64_t *change = idmap_get(named, s->user_id);

        if (!at || *at != i || (change && *change == MEMBER_CHANGE_KIND_REMOVE))
            continue;
        if (!best || s->role > best->role)
            best = s;
    }
    for (size_t i = 0; !best && i < m->changes_n; i++)
        if (m->changes[i].change == MEMBER_CHANGE_KIND_ADD)
            return m->changes[i].user_id;
    return best ? best->user_id : (struct cq_id){ 0 };
}

static bool owner_leaves(const struct member_interval *actor, const struct idmap *named)
{
    const uint64_t *change = idmap_get(named, actor->user_id);

    return actor->role == MEMBER_ROLE_OWNER && change && *change == MEMBER_CHANGE_KIND_REMOVE;
}

/* The changes asked for, less those that change nothing, and behind them the heir's, whatever else is asked for
 * him. NULL when the arena is full. */
static struct member_change *effective(struct chat_step *step, const struct group *g,
                                       const struct idmap *roster, const struct idmap *named,
                                       const struct member_interval *actor, size_t *ret_n)
{
    const struct members_changed *m = &step->action->action.u.members_changed;
    struct member_change *v = ARENA_ARRAY(step->arena, struct member_change, m->changes_n + 1);
    struct cq_id next = { 0 };
    size_t n = 0;

    for (size_t i = 0; v && i < m->changes_n; i++)
        if (m->changes[i].change != MEMBER_CHANGE_KIND_ADD ||
            !idmap_get(roster, m->changes[i].user_id))
            v[n++] = m->changes[i];
    if (v && owner_leaves(actor, named))
        next = heir(m, g, roster, named);
    if (!id_is_zero(next))
        v[n++] = (struct member_change){ next, MEMBER_CHANGE_KIND_MAKE_OWNER };
    *ret_n = n;
    return v;
}

/* New members get the whole group; the others, and those who are removed, get the changes. */
static enum cq_status tell_members(struct chat_step *step, const struct group *g,
                                   const struct chat_event *e)
{
    const struct membership_changed *m = &e->event.u.membership_changed;
    size_t before_n, new_n = 0;
    struct cq_id *before = group_members(g, step->seq, step->arena, &before_n);
    struct cq_id *fresh = ARENA_ARRAY(step->arena, struct cq_id, m->changes_n + 1);
    enum cq_status st;

    if (!before || !fresh)
        return CQ_AGAIN;
    for (size_t i = 0; i < m->changes_n; i++)
        if (m->changes[i].change == MEMBER_CHANGE_KIND_ADD)
            fresh[new_n++] = m->changes[i].user_id;
    st = chat_emit_item(step, FRAME_CLASS_MEMBER, step->seq, (struct cq_id){ 0 },
                        chat_render(step, e), before, before_n);
    if (st != CQ_OK || !new_n)
        return st;
    return send_group(step, g, step->seq, fresh, new_n);
}

enum cq_status chat_accept_changes(struct chat_step *step, struct group *g,
                                   struct member_change *changes, size_t n,
                                   const struct invite_kept *by)
{
    struct chat_event *e = chat_emit_event(step);
    struct chat_output *o;
    enum cq_status st;

    if (!e)
        return CQ_FATAL;
    e->event.kind = CHAT_EVENT_MEMBERSHIP_CHANGED;
    e->event.u.membership_changed = (struct membership_changed){ .changes = changes,
                                                                 .changes_n = n,
                                                                 .has_invite_id = by != NULL,
                                                                 .has_invited_by = by != NULL };
    if (by) {
        e->event.u.membership_changed.invite_id = by->invite_id;
        e->event.u.membership_changed.invited_by = by->by;
    }
    st = group_apply(g, changes, n, step->seq);
    if (st == CQ_OK)
        st = chat_emit_members(step, g);
    if (st == CQ_OK && n)
        st = tell_members(step, g, e);
    if (st != CQ_OK)
        return st;
    /* the one who leaves may have had the lowest cursor, so ticks may advance */
    if (!(o = chat_emit(step, TOPIC_DELIVERY_STATUS)))
        return CQ_FATAL;
    o->u.status = (struct delivery_status){
        .chat_id = g->id,
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
static enum cq_status refuse_changes(const struct chat_step *step, const struct group *g,
                                     const struct idmap *roster,
                                     const struct member_interval *actor, struct idmap *named,
                                     const char **ret_code)
{
    const struct members_changed *m = &step->action->action.u.members_changed;
    bool may_add = chat_may(step, RIGHT_ADD);

    *ret_code = NULL;
    for (size_t i = 0; !*ret_code && i < m->changes_n; i++) {
        const struct member_change *c = &m->changes[i];

        *ret_code = refuse_change(g, roster, actor, may_add, c);
        if (!*ret_code && idmap_get(named, c->user_id))
            *ret_code = "bad_request";
        if (!*ret_code && !idmap_put(named, c->user_id, c->change))
            return CQ_FATAL;
    }
    return CQ_OK;
}

/* `named` is empty, and gets the change of each. */
static enum cq_status change_members(struct chat_step *step, struct group *g,
                                     const struct idmap *roster, struct idmap *named,
                                     const struct member_interval *actor)
{
    const struct chat_action *a = step->action;
    const char *code;
    struct member_change *changes;
    size_t n, added = 0;
    enum cq_status st = refuse_changes(step, g, roster, actor, named, &code);

    if (st != CQ_OK || code)
        return st == CQ_OK ? chat_reject(step, a->chat_id, code) : st;
    changes = effective(step, g, roster, named, actor, &n);
    if (!changes)
        return CQ_AGAIN;
    for (size_t i = 0; i < n; i++)
        added += changes[i].change == MEMBER_CHANGE_KIND_ADD;
    if (group_count(g, step->seq) + added > LIMIT_GROUP_MEMBERS)
        return chat_reject(step, a->chat_id, "too_many_members");
    requests_end_added(g, named, step->seq);
    st = group_note_removals(g, a->user_id, changes, n, named, step->seq);
    return st == CQ_OK ? chat_accept_changes(step, g, changes, n, NULL) : st;
}

static enum cq_status rule_members_changed(struct chat_step *step)
{
    const struct chat_action *a = step->action;
    const struct members_changed *m = &a->action.u.members_changed;
    struct group *g = groups_find(&step->state->groups, a->chat_id);
    const struct member_interval *actor = g ? group_stay(g, a->user_id, step->seq) : NULL;
    struct idmap roster, named;
    enum cq_status st;

    if (!actor)
        return chat_reject(step, a->chat_id, "not_found");
    if (!m->changes_n || m->changes_n > LIMIT_GROUP_MEMBERS)
        return chat_reject(step, a->chat_id, "bad_request");
    idmap_init(&named, m->changes_n);
    st = group_roster(g, step->seq, &roster) ? change_members(step, g, &roster, &named, actor)
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
    const struct chat_action *a = step->action;
    struct cq_span name = a->action.u.chat_renamed.name;
    struct group *g = groups_find(&step->state->groups, a->chat_id);
    const struct member_interval *actor = g ? group_stay(g, a->user_id, step->seq) : NULL;
    struct chat_event *e;
    struct cq_id *to;
    enum cq_status st;
    size_t to_n;

    if (!actor)
        return chat_reject(step, a->chat_id, "not_found");
    if (!chat_may(step, RIGHT_INFO))
        return chat_reject(step, a->chat_id, "forbidden");
    if (!name_good(name))
        return chat_reject(step, a->chat_id, "bad_request");
    if (group_rename(g, name, step->seq) != CQ_OK || !(e = chat_emit_event(step)))
        return CQ_FATAL;
    e->event.kind = CHAT_EVENT_GROUP_NAMED;
    e->event.u.group_named.name = name;
    st = chat_emit_members(step, g);
    if (st != CQ_OK)
        return st;
    to = group_members(g, step->seq, step->arena, &to_n);
    return chat_emit_item(step, FRAME_CLASS_MEMBER, step->seq, (struct cq_id){ 0 },
                          chat_render(step, e), to, to_n);
}
const struct chat_rule chat_rule_chat_renamed = {
    rule_chat_renamed, TOPIC_BIT(TOPIC_CHAT_EVENTS) | TOPIC_BIT(TOPIC_MEMBERS) |
                           TOPIC_BIT(TOPIC_USER_INBOX) | TOPIC_BIT(TOPIC_REJECTIONS)
};
