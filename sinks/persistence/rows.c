/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/rows.h"

#include "schemas/contents.h"
#include "schemas/names.h"
#include "schemas/topics.h"
#include "sinks/persistence/lines.h"
#include "sinks/persistence/poll_rows.h"
#include "sinks/persistence/targets.h"

#include <stdlib.h>

struct rows *rows_new(void)
{
    struct rows *rows = calloc(1, sizeof *rows);

    if (!rows)
        return NULL;
    rows->arena = arena_new(ROWS_LINES_BYTES);
    idmap_init(&rows->chat_at, ROWS_CHATS);
    idmap_init(&rows->user_at, ROWS_USERS);
    rows->texts = arena_new(ROWS_TEXTS_BYTES);
    return rows;
}

void rows_free(struct rows *rows)
{
    if (!rows)
        return;
    arena_free(rows->arena);
    idmap_release(&rows->chat_at);
    idmap_release(&rows->user_at);
    arena_free(rows->texts);
    free(rows);
}

void rows_clear(struct rows *rows)
{
#define CLEAR_(table, row, max) rows->table.n = 0;
    ROWS_TABLES(CLEAR_, CLEAR_)
#undef CLEAR_
    rows->ops_n = 0;
    rows->changes_n = rows->edits_n = rows->deletions_n = rows->reactions_n = 0;
    rows->hidden_n = rows->pins_n = rows->stars_n = 0;
    rows->polls_n = rows->votes_n = rows->ends_n = 0;
    rows->targets_n = 0;
    arena_reset(rows->arena);
    idmap_release(&rows->chat_at);
    idmap_release(&rows->user_at);
    arena_reset(rows->texts);
}

/* The row of the event's chat: several events of one chat become one row. NULL: there is no room. */
static struct chat_row *find_chat(struct rows *rows, const struct chat_event *event, int32_t kind)
{
    const uint64_t *at = idmap_get(&rows->chat_at, event->chat_id);
    size_t i = at ? *at : rows->chats.n;
    struct chat_row *chat = &rows->chats.v[i];

    if (!at) {
        if (i == ROWS_CHATS || !idmap_put(&rows->chat_at, event->chat_id, i))
            return NULL;
        rows->chats.n++;
        *chat = (struct chat_row){ .part = id_part(event->chat_id),
                                   .kind = kind,
                                   .chat = event->chat_id,
                                   .created_by = event->user_id,
                                   .name = span_of("", 0),
                                   .description = span_of("", 0),
                                   .info_by = RIGHT_HOLDERS_ADMINS,
                                   .add_by = RIGHT_HOLDERS_ADMINS,
                                   .no_picture = true,
                                   .created_ms = event->at_ms };
    }
    return chat;
}

/* The same, for what everybody in it sees. */
static struct chat_row *chat_row(struct rows *rows, const struct chat_event *event, int32_t kind)
{
    struct chat_row *chat = find_chat(rows, event, kind);

    if (chat && event->seq > chat->changed_seq)
        chat->changed_seq = event->seq;
    return chat;
}

/* The caller has seen that there is room for one more name. */
static void name_chat(struct rows *rows, struct chat_row *chat, struct cq_span name, int64_t seq)
{
    rows->chat_names.v[rows->chat_names.n++] =
        (struct chat_name_row){ .part = chat->part, .chat = chat->chat, .seq = seq, .name = name };
    if (seq < chat->name_seq)
        return;
    chat->name = name;
    chat->name_seq = seq;
}

/* The caller has seen that there is room for one more member. */
static void add_member(struct rows *rows, const struct chat_row *chat, struct cq_id user,
                       int64_t joined_seq, enum member_role role)
{
    rows->members.v[rows->members.n++] = (struct member_row){ .part = chat->part,
                                                              .role = (int32_t)role,
                                                              .chat = chat->chat,
                                                              .user = user,
                                                              .joined_seq = joined_seq };
}

