/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/rights_rules.c - what a group says and shows of itself, and who may do what in it.
 */
#include "processors/chat/rules.h"
#include "schemas/bounds.h"

bool chat_may(const struct chat_step *step, enum right right)
{
    const struct chat_action *action = step->action;
    const struct group *group = action->has_peer ? NULL : chat_kept(step);

    return !group || group_holders(group, right, step->seq) == RIGHT_HOLDERS_EVERYONE ||
           group_stay(group, action->user_id, step->seq)->role != MEMBER_ROLE_MEMBER;
}

/* The group, when the author is in it; else NULL. */
static struct group *own_group(const struct chat_step *step)
{
    struct group *group = groups_find(&step->state->groups, step->action->chat_id);

    return group && group_stay(group, step->action->user_id, step->seq) ? group : NULL;
}

static enum cq_status tell_all(struct chat_step *step, const struct group *group,
                               const struct chat_event *event)
{
    size_t to_n;
    struct cq_id *to = group_members(group, step->seq, step->arena, &to_n);

    return chat_emit_item(step, FRAME_CLASS_CHANGE, step->seq, (struct cq_id){ 0 },
                          chat_render(step, event), to, to_n);
}

static bool within_bounds(struct cq_span text)
{
    return text.n <= LIMIT_DESCRIPTION_BYTES && bounds_written(text) &&
           span_code_points(text) <= LIMIT_DESCRIPTION_CHARS;
}

/* No verdict depends on it, so it is not kept here: the view has the last one. */
static enum cq_status rule_group_described(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct group *group = own_group(step);
    struct chat_event *event;

    if (!group)
        return chat_reject(step, action->chat_id, "not_found");
    if (!chat_may(step, RIGHT_INFO))
        return chat_reject(step, action->chat_id, "forbidden");
    if (!within_bounds(action->action.u.group_described.description))
        return chat_reject(step, action->chat_id, "bad_request");
    if (!(event = chat_emit_event(step)))
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_GROUP_DESCRIBED;
    event->event.u.group_described = action->action.u.group_described;
    return tell_all(step, group, event);
}
const struct chat_rule chat_rule_group_described = { rule_group_described,
                                                     TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                         TOPIC_BIT(TOPIC_USER_INBOX) |
                                                         TOPIC_BIT(TOPIC_REJECTIONS) };

/* Files are not known here, so any id is taken: the view shows it where whoever set it owns it. */
static enum cq_status rule_group_pictured(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct group *group = own_group(step);
    struct chat_event *event;

    if (!group)
        return chat_reject(step, action->chat_id, "not_found");
    if (!chat_may(step, RIGHT_INFO))
        return chat_reject(step, action->chat_id, "forbidden");
    if (!(event = chat_emit_event(step)))
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_GROUP_PICTURED;
    event->event.u.group_pictured = action->action.u.group_pictured;
    return tell_all(step, group, event);
}
const struct chat_rule chat_rule_group_pictured = { rule_group_pictured,
                                                    TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                        TOPIC_BIT(TOPIC_USER_INBOX) |
                                                        TOPIC_BIT(TOPIC_REJECTIONS) };

/* ---- rights ----------------------------------------------------------------------------- */

/* One right from here on; `*changed` when it was another's. Returns who has it then. */
static enum cq_status set_one(struct chat_step *step, struct group *group, enum right right,
                              bool is_asked, enum right_holders asked, enum right_holders *ret_now,
                              bool *changed)
{
    *ret_now = group_holders(group, right, step->seq);
    if (!is_asked || asked == *ret_now)
        return CQ_OK;
    *ret_now = asked;
    *changed = true;
    return group_set_holders(group, right, asked, step->seq);
}

static bool holders_good(bool is_asked, enum right_holders asked)
{
    return !is_asked || (unsigned)asked < RIGHT_HOLDERS_N;
}

/* What was so already is told all the same: whoever asked waits for it. */
static enum cq_status rule_rights_set(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    const struct rights_set *set = &action->action.u.rights_set;
    struct group *group = own_group(step);
    struct chat_event *event;
    struct rights_changed now;
    bool changed = false;
    enum cq_status st;

    if (!group)
        return chat_reject(step, action->chat_id, "not_found");
    if (group_stay(group, action->user_id, step->seq)->role == MEMBER_ROLE_MEMBER)
        return chat_reject(step, action->chat_id, "forbidden");
    if (!holders_good(set->has_send, set->send) || !holders_good(set->has_info, set->info) ||
        !holders_good(set->has_add, set->add))
        return chat_reject(step, action->chat_id, "bad_request");
    st = set_one(step, group, RIGHT_SEND, set->has_send, set->send, &now.send, &changed);
    if (st == CQ_OK)
        st = set_one(step, group, RIGHT_INFO, set->has_info, set->info, &now.info, &changed);
    if (st == CQ_OK)
        st = set_one(step, group, RIGHT_ADD, set->has_add, set->add, &now.add, &changed);
    if (st != CQ_OK || !(event = chat_emit_event(step)))
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_RIGHTS_CHANGED;
    event->event.u.rights_changed = now;
    if (changed)
        st = chat_emit_members(step, group);
    return st == CQ_OK ? tell_all(step, group, event) : st;
}
const struct chat_rule chat_rule_rights_set = { rule_rights_set, TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                                     TOPIC_BIT(TOPIC_MEMBERS) |
                                                                     TOPIC_BIT(TOPIC_USER_INBOX) |
                                                                     TOPIC_BIT(TOPIC_REJECTIONS) };
