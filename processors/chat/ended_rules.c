/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/ended_rules.c - an account has ended: the others of its chats are told.
 */
#include "processors/chat/rules.h"

#include "schemas/names.h"

/* Of a direct chat the other, unless he blocks the author; of a group all who are in it. NULL without `*ret_st`
 * in CQ_OK, or where the author has no part in the chat. He may have blocked the other: nothing says so here. */
static struct cq_id *others(struct chat_step *step, size_t *ret_n, enum cq_status *ret_st)
{
    const struct chat_action *action = step->action;
    struct cq_id *to;

    if (!action->has_peer)
        return chat_recipients(step, ret_n, ret_st);
    *ret_st = CQ_OK;
    if (!chat_is_pair(action->chat_id, action->user_id, action->peer))
        return NULL;
    to = ARENA_NEW(step->arena, struct cq_id);
    if (!to)
        *ret_st = CQ_AGAIN;
    else
        *to = action->peer;
    *ret_n = chat_pair_has(step->state, action->chat_id, action->peer, step->seq) ? 1 : 0;
    return to;
}

static enum cq_status rule_account_ended(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    struct dedupe_entry entry;
    struct chat_event *event;
    enum cq_status st;
    size_t to_n = 0;
    struct cq_id *to = others(step, &to_n, &st);

    if (!to)
        return st != CQ_OK ? st : chat_reject(step, action->chat_id, "not_found");
    if (chat_first(step, change_id(action->chat_id, action->user_id, action->client_id))) {
        step->repeated = true;
        return CQ_OK;
    }
    if (!(event = chat_emit_event(step)))
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_ACCOUNT_ENDED;
    event->event.u.account_ended = (struct account_ended){ action->has_peer, action->peer };
    if (!chat_dedupe_entry(event, step->log_ms, &entry))
        return CQ_FATAL;
    st = to_n ? chat_emit_item(step, FRAME_CLASS_CHANGE, step->seq, (struct cq_id){ 0 },
                               chat_render(step, event), to, to_n)
              : CQ_OK;
    return st == CQ_OK ? dedupe_add(&step->state->dedupe, &entry) : st;
}
const struct chat_rule chat_rule_account_ended = { rule_account_ended,
                                                   TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                       TOPIC_BIT(TOPIC_USER_INBOX) |
                                                       TOPIC_BIT(TOPIC_REJECTIONS) };
