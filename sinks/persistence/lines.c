/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/lines.h"

#include "schemas/frame.h"

enum { LINE_BYTES_MAX = 512 * 1024 };

/* Facts that everybody in the chat is told, and that are no message, nor about one. A block is told to one alone. */
static const enum chat_event_event_kind lines[] = {
    CHAT_EVENT_GROUP_STARTED,      CHAT_EVENT_GROUP_NAMED,   CHAT_EVENT_GROUP_DESCRIBED,
    CHAT_EVENT_GROUP_PICTURED,     CHAT_EVENT_TIMER_CHANGED, CHAT_EVENT_RIGHTS_CHANGED,
    CHAT_EVENT_MEMBERSHIP_CHANGED, CHAT_EVENT_ACCOUNT_ENDED,
};

static bool is_line(const struct chat_event *event)
{
    if (event->event.kind == CHAT_EVENT_MEMBERSHIP_CHANGED &&
        !event->event.u.membership_changed.changes_n)
        return false; /* one that changed nobody is told to nobody */
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (event->event.kind == lines[i])
            return true;
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