enum cq_status row_op_add(struct rows *rows, struct row_op op)
{
    if (rows->ops_n == ROWS_OPS)
        return CQ_AGAIN;
    rows->ops[rows->ops_n++] = op;
    return CQ_OK;
}

static void add_tally(struct rows *rows, const struct chat_event *event, int32_t kind,
                      struct cq_id user)
{
    rows->tallies.v[rows->tallies.n++] = (struct tally_row){ .part = id_part(event->chat_id),
                                                             .kind = kind,
                                                             .chat = event->chat_id,
                                                             .user = user,
                                                             .seq = event->seq };
}

/* The caller has seen that there is room. Who is named twice is one, and one's own name is none. */
static void add_tallies(struct rows *rows, const struct chat_event *event)
{
    const struct message_accepted *message = &event->event.u.message_accepted;
    size_t first;

    if (!message->has_peer)
        add_tally(rows, event, TALLY_OWN, event->user_id);
    first = rows->tallies.n;
    for (size_t i = 0; i < message->mentions_n; i++) {
        size_t same = first;

        while (same < rows->tallies.n && !id_eq(rows->tallies.v[same].user, message->mentions[i]))
            same++;
        if (same == rows->tallies.n && !id_eq(message->mentions[i], event->user_id))
            add_tally(rows, event, TALLY_MENTION, message->mentions[i]);
    }
}

/* A direct chat is made by the first of its events that both see. The caller has seen that there is
 * room. */
static void add_both(struct rows *rows, struct chat_row *chat, struct cq_id user, struct cq_id peer)
{
    if (chat->has_both)
        return;
    chat->has_both = true;
    add_member(rows, chat, user, 0, MEMBER_ROLE_MEMBER);
    add_member(rows, chat, peer, 0, MEMBER_ROLE_MEMBER);
}

/* In the rows' own memory; NULL without anything. */
static enum cq_status keep_text(struct rows *rows, const struct cq_buf *text, struct cq_span *ret)
{
    *ret = span_of(NULL, 0);
    if (text->failed)
        return CQ_POISON; /* no rule lets so much through */
    if (!text->n)
        return CQ_OK;
    *ret = arena_copy(rows->texts, buf_span(text));
    return ret->n ? CQ_OK : CQ_AGAIN;
}

/* As clients see it. */
static enum cq_status contents_text(struct rows *rows, const struct message_accepted *message,
                                    struct cq_span *ret)
{
    cq_auto(buf) struct cq_buf text = { 0 };

    buf_init(&text, CONTENTS_TEXT_MAX);
    if (message->has_contents)
        contents_write(&text, &message->contents);
    return keep_text(rows, &text, ret);
}

static enum cq_status preview_of(struct rows *rows, const struct preview *preview,
                                 struct preview_row *ret)
{
    cq_auto(buf) struct cq_buf text = { 0 };

    *ret = (struct preview_row){ .no_text = !preview, .no_media = true };
    if (!preview)
        return CQ_OK;
    ret->no_media = !preview->has_media_id;
    ret->media = preview->media_id;
    buf_init(&text, PREVIEW_TEXT_MAX);
    preview_write(&text, preview);
    return keep_text(rows, &text, &ret->text);
}

static enum cq_status map_message(struct rows *rows, const struct chat_event *event)
{
    const struct message_accepted *message = &event->event.u.message_accepted;
    struct chat_row *chat;
    struct preview_row shown;
    struct cq_span contents;
    enum cq_status st;

