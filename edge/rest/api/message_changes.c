/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/message_changes.c - a message is edited, deleted for everybody, or reacted to.
 *
 * The path has the chat and the id of the message. An action names a message by its sender, client
 * id and seq, which the view has. processors/chat decides.
 */
#include "edge/rest/api/chats.h"
#include "edge/rest/api/fields.h"
#include "edge/rest/api/messages.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/render/messages.h"
#include "schemas/contents.h"
#include "schemas/names.h"

static const char reaction_rule[] =
    "reaction: a sign of 1 to " LIMIT_REACTION_BYTES_TEXT " bytes, something of it visible";
static const char late[] = "stored, but not visible yet: read the message again later";

struct change_ask {
    struct chat_view view;
    struct cq_span client_id, content;
    struct preview preview;
    bool has_preview;
    enum edit_known known;   /* of such an edit, by the last look */
    struct cq_span reaction; /* empty: it is taken back */
};

static enum call_next admit_member(struct call *call, struct pg *db, void *asked)
{
    struct change_ask *ask = asked;

    return chat_admit(call, db, call->request.path_id[0], &ask->view);
}

typedef enum call_next message_fn(struct call *call, const struct change_ask *ask,
                                  const struct message_row *row);

/* Go on by `then` with the message of the path, as the caller may see it. */
static enum call_next with_message(struct call *call, struct pg *db, const struct change_ask *ask,
                                   message_fn *then)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct message_row row;
    enum cq_status st = view_message(db, call->request.path_id[0], call->request.path_id[1],
                                     call->request.who.user, &rows);

    if (st != CQ_OK)
        return call_database(call, st);
    if (pg_rows(rows) != 1)
        return call_not_found(call);
    row = message_at(rows, 0, 0);
    return then(call, ask, &row);
}

static struct target target_of(struct call *call, const struct message_row *row)
{
    return (struct target){ row->sender, arena_copy(call->arena, row->client_id), row->seq };
}

/* ---- editing -------------------------------------------------------------------------- */

static const struct json_member edit_rows[] = {
    JSON_MEMBER("content", JSON_TEXT, struct change_ask, content, .rule = "content: must be text"),
    JSON_OPTIONAL("preview", JSON_OBJECT, struct change_ask, preview, has_preview,
                  .items = &preview_members, .rule = preview_rule),
    JSON_MEMBER("clientId", JSON_TEXT, struct change_ask, client_id, .optional = true,
                .good = client_id_good,
                .rule = "clientId: 1 to " LIMIT_CLIENT_ID_BYTES_TEXT
                        " printable characters without spaces"),
};
static const struct json_members edit_body = JSON_MEMBERS(edit_rows);

static enum call_next parse_edit(struct call *call, void *asked)
{
    struct change_ask *ask = asked;

    if (!ask->client_id.n)
        ask->client_id = arena_copy(call->arena, span_str(call->request.id));
    if (!ask->content.n)
        return call_bad_request(call, "content: not empty; DELETE removes the message");
    if (ask->content.n > LIMIT_CONTENT_BYTES)
        return call_error(call, 413, "too_large", "content: %d KiB at most",
                          LIMIT_CONTENT_BYTES / 1024);
    return CALL_GO_ON;
}

/* Look whether the view has an edit of this client id, and go on with the message by `then`. */
static enum call_next with_edit(struct call *call, struct pg *db, struct change_ask *ask,
                                message_fn *then)
{
    struct cq_id chat = call->request.path_id[0];
    enum cq_status st = view_edit(
        db, chat, call->request.path_id[1], change_id(chat, call->request.who.user, ask->client_id),
        ask->content, ask->has_preview ? &ask->preview : NULL, &ask->known);

    return st == CQ_OK ? with_message(call, db, ask, then) : call_database(call, st);
}

static enum call_next reply_message(struct call *call, const struct message_row *row)
{
    buf_clear(&call->reply.body);
    buf_add_str(&call->reply.body, "{\"message\":");
    render_message(&call->reply.body, row);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 200);
}

/* The message as it is now, once it got this edit: a later one may have overtaken it. */
static enum call_next reply_known(struct call *call, const struct change_ask *ask,
                                  const struct message_row *row)
{
    switch (ask->known) {
    case EDIT_UNKNOWN:
        return CALL_GO_ON;
    case EDIT_SAME:
        return reply_message(call, row);
    case EDIT_OTHER:
        break;
    }
    return write_rejected(call, span_str("conflict"));
}

static enum call_next submit_edit(struct call *call, const struct change_ask *ask,
                                  const struct message_row *row)
{
    enum call_next next;
    struct chat_action *sent;

    if (row->deleted || row->gone)
        return call_not_found(call);
    if (!id_eq(row->sender, call->request.who.user))
        return call_error(call, 403, "forbidden", "only who sent a message can edit it");
    next = reply_known(call, ask, row); /* the same clientId again */
    if (next != CALL_GO_ON)
        return next;
    sent = chat_submit(call, &ask->view, ask->client_id);
    sent->action.kind = CHAT_ACTION_MESSAGE_REWRITTEN;
    sent->action.u.message_rewritten =
        (struct message_rewritten){ .target = target_of(call, row),
                                    .content_type = span_str("text/plain"),
                                    .content = ask->content,
                                    .has_preview = ask->has_preview,
                                    .preview = ask->preview };
    return CALL_GO_ON;
}

static enum call_next begin_edit(struct call *call, struct pg *db, void *asked)
{
    const struct change_ask *ask = asked;
    enum call_next next = ask->has_preview && ask->preview.has_media_id
                              ? message_check_media(call, db, ask->preview.media_id)
                              : CALL_GO_ON;

