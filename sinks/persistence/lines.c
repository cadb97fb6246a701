/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/lines.h"

#include "schemas/frame.h"

enum { LINE_BYTES_MAX = 512 * 1024 };

/* Facts that everybody in the chat is told, and that are no message, nor about one. A block is told to one alone. */
static bool is_line(const struct chat_event *event)
{
    switch (event->event.kind) {
    case CHAT_EVENT_GROUP_STARTED:
    case CHAT_EVENT_GROUP_NAMED:
    case CHAT_EVENT_GROUP_DESCRIBED:
    case CHAT_EVENT_GROUP_PICTURED:
    case CHAT_EVENT_TIMER_CHANGED:
    case CHAT_EVENT_RIGHTS_CHANGED:
        return true;
    case CHAT_EVENT_MEMBERSHIP_CHANGED: /* one that changed nobody is told to nobody */
        return event->event.u.membership_changed.changes_n > 0;
    case CHAT_EVENT_MESSAGE_ACCEPTED:
    case CHAT_EVENT_MESSAGE_DELETED:
    case CHAT_EVENT_MESSAGE_EDITED:
    case CHAT_EVENT_REACTION_CHANGED:
    case CHAT_EVENT_BLOCK_CHANGED:
    case CHAT_EVENT_MESSAGES_HIDDEN:
    case CHAT_EVENT_PIN_CHANGED:
    case CHAT_EVENT_STAR_CHANGED:
    case CHAT_EVENT_VOTE_CHANGED:
    case CHAT_EVENT_POLL_CLOSED:
    case CHAT_EVENT_INVITE_MADE:
    case CHAT_EVENT_INVITE_ENDED:
    case CHAT_EVENT_JOIN_REQUESTED:
    case CHAT_EVENT_REQUEST_ENDED:
    case CHAT_EVENT_MEDIA_READY:
    case CHAT_EVENT_MEDIA_PROCESSED:
    case CHAT_EVENT_EVENT_KIND_N:
        break;
    }
    return false;
}

enum cq_status line_render(const struct chat_event *event, struct cq_arena *arena,
                           struct cq_span *ret)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf text = { 0 };

    *ret = span_of(NULL, 0);
    if (!is_line(event))
        return CQ_OK;
    buf_init(&text, LINE_BYTES_MAX);
    buf_add_byte(&text, '{');
    frame_event(&text, event);
    if (text.failed) /* the processor sends no frame that is larger */
        return CQ_POISON;
    *ret = arena_copy(arena, buf_span(&text));
    return ret->n ? CQ_OK : CQ_AGAIN;
}