    if (message->mentions_n > LIMIT_MESSAGE_SENT_MENTIONS ||
        message->poll.options_n > LIMIT_POLL_OPTIONS)
        return CQ_POISON; /* no rule lets so many through */
    if (rows->polls_n == ROWS_POLLS || rows->messages.n == ROWS_MESSAGES ||
        rows->members.n + 2 > ROWS_MEMBERS ||
        rows->tallies.n + 1 + message->mentions_n > ROWS_TALLIES)
        return CQ_AGAIN;
    st = contents_text(rows, message, &contents);
    if (st == CQ_OK)
        st = preview_of(rows, message->has_preview ? &message->preview : NULL, &shown);
    if (st != CQ_OK)
        return st;
    chat = chat_row(rows, event, message->has_peer ? 0 : 1);
    if (!chat)
        return CQ_AGAIN;
    if (event->seq > chat->last_seq)
        chat->last_seq = event->seq;
    if (message->has_peer)
        add_both(rows, chat, event->user_id, message->peer);
    rows->messages.v[rows->messages.n++] = (struct message_row){
        .part = chat->part,
        .type = (int32_t)message->type,
        .chat = event->chat_id,
        .id = message->id,
        .sender = event->user_id,
        .media = message->media_id,
        .seq = event->seq,
        .sent_ms = event->at_ms,
        .client = event->client_id,
        .content_type = message->content_type,
        .content = message->content,
        .key = message->key_id,
        .no_key = !message->has_key_id,
        .no_media = !message->has_media_id,
        .reply = message->reply_to.id,
        .reply_seq = message->reply_to.seq,
        .no_reply = !message->has_reply_to,
        .mentions = span_of(message->mentions, message->mentions_n * sizeof *message->mentions),
        .forwarded = message->has_forwarded ? message->forwarded : 0,
        .own = message->has_peer,
        .expires_ms = message->expires_at_ms,
        .stays = !message->has_expires_at_ms,
        .contents = contents,
        .no_contents = !contents.n,
        .shown = shown,
    };
    if (message->has_poll)
        poll_row_add(rows, event);
    add_tallies(rows, event);
    return CQ_OK;
}

static enum cq_status map_group(struct rows *rows, const struct chat_event *event)
{
    const struct group_started *group = &event->event.u.group_started;
    struct chat_row *chat;

    if (rows->members.n + group->members_n > ROWS_MEMBERS)
        return rows->members.n ? CQ_AGAIN : CQ_POISON;
    if (rows->chat_names.n == ROWS_CHATS)
        return CQ_AGAIN;
    chat = chat_row(rows, event, 1);
    if (!chat)
        return CQ_AGAIN;
    name_chat(rows, chat, group->name, event->seq);
    for (size_t i = 0; i < group->members_n; i++)
        add_member(rows, chat, group->members[i].user_id, event->seq, group->members[i].role);
    return CQ_OK;
}

static enum cq_status map_group_name(struct rows *rows, const struct chat_event *event)
{
    struct chat_row *chat;

    if (rows->chat_names.n == ROWS_CHATS)
        return CQ_AGAIN;
    chat = chat_row(rows, event, 1);
    if (!chat)
        return CQ_AGAIN;
    name_chat(rows, chat, event->event.u.group_named.name, event->seq);
    return CQ_OK;
}

/* A direct chat may begin with it. */
static enum cq_status map_timer(struct rows *rows, const struct chat_event *event)
{
    const struct timer_changed *timer = &event->event.u.timer_changed;
    struct chat_row *chat;

    if (rows->members.n + 2 > ROWS_MEMBERS)
        return CQ_AGAIN;
    chat = chat_row(rows, event, timer->has_peer ? 0 : 1);
    if (!chat)
        return CQ_AGAIN;
    if (timer->has_peer)
        add_both(rows, chat, event->user_id, timer->peer);
    if (event->seq >= chat->timer_seq) {
        chat->timer_s = timer->seconds;
        chat->timer_seq = event->seq;
    }
    return CQ_OK;
}

/* Of a group its leaving says the same. */
static enum cq_status map_ended(struct rows *rows, const struct chat_event *event)
{
    const struct account_ended *ended = &event->event.u.account_ended;
    struct chat_row *chat;