    return next == CALL_GO_ON ? with_edit(call, db, asked, submit_edit) : next;
}

/* Of a message that was deleted meanwhile no edit is known any more. */
static enum call_next reply_edited(struct call *call, const struct change_ask *ask,
                                   const struct message_row *row)
{
    return row->deleted || row->gone ? reply_message(call, row) : reply_known(call, ask, row);
}

static enum call_next edit_result(struct call *call, struct pg *db, void *asked)
{
    return with_edit(call, db, asked, reply_edited);
}

static const struct write edit_write = {
    .asked_bytes = sizeof(struct change_ask),
    .admit = admit_member,
    .body = &edit_body,
    .parse = parse_edit,
    .begin = begin_edit,
    .result = edit_result,
    .until = WRITE_FOUND,
    .late = late,
};

/* ---- deleting ------------------------------------------------------------------------- */

static enum call_next submit_deletion(struct call *call, const struct change_ask *ask,
                                      const struct message_row *row)
{
    struct chat_action *sent;

    if (!id_eq(row->sender, call->request.who.user) &&
        (!ask->view.is_group || ask->view.role == MEMBER_ROLE_MEMBER))
        return write_rejected(call, span_str("forbidden"));
    if (row->deleted || row->gone == GONE_EXPIRED)
        return write_done(call, 200);
    sent = chat_submit(call, &ask->view, span_str(call->request.id));
    sent->action.kind = CHAT_ACTION_MESSAGE_WITHDRAWN;
    sent->action.u.message_withdrawn.target = target_of(call, row);
    return CALL_GO_ON;
}

static enum call_next begin_deletion(struct call *call, struct pg *db, void *asked)
{
    return with_message(call, db, asked, submit_deletion);
}

static enum call_next reply_deleted(struct call *call, const struct change_ask *ask,
                                    const struct message_row *row)
{
    (void)ask;
    return row->deleted || row->gone == GONE_EXPIRED ? write_done(call, 200) : CALL_GO_ON;
}

static enum call_next deletion_result(struct call *call, struct pg *db, void *asked)
{
    return with_message(call, db, asked, reply_deleted);
}

static const struct write deletion_write = {
    .asked_bytes = sizeof(struct change_ask),
    .admit = admit_member,
    .begin = begin_deletion,
    .result = deletion_result,
    .until = WRITE_FOUND,
    .late = late,
};

/* ---- reacting ------------------------------------------------------------------------- */

static const struct json_member reaction_rows[] = {
    JSON_MEMBER("reaction", JSON_TEXT, struct change_ask, reaction, .rule = reaction_rule),
};
static const struct json_members reaction_body = JSON_MEMBERS(reaction_rows);

static enum call_next parse_reaction(struct call *call, void *asked)
{
    const struct change_ask *ask = asked;

    return ask->reaction.n && ask->reaction.n <= LIMIT_REACTION_BYTES &&
                   display_characters_good(ask->reaction)
               ? CALL_GO_ON
               : call_bad_request(call, "%s", reaction_rule);
}

static enum call_next submit_reaction(struct call *call, const struct change_ask *ask,
                                      const struct message_row *row)
{
    struct chat_action *sent;

    if (row->deleted || row->gone)
        return call_not_found(call);
    if (span_eq(row->my_reaction, ask->reaction))
        return write_done(call, 200);
    sent = chat_submit(call, &ask->view, span_str(call->request.id));
    sent->action.kind = CHAT_ACTION_MESSAGE_REACTED;
    sent->action.u.message_reacted =
        (struct message_reacted){ target_of(call, row), ask->reaction };
    return CALL_GO_ON;
}

static enum call_next begin_reaction(struct call *call, struct pg *db, void *asked)
{
    return with_message(call, db, asked, submit_reaction);
}

/* Done once the view shows this reaction, or a later one of the same user. */
static enum call_next reply_reacted(struct call *call, const struct change_ask *ask,
                                    const struct message_row *row)
{
    (void)ask;
    return row->deleted || row->gone || row->my_reaction_seq >= write_seq(call)
               ? write_done(call, 200)
               : CALL_GO_ON;
}

static enum call_next reaction_result(struct call *call, struct pg *db, void *asked)
{
    return with_message(call, db, asked, reply_reacted);
}

static const struct write reaction_write = {
    .asked_bytes = sizeof(struct change_ask),
    .admit = admit_member,
    .body = &reaction_body,
    .parse = parse_reaction,
    .begin = begin_reaction,
    .result = reaction_result,
    .until = WRITE_FOUND,
    .late = late,
};

static const struct write no_reaction_write = {
    .asked_bytes = sizeof(struct change_ask),
    .admit = admit_member,
    .begin = begin_reaction,
    .result = reaction_result,
    .until = WRITE_FOUND,
    .late = late,
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "PATCH", "/api/chats/{}/messages/{}", true, write_run, "edit a message", ROUTE_FANOUT,
      &edit_write },
    { "DELETE", "/api/chats/{}/messages/{}", true, write_run, "delete a message for everybody",
      ROUTE_FANOUT, &deletion_write },
    { "PUT", "/api/chats/{}/messages/{}/reaction", true, write_run, "react to a message",
      ROUTE_FANOUT, &reaction_write },
    { "DELETE", "/api/chats/{}/messages/{}/reaction", true, write_run, "take my reaction back",
      ROUTE_FANOUT, &no_reaction_write },
};

const struct routes message_changes_routes = { rows, ARRAY_LEN(rows) };
