/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/timer_rules.c - how long the messages of a chat stay.
 */
#include "processors/chat/rules.h"

/* What was so already is told all the same: whoever asked waits for it. */
static enum cq_status set_timer(struct chat_step *step, struct group *group, struct cq_id *to,
                                size_t to_n)
{
    const struct chat_action *action = step->action;
    int64_t seconds = action->action.u.timer_set.seconds;
    bool is_same = group_timer(group, step->seq) == seconds;
    struct chat_event *event;
    enum cq_status st = CQ_OK;

    if (!is_same && group_set_timer(group, seconds, step->seq) != CQ_OK)
        return CQ_FATAL;
    if (!(event = chat_emit_event(step)))
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_TIMER_CHANGED;
    event->event.u.timer_changed =
        (struct timer_changed){ seconds, action->has_peer, action->peer };
    if (!is_same)
        st = chat_emit_members(step, group);
    if (st != CQ_OK)
        return st;
    return chat_emit_item(step, FRAME_CLASS_CHANGE, step->seq, (struct cq_id){ 0 },
                          chat_render(step, event), to, to_n);
}

/* In a direct chat either side; in a group who may change its info. */
static enum cq_status rule_timer_set(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    int64_t seconds = action->action.u.timer_set.seconds;
    struct group *group = chat_kept(step);
    enum cq_status st;
    size_t to_n = 0;
    struct cq_id *to = chat_recipients(step, &to_n, &st);

    if (!to)
        return st != CQ_OK ? st : chat_reject(step, action->chat_id, chat_refusal(step));
    if (!chat_may(step, RIGHT_INFO))
        return chat_reject(step, action->chat_id, "forbidden");
    if (seconds < 0 || seconds > LIMIT_TIMER_SET_SECONDS_MAX)
        return chat_reject(step, action->chat_id, "bad_request");
    if (!group && groups_full(&step->state->pairs))
        return chat_reject(step, action->chat_id, "too_large");
    if (!group && !(group = chat_keep_pair(step)))
        return CQ_FATAL;
    return set_timer(step, group, to, to_n);
}
const struct chat_rule chat_rule_timer_set = { rule_timer_set, TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                                   TOPIC_BIT(TOPIC_MEMBERS) |
                                                                   TOPIC_BIT(TOPIC_USER_INBOX) |
                                                                   TOPIC_BIT(TOPIC_REJECTIONS) };