    if (rows->endings.n == ROWS_ENDINGS || rows->members.n + 2 > ROWS_MEMBERS)
        return CQ_AGAIN;
    chat = chat_row(rows, event, ended->has_peer ? 0 : 1);
    if (!chat)
        return CQ_AGAIN;
    if (!ended->has_peer)
        return CQ_OK;
    add_both(rows, chat, event->user_id, ended->peer);
    rows->endings.v[rows->endings.n++] = (struct ending_row){
        .part = chat->part, .chat = event->chat_id, .user = event->user_id, .seq = event->seq
    };
    return CQ_OK;
}

static enum cq_status map_description(struct rows *rows, const struct chat_event *event)
{
    struct chat_row *chat = chat_row(rows, event, 1);

    if (!chat)
        return CQ_AGAIN;
    if (event->seq >= chat->description_seq) {
        chat->description = event->event.u.group_described.description;
        chat->description_seq = event->seq;
    }
    return CQ_OK;
}

static enum cq_status map_picture(struct rows *rows, const struct chat_event *event)
{
    const struct group_pictured *pictured = &event->event.u.group_pictured;
    struct chat_row *chat = chat_row(rows, event, 1);

    if (!chat)
        return CQ_AGAIN;
    if (event->seq >= chat->picture_seq) {
        chat->picture = pictured->picture;
        chat->picture_by = event->user_id;
        chat->no_picture = !pictured->has_picture;
        chat->picture_seq = event->seq;
    }
    return CQ_OK;
}

static enum cq_status map_rights(struct rows *rows, const struct chat_event *event)
{
    const struct rights_changed *rights = &event->event.u.rights_changed;
    struct chat_row *chat = chat_row(rows, event, 1);

    if (!chat)
        return CQ_AGAIN;
    if (event->seq >= chat->rights_seq) {
        chat->send_by = (int32_t)rights->send;
        chat->info_by = (int32_t)rights->info;
        chat->add_by = (int32_t)rights->add;
        chat->rights_seq = event->seq;
    }
    return CQ_OK;
}

static enum member_role role_after(enum member_change_kind kind)
{
    switch (kind) {
    case MEMBER_CHANGE_KIND_PROMOTE:
        return MEMBER_ROLE_ADMIN;
    case MEMBER_CHANGE_KIND_MAKE_OWNER:
        return MEMBER_ROLE_OWNER;
    case MEMBER_CHANGE_KIND_ADD:
    case MEMBER_CHANGE_KIND_REMOVE:
    case MEMBER_CHANGE_KIND_DEMOTE:
    case MEMBER_CHANGE_KIND_N:
        break;
    }
    return MEMBER_ROLE_MEMBER;
}

/* Whoever is added asks no more. */
static enum row_op_kind op_of_change(enum member_change_kind kind)
{
    if (kind == MEMBER_CHANGE_KIND_ADD)
        return OP_LET_IN;
    return kind == MEMBER_CHANGE_KIND_REMOVE ? OP_LEAVE : OP_ROLE;
}

static struct row_op invite_op(const struct chat_event *event, enum row_op_kind kind,
                               struct cq_id invite)
{
    return (struct row_op){ .kind = kind,
                            .part = id_part(event->chat_id),
                            .chat = event->chat_id,
                            .user = invite,
                            .seq = event->seq };
}

/* Whoever is added, and the link's maker if he came by one. There is room. */
static void add_guest(struct rows *rows, const struct chat_row *chat, struct cq_id user,
                      const struct chat_event *event)
{
    add_member(rows, chat, user, event->seq, MEMBER_ROLE_MEMBER);
    if (event->event.u.membership_changed.has_invited_by)
        rows->members.v[rows->members.n - 1].invited_by =
            event->event.u.membership_changed.invited_by;
}

static enum cq_status map_changes(struct rows *rows, const struct chat_event *event)
{
    const struct membership_changed *changed = &event->event.u.membership_changed;
    struct chat_row *chat;

