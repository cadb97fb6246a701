/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/media_rules.c - files: uploaded by a member, looked at by the media sink (pure).
 */
#include "processors/chat/rules.h"
#include "schemas/frame.h"
#include "schemas/names.h"

/* Who is told of a file: all in the chat, or, in the direct chat with oneself, where nobody writes and
 * files are kept that belong to no message, its owner. As chat_recipients(). */
static struct cq_id *file_recipients(struct chat_step *step, size_t *ret_n, enum cq_status *ret_st)
{
    const struct chat_action *action = step->action;
    struct cq_id *to;

    if (!action->has_peer || !id_eq(action->peer, action->user_id) ||
        !id_eq(action->chat_id, chat_id_direct(action->user_id, action->user_id)))
        return chat_recipients(step, ret_n, ret_st);
    to = ARENA_NEW(step->arena, struct cq_id);
    *ret_st = to ? CQ_OK : CQ_AGAIN;
    *ret_n = 1;
    if (to)
        *to = action->user_id;
    return to;
}

/* A repeat makes the same fact again, which readers keep once by the media's id. */
static enum cq_status rule_media_ready(struct chat_step *step)
{
    const struct chat_action *action = step->action;
    struct chat_event *event;
    enum cq_status st;
    size_t n = 0;

    if (!file_recipients(step, &n, &st))
        return st != CQ_OK
                   ? st
                   : chat_reject(step, action->action.u.media_ready.media_id, chat_refusal(step));
    event = chat_emit_event(step);
    if (!event)
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_MEDIA_READY;
    event->event.u.media_ready = action->action.u.media_ready;
    event->event.u.media_ready.has_peer = action->has_peer;
    event->event.u.media_ready.peer = action->peer;
    return CQ_OK;
}
const struct chat_rule chat_rule_media_ready = { rule_media_ready,
                                                 TOPIC_BIT(TOPIC_CHAT_EVENTS) |
                                                     TOPIC_BIT(TOPIC_USER_INBOX) |
                                                     TOPIC_BIT(TOPIC_REJECTIONS) };

/* Everybody who is in the chat now is told; the fact holds also when the owner has left. */
static enum cq_status tell_fact(struct chat_step *step, struct chat_event *event, struct cq_id file)
{
    struct cq_id *to;
    enum cq_status st;
    size_t n = 0;

    to = file_recipients(step, &n, &st);
    if (!to)
        return st;
    return chat_emit_item(step, FRAME_CLASS_STATUS, step->seq, file, chat_render(step, event), to,
                          n);
}

/* Submitted by the media sink in the owner's name. */
static enum cq_status rule_media_processed(struct chat_step *step)
{
    struct chat_event *event = chat_emit_event(step);

    if (!event)
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_MEDIA_PROCESSED;
    event->event.u.media_processed = step->action->action.u.media_processed;
    return tell_fact(step, event, event->event.u.media_processed.media_id);
}
const struct chat_rule chat_rule_media_processed = {
    rule_media_processed, TOPIC_BIT(TOPIC_CHAT_EVENTS) | TOPIC_BIT(TOPIC_USER_INBOX)
};

/* Whose file it is nobody knows here: readers of the fact ask whether userId owns it. A repeat makes
 * the same fact again. */
static enum cq_status rule_media_deleted(struct chat_step *step)
{
    struct chat_event *event = chat_emit_event(step);

    if (!event)
        return CQ_FATAL;
    event->event.kind = CHAT_EVENT_MEDIA_DELETED;
    event->event.u.media_deleted = step->action->action.u.media_deleted;
    return tell_fact(step, event, event->event.u.media_deleted.media_id);
}
const struct chat_rule chat_rule_media_deleted = {
    rule_media_deleted, TOPIC_BIT(TOPIC_CHAT_EVENTS) | TOPIC_BIT(TOPIC_USER_INBOX)
};
