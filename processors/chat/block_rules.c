/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/block_rules.c - one of the two of a direct chat blocks the other, or does not any
 * more (pure). A block ends the blocker's stay in the chat, and an unblock begins another: all else
 * asks the stays. A chat in which nobody ever blocked has none, and both are in it for ever.
 */
#include "processors/chat/rules.h"

#include "schemas/names.h"

/* How often the author has come back, or begun, before this. */
static size_t stays_of(const struct group *pair, struct cq_id user, int64_t seq)
{
    size_t n = 0;

    for (size_t i = 0; i < pair->stays_n; i++)
        n += id_eq(pair->stays[i].user_id, user) && pair->stays[i].joined_seq < seq;
    return n;
}

/* Why the author may not, or NULL. */
static const char *refuse_block(const struct chat_step *step, const struct group *pair)
{
    const struct chat_action *action = step->action;

    if (!action->client_id.n)
        return "bad_request";
    if (!action->has_peer || id_eq(action->peer, action->user_id) ||
        !id_eq(action->chat_id, chat_id_direct(action->user_id, action->peer)))
        return "not_found";
    if (!action->action.u.block_set.blocked)
        return NULL;
    if (!pair)
        return groups_full(&step->state->pairs) ? "too_large" : NULL;
    return group_stay(pair, action->user_id, step->seq) &&
                   stays_of(pair, action->user_id, step->seq) > LIMIT_BLOCKS_CHAT
               ? "too_many_blocks"
               : NULL;
}

/* One user, in the arena. NULL: it is full. */
static struct cq_id *only(struct chat_step *step, struct cq_id user)
{
    struct cq_id *to = ARENA_NEW(step->arena, struct cq_id);

    if (to)
        *to = user;
    return to;
}

/* The author's devices are told. The other's are not: an entry without a frame ends what the other's
 * sockets look at, and goes no further. */
static enum cq_status tell_both(struct chat_step *step, const struct chat_event *event)
{
    struct cq_id none = { { 0 } };
    enum cq_status st =
        chat_emit_item(step, FRAME_CLASS_BLOCK, step->seq, none, chat_render(step, event),
                       only(step, step->action->user_id), 1);

    if (st != CQ_OK || !event->event.u.block_changed.blocked)
        return st;
    return chat_emit_item(step, FRAME_CLASS_BLOCK, 0, none, span_str(""),
                          only(step, step->action->peer), 1);
}

/* What was so already is told all the same: whoever asked waits for it. */
static enum cq_status rule_block_set(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    bool blocked = action->action.u.block_set.blocked;
    struct group *pair = groups_find(&step->state->pairs, action->chat_id);
    struct member_change change = { action->user_id,
                                    blocked ? MEMBER_CHANGE_KIND_REMOVE : MEMBER_CHANGE_KIND_ADD };
    const char *code = refuse_block(step, pair);
    struct chat_event *event;
    enum cq_status st = CQ_OK;

    if (code)
        return chat_reject(step, change_id(action->chat_id, action->user_id, action->client_id),
                           code);
    if (blocked && !pair && !(pair = chat_keep_pair(step)))
        return CQ_FATAL;
    if (!(event = chat_emit_event(step)))
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_BLOCK_CHANGED;
    event->event.u.block_changed = (struct block_changed){ action->peer, blocked };
    if (pair)
        st = group_apply(pair, &change, 1, step->seq);
    if (st == CQ_OK && pair)
        st = chat_emit_members(step, pair);
    return st == CQ_OK ? tell_both(step, event) : st;
}
const struct chat_rule chat_rule_block_set = { rule_block_set, TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                                   TOPIC_BIT(TOPIC_MEMBERS) |
                                                                   TOPIC_BIT(TOPIC_USER_INBOX) |
                                                                   TOPIC_BIT(TOPIC_REJECTIONS) };