    if (rows->members.n + changed->changes_n > ROWS_MEMBERS ||
        rows->ops_n + changed->changes_n + 1 > ROWS_OPS)
        return rows->members.n || rows->ops_n ? CQ_AGAIN : CQ_POISON;
    chat = chat_row(rows, event, 1);
    if (!chat)
        return CQ_AGAIN;
    if (changed->has_invite_id)
        rows->ops[rows->ops_n++] = invite_op(event, OP_INVITE_USED, changed->invite_id);
    for (size_t i = 0; i < changed->changes_n; i++) {
        const struct member_change *change = &changed->changes[i];

        if (change->change == MEMBER_CHANGE_KIND_ADD)
            add_guest(rows, chat, change->user_id, event);
        rows->ops[rows->ops_n++] = (struct row_op){
            .kind = op_of_change(change->change),
            .part = chat->part,
            .chat = event->chat_id,
            .user = change->user_id,
            .seq = event->seq,
            .at_ms = event->at_ms,
            .role = (int32_t)role_after(change->change),
        };
    }
    return CQ_OK;
}

static enum cq_status map_media(struct rows *rows, const struct chat_event *event)
{
    const struct media_ready *ready = &event->event.u.media_ready;

    if (rows->media.n == ROWS_MEDIA)
        return CQ_AGAIN;
    rows->media.v[rows->media.n++] = (struct media_row){ .media = ready->media_id,
                                                         .owner = event->user_id,
                                                         .chat = event->chat_id,
                                                         .type = (int32_t)ready->type,
                                                         .content_type = ready->content_type,
                                                         .sha256 = ready->sha256,
                                                         .name = ready->name,
                                                         .key = ready->key,
                                                         .size = ready->size,
                                                         .ready_ms = event->at_ms,
                                                         .seq = event->seq };
    return CQ_OK;
}

static enum cq_status map_found(struct rows *rows, const struct chat_event *event)
{
    const struct media_processed *found = &event->event.u.media_processed;
    size_t i = 0;

    if (rows->media_found.n == ROWS_MEDIA)
        return CQ_AGAIN;
    /* one statement may touch a row once: the later one counts */
    while (i < rows->media_found.n && !id_eq(rows->media_found.v[i].media, found->media_id))
        i++;
    rows->media_found.n += i == rows->media_found.n;
    rows->media_found.v[i] = (struct media_found_row){ .media = found->media_id,
                                                       .width = found->width,
                                                       .height = found->height,
                                                       .duration_ms = found->duration_ms,
                                                       .seq = event->seq,
                                                       .thumbnail_key = found->thumbnail_key,
                                                       .fault = found->fault };
    return CQ_OK;
}

static enum cq_status map_media_end(struct rows *rows, const struct chat_event *event)
{
    if (rows->media_ends.n == ROWS_MEDIA)
        return CQ_AGAIN;
    rows->media_ends.v[rows->media_ends.n++] =
        (struct media_end_row){ .media = event->event.u.media_deleted.media_id,
                                .user = event->user_id,
                                .at_ms = event->at_ms,
                                .seq = event->seq };
    return CQ_OK;
}

static enum cq_status add_change(struct rows *rows, const struct chat_event *event,
                                 struct change_row change)
{
    if (rows->changes_n == ROWS_CHANGES)
        return CQ_AGAIN;
    change.part = id_part(event->chat_id);
    change.chat = event->chat_id;
    change.by = event->user_id;
    change.seq = event->seq;
    change.at_ms = event->at_ms;
    if (!change.edited_seq) { /* no version */
        change.content_type = change.content = span_of("", 0);
        change.no_key = change.shown.no_text = change.shown.no_media = true;
    }
    if (!change.reacted_seq)
        change.reaction = span_of("", 0);
    rows->changes[rows->changes_n++] = change;
    target_add(rows, event, change.message, change.target);
    rows->edits_n += change.edited_seq != 0;
    rows->deletions_n += change.deleted_seq != 0;
    rows->reactions_n += change.reacted_seq != 0;
    return CQ_OK;
}

