/* SPDX-License-Identifier: MIT */
/*
 * processors/user/mark_rules.c - where chats stand in a user's own list: the fact, and a frame for his
 * devices. Nothing is kept: of each thing that is marked the last fact counts, whoever reads them.
 */
#include "processors/user/rules.h"

#include "schemas/frame.h"

enum { MARKED_FRAME_MAX = 32 * 1024 };

enum cq_status user_tell_marked(struct user_step *step, const struct user_event *event)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf frame = { 0 };
    const struct user_entry *user = sessions_user(&step->state->sessions, event->user_id);

    buf_init(&frame, MARKED_FRAME_MAX);
    if (!user || !user->sessions_n)
        return CQ_OK;
    frame_marked(&frame, event);
    if (frame.failed)
        return CQ_FATAL;
    return user_tell_devices(step, user, arena_copy(step->arena, buf_span(&frame)), false);
}

/* A chat is put away or pinned, not both: the later of the two ends the other, and the fact says so. */
static enum cq_status rule_chat_marked(struct user_step *step, const struct user_action *action)
{
    const struct chat_marked *asked = &action->action.u.chat_marked;
    bool archives = asked->has_archived && asked->archived;
    bool pins = asked->has_pinned && asked->pinned && !archives;
    struct user_event *event = user_emit_event(step, action, 0);
    struct user_event told;

    if (!event)
        return CQ_FATAL;
    event->event.kind = USER_EVENT_CHAT_MARKS_CHANGED;
    event->event.u.chat_marks_changed = (struct chat_marks_changed){
        .chat_id = asked->chat_id,
        .has_archived = asked->has_archived || pins,
        .archived = archives,
        .has_pinned = asked->has_pinned || archives,
        .pinned = pins,
        .has_marked_unread = asked->has_marked_unread,
        .marked_unread = asked->marked_unread,
        .read_seq = asked->has_marked_unread && asked->marked_unread ? asked->read_seq : 0,
        .has_draft = asked->has_draft,
        .draft = asked->draft,
        .draft_after = asked->has_draft && asked->draft.n ? asked->draft_after : 0,
    };
    told = *event; /* the outputs may move */
    return user_tell_marked(step, &told);
}
const struct user_rule user_rule_chat_marked = { rule_chat_marked, TOPIC_BIT(TOPIC_USER_EVENTS) |
                                                                       TOPIC_BIT(TOPIC_WS_PUSH) };
