/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/media_rules.c - files: uploaded by a member, looked at by the media sink (pure).
 */
#include "processors/chat/rules.h"
#include "schemas/frame.h"

/* A repeat makes the same fact again, which readers keep once by the media's id. */
enum cq_status rule_media_ready(struct chat_step *step)
{
    const struct chat_action *a = step->action;
    struct chat_event *e;
    enum cq_status st;
    size_t n = 0;

    if (!chat_recipients(step, &n, &st))
        return st != CQ_OK ? st : chat_reject(step, a->action.u.media_ready.media_id, "not_found");
    e = chat_emit_event(step);
    if (!e)
        return CQ_FATAL;
    e->event.kind = CHAT_EVENT_MEDIA_READY;
    e->event.u.media_ready = a->action.u.media_ready;
    e->event.u.media_ready.has_peer = a->has_peer;
    e->event.u.media_ready.peer = a->peer;
    return CQ_OK;
}

/* Submitted by the media sink in the owner's name. Everybody who is in the chat now is told; the
 * fact holds also when the owner has left. */
enum cq_status rule_media_processed(struct chat_step *step)
{
    struct chat_event *e = chat_emit_event(step);
    struct cq_id *to;
    enum cq_status st;
    size_t n = 0;

    if (!e)
        return CQ_FATAL;
    e->event.kind = CHAT_EVENT_MEDIA_PROCESSED;
    e->event.u.media_processed = step->action->action.u.media_processed;
    to = chat_recipients(step, &n, &st);
    if (!to)
        return st;
    return chat_emit_item(step, FRAME_CLASS_STATUS, step->seq, e->event.u.media_processed.media_id,
                          chat_render(step, frame_media, e), to, n);
}