static enum cq_status map_edit(struct rows *rows, const struct chat_event *event)
{
    const struct message_edited *edited = &event->event.u.message_edited;
    struct preview_row shown;
    enum cq_status st = preview_of(rows, edited->has_preview ? &edited->preview : NULL, &shown);

    if (st != CQ_OK)
        return st;
    return add_change(
        rows, event,
        (struct change_row){ .message = edited->message_id,
                             .target = edited->message_seq,
                             .edited_seq = event->seq,
                             .content_type = edited->content_type,
                             .content = edited->content,
                             .key = edited->key_id,
                             .no_key = !edited->has_key_id,
                             .shown = shown,
                             .edit = change_id(event->chat_id, event->user_id, event->client_id) });
}

static enum cq_status map_deletion(struct rows *rows, const struct chat_event *event)
{
    const struct message_deleted *deleted = &event->event.u.message_deleted;

    return add_change(rows, event,
                      (struct change_row){ .message = deleted->message_id,
                                           .target = deleted->message_seq,
                                           .deleted_seq = event->seq });
}

static enum cq_status map_reaction(struct rows *rows, const struct chat_event *event)
{
    const struct reaction_changed *reacted = &event->event.u.reaction_changed;

    return add_change(rows, event,
                      (struct change_row){ .message = reacted->message_id,
                                           .target = reacted->message_seq,
                                           .reacted_seq = event->seq,
                                           .reaction = reacted->reaction });
}

/* The blocker's stay ends, or another begins. Nobody else sees anything of it, so the chat has not
 * changed; it is made by a block when there is nothing in it yet, for the blocker alone. */
static enum cq_status map_block(struct rows *rows, const struct chat_event *event)
{
    const struct block_changed *block = &event->event.u.block_changed;
    struct row_op op = { .kind = block->blocked ? OP_LEAVE : OP_RETURN,
                         .part = id_part(event->chat_id),
                         .chat = event->chat_id,
                         .user = event->user_id,
                         .peer = block->peer,
                         .seq = event->seq,
                         .at_ms = event->at_ms };

    if (rows->ops_n + 2 > ROWS_OPS || rows->members.n == ROWS_MEMBERS)
        return CQ_AGAIN;
    if (block->blocked) {
        struct chat_row *chat = find_chat(rows, event, 0);

        if (!chat)
            return CQ_AGAIN;
        add_member(rows, chat, event->user_id, 0, MEMBER_ROLE_MEMBER);
    }
    rows->ops[rows->ops_n++] = op;
    op.kind = block->blocked ? OP_BLOCK : OP_UNBLOCK;
    rows->ops[rows->ops_n++] = op;
    return CQ_OK;
}

static enum cq_status map_hidden(struct rows *rows, const struct chat_event *event)
{
    const struct messages_hidden *hidden = &event->event.u.messages_hidden;

    if (rows->hidden_n + hidden->messages_n > ROWS_HIDDEN)
        return rows->hidden_n ? CQ_AGAIN : CQ_POISON;
    for (size_t i = 0; i < hidden->messages_n; i++) {
        target_add(rows, event, hidden->messages[i].id, hidden->messages[i].seq);
        rows->hidden[rows->hidden_n++] = (struct hidden_row){ .part = id_part(event->chat_id),
                                                              .chat = event->chat_id,
                                                              .user = event->user_id,
                                                              .message = hidden->messages[i].id,
                                                              .target = hidden->messages[i].seq,
                                                              .seq = event->seq };
    }
    return CQ_OK;
}

static enum cq_status map_pin(struct rows *rows, const struct chat_event *event)
{
    const struct pin_changed *pin = &event->event.u.pin_changed;

