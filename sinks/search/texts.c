/* SPDX-License-Identifier: MIT */
#include "sinks/search/texts.h"

#include "schemas/frame.h"

#include <stdlib.h>

struct texts *texts_new(void)
{
    return calloc(1, sizeof(struct texts));
}

void texts_free(struct texts *texts)
{
    free(texts);
}

void texts_clear(struct texts *texts)
{
    texts->rows_n = texts->keys_n = texts->ops_n = 0;
}

static bool has_room(const struct texts *texts)
{
    return texts->rows_n < TEXTS_MAX && texts->ops_n < TEXTS_OPS &&
           texts->keys_n + TEXT_MARKS + WORDS_KEYS_MAX <= TEXTS_KEYS;
}

static void add_key(struct texts *texts, int32_t ord, int64_t key, bool is_mark)
{
    texts->keys[texts->keys_n++] = (struct text_key){ ord, key, is_mark };
}

/* Of what cannot be read no words are known. */
static void add_words(struct texts *texts, int32_t ord, struct cq_span content,
                      struct cq_span content_type, bool is_secret)
{
    size_t n;

    if (is_secret || !span_eq_str(content_type, "text/plain"))
        return;
    words_split(&texts->words, content);
    n = words_keys(&texts->words, texts->found);
    for (size_t i = 0; i < n; i++)
        add_key(texts, ord, texts->found[i], false);
}

static void add_message(struct texts *texts, const struct chat_event *event)
{
    const struct message_accepted *message = &event->event.u.message_accepted;
    int32_t ord = (int32_t)texts->rows_n;

    texts->rows[texts->rows_n++] = (struct text_row){
        .ord = ord,
        .part = id_part(event->chat_id),
        .chat = event->chat_id,
        .message = message->id,
        .seq = event->seq,
        .at_ms = event->at_ms,
        .expires_ms = message->expires_at_ms,
        .stays = !message->has_expires_at_ms,
    };
    add_key(texts, ord, words_mark(""), true);
    if (message->type != MESSAGE_TYPE_TEXT)
        add_key(texts, ord, words_mark(message_type_word(message->type)), true);
    add_words(texts, ord, message->content, message->content_type, message->has_key_id);
}

static struct text_op *add_op(struct texts *texts, const struct chat_event *event,
                              enum text_op_kind kind)
{
    struct text_op *op = &texts->ops[texts->ops_n++];

    *op = (struct text_op){ .kind = kind,
                            .part = id_part(event->chat_id),
                            .chat = event->chat_id,
                            .seq = event->seq,
                            .keys_from = texts->keys_n };
    return op;
}

static void add_edit(struct texts *texts, const struct chat_event *event)
{
    const struct message_edited *edited = &event->event.u.message_edited;
    struct text_op *op = add_op(texts, event, TEXT_EDIT);

    op->message = edited->message_id;
    op->target = edited->message_seq;
    add_words(texts, ORD_EDIT, edited->content, edited->content_type, edited->has_key_id);
    op->keys_n = texts->keys_n - op->keys_from;
}

static void add_deletion(struct texts *texts, const struct chat_event *event)
{
    struct text_op *op = add_op(texts, event, TEXT_DELETION);

    op->message = event->event.u.message_deleted.message_id;
    op->target = event->event.u.message_deleted.message_seq;
}

static bool has_leave(const struct membership_changed *changed)
{
    for (size_t i = 0; i < changed->changes_n; i++)
        if (changed->changes[i].change == MEMBER_CHANGE_KIND_REMOVE)
            return true;
    return false;
}

/* The kinds that bring, change or take away a text, or whom it is shown to; any other has none. */
enum cq_status texts_add(struct texts *texts, const struct chat_event *event)
{
    enum chat_event_event_kind kind = event->event.kind;

    if (!has_room(texts))
        return CQ_AGAIN;
    if (kind == CHAT_EVENT_MESSAGE_ACCEPTED)
        add_message(texts, event);
    else if (kind == CHAT_EVENT_MESSAGE_EDITED)
        add_edit(texts, event);
    else if (kind == CHAT_EVENT_MESSAGE_DELETED)
        add_deletion(texts, event);
    else if ((kind == CHAT_EVENT_MEMBERSHIP_CHANGED &&
              has_leave(&event->event.u.membership_changed)) ||
             (kind == CHAT_EVENT_BLOCK_CHANGED && event->event.u.block_changed.blocked))
        add_op(texts, event, TEXT_LEAVE);
    return CQ_OK;
}