    if (rows->pins_n == ROWS_PINS)
        return CQ_AGAIN;
    target_add(rows, event, pin->message_id, pin->message_seq);
    rows->pins[rows->pins_n++] = (struct pin_row){ .part = id_part(event->chat_id),
                                                   .chat = event->chat_id,
                                                   .by = event->user_id,
                                                   .message = pin->message_id,
                                                   .target = pin->message_seq,
                                                   .seq = event->seq,
                                                   .at_ms = event->at_ms,
                                                   .pinned = pin->pinned };
    return CQ_OK;
}

static enum cq_status map_star(struct rows *rows, const struct chat_event *event)
{
    const struct star_changed *star = &event->event.u.star_changed;

    if (rows->stars_n == ROWS_STARS)
        return CQ_AGAIN;
    target_add(rows, event, star->message_id, star->message_seq);
    rows->stars[rows->stars_n++] = (struct star_row){ .part = id_part(event->chat_id),
                                                      .starred = star->starred,
                                                      .chat = event->chat_id,
                                                      .user = event->user_id,
                                                      .message = star->message_id,
                                                      .target = star->message_seq,
                                                      .seq = event->seq,
                                                      .at_ms = event->at_ms };
    return CQ_OK;
}

static struct row_op request_op(const struct chat_event *event)
{
    const struct join_requested *requested = &event->event.u.join_requested;

    return (struct row_op){ .kind = OP_REQUEST,
                            .user = event->user_id,
                            .peer = requested->invite_id,
                            .by = requested->invited_by,
                            .until_ms = requested->expires_at_ms };
}

/* The chat as those see it who may add: nobody else is told. */
static enum cq_status map_request(struct rows *rows, const struct chat_event *event,
                                  struct row_op op)
{
    struct chat_row *chat = rows->ops_n < ROWS_OPS ? find_chat(rows, event, 1) : NULL;

    if (!chat)
        return CQ_AGAIN;
    if (event->seq > chat->requested_seq)
        chat->requested_seq = event->seq;
    op.part = chat->part;
    op.chat = event->chat_id;
    op.seq = event->seq;
    op.at_ms = event->at_ms;
    return row_op_add(rows, op);
}

static enum cq_status map_invite(struct rows *rows, const struct chat_event *event)
{
    const struct invite_made *made = &event->event.u.invite_made;

    if (rows->invites.n == ROWS_INVITES || rows->ops_n + made->ended_n > ROWS_OPS)
        return rows->invites.n || rows->ops_n ? CQ_AGAIN : CQ_POISON;
    rows->invites.v[rows->invites.n++] =
        (struct invite_row){ .part = id_part(event->chat_id),
                             .chat = event->chat_id,
                             .invite = made->invite_id,
                             .hash = made->hash,
                             .by = event->user_id,
                             .client = event->client_id,
                             .seq = event->seq,
                             .made_ms = event->at_ms,
                             .expires_ms = made->has_expires_at_ms ? made->expires_at_ms : 0,
                             .most = made->uses,
                             .approval = made->approval };
    for (size_t i = 0; i < made->ended_n; i++)
        rows->ops[rows->ops_n++] = invite_op(event, OP_INVITE_ENDED, made->ended[i]);
    return CQ_OK;
}

static enum cq_status map_event(struct rows *rows, const struct chat_event *event)
{
    switch (event->event.kind) {
    case CHAT_EVENT_MESSAGE_ACCEPTED:
        return map_message(rows, event);
    case CHAT_EVENT_GROUP_STARTED:
        return map_group(rows, event);
    case CHAT_EVENT_MEMBERSHIP_CHANGED:
        return map_changes(rows, event);
    case CHAT_EVENT_GROUP_NAMED:
        return map_group_name(rows, event);
    case CHAT_EVENT_MESSAGE_DELETED:
        return map_deletion(rows, event);
    case CHAT_EVENT_MESSAGE_EDITED:
        return map_edit(rows, event);
    case CHAT_EVENT_REACTION_CHANGED:
        return map_reaction(rows, event);
    case CHAT_EVENT_BLOCK_CHANGED:
        return map_block(rows, event);
    case CHAT_EVENT_TIMER_CHANGED:
        return map_timer(rows, event);
    case CHAT_EVENT_ACCOUNT_ENDED:
        return map_ended(rows, event);
    case CHAT_EVENT_GROUP_DESCRIBED:
        return map_description(rows, event);
    case CHAT_EVENT_GROUP_PICTURED:
        return map_picture(rows, event);
    case CHAT_EVENT_RIGHTS_CHANGED:
        return map_rights(rows, event);
    case CHAT_EVENT_MESSAGES_HIDDEN:
        return map_hidden(rows, event);
    case CHAT_EVENT_PIN_CHANGED:
        return map_pin(rows, event);
    case CHAT_EVENT_STAR_CHANGED:
        return map_star(rows, event);
    case CHAT_EVENT_INVITE_MADE:
        return map_invite(rows, event);
    case CHAT_EVENT_INVITE_ENDED:
        return map_request(rows, event,
                           (struct row_op){ .kind = OP_INVITE_ENDED,
                                            .user = event->event.u.invite_ended.invite_id });
    case CHAT_EVENT_JOIN_REQUESTED:
        return map_request(rows, event, request_op(event));
    case CHAT_EVENT_REQUEST_ENDED:
        return map_request(rows, event,
                           (struct row_op){ .kind = OP_REQUEST_ENDED,
                                            .user = event->event.u.request_ended.user_id });
    case CHAT_EVENT_VOTE_CHANGED:
        return vote_row_add(rows, event);
    case CHAT_EVENT_POLL_CLOSED:
        return end_row_add(rows, event);
    case CHAT_EVENT_MEDIA_DELETED:
        return map_media_end(rows, event);
    case CHAT_EVENT_MEDIA_READY:
        return map_media(rows, event);
    case CHAT_EVENT_MEDIA_PROCESSED:
        return map_found(rows, event);
    case CHAT_EVENT_EVENT_KIND_N:
        break;
    }
    return CQ_POISON;
}

enum cq_status rows_chat_event(struct rows *rows, const struct chat_event *event)
{
    struct cq_span line = span_of(NULL, 0);
    enum cq_status st = line_render(event, rows->arena, &line);

    if (st == CQ_OK && line.n && rows->lines.n == ROWS_LINES)
        st = CQ_AGAIN;
    if (st == CQ_OK)
        st = map_event(rows, event);
    if (st != CQ_OK || !line.n)
        return st;
    rows->lines.v[rows->lines.n++] = (struct line_row){
        .part = id_part(event->chat_id), .chat = event->chat_id, .seq = event->seq, .line = line
    };
    find_chat(rows, event, 0)->line_seq = event->seq; /* the fact has made its row */
    return CQ_OK;
}

enum cq_status rows_push_target(struct rows *rows, const struct push_target *target)
{
    return row_op_add(rows, (struct row_op){ .kind = OP_PUSH, .push = target });
}

enum cq_status rows_push_gone(struct rows *rows, struct cq_span key)
{
    struct cq_id device;

    if (key.n != 2 * CQ_ID_TEXT_LEN + 1 ||
        !id_parse(span_of(key.p + CQ_ID_TEXT_LEN + 1, CQ_ID_TEXT_LEN), &device))
        return CQ_POISON;
    return row_op_add(rows, (struct row_op){ .kind = OP_PUSH_GONE, .user = device });
}

enum cq_status rows_rejection(struct rows *rows, const struct rejection *rejection)
{
    if (rows->rejected.n == ROWS_REJECTED)
        return CQ_AGAIN;
    rows->rejected.v[rows->rejected.n++] =
        (struct rejected_row){ .source_partition = rejection->source.partition,
                               .source_offset = rejection->source.offset,
                               .at_ms = rejection->at_ms,
                               .id = rejection->id,
                               .chat = rejection->chat_id,
                               .user = rejection->user_id,
                               .client = rejection->client_id,
                               .code = rejection->code };
    return CQ_OK;
}
