/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/messages.c - send, history, read cursor, receipts of one message.
 */
#include "edge/rest/render/messages.h"
#include "edge/rest/api/chat_pages.h"
#include "edge/rest/api/chats.h"
#include "edge/rest/api/fields.h"
#include "edge/rest/api/messages.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/query.h"
#include "edge/rest/view/chats.h"
#include "edge/rest/view/media.h"
#include "edge/rest/view/users.h"
#include "ingest/validate.h"
#include "schemas/contents.h"
#include "schemas/frame.h"
#include "schemas/limits.h"
#include "schemas/names.h"
#include "schemas/topics.h"

enum { LIMIT_DEFAULT = 50, LIMIT_MAX = 200, NOT_GIVEN = -1 };

enum call_next message_check_media(struct call *call, struct pg *db, struct cq_id media)
{
    struct media_own own;
    bool is_own = false;
    enum cq_status st = media_own(db, media, call->request.who.user, &own, &is_own);

    if (st != CQ_OK)
        return call_database(call, st);
    if (!is_own)
        return call_error(call, 404, "not_found", "mediaId: upload it first, it must be your own");
    return own.is_gone ? call_error(call, 410, "gone",
                                    "mediaId: the file was taken away; send it again first")
                       : CALL_GO_ON;
}

/* ---- sending -------------------------------------------------------------------------- */

struct send_ask {
    struct cq_id chat, id;
    bool has_peer;
    struct cq_id peer;
    struct cq_span client_id;
    bool has_forwarded_from;
    int64_t forwarded_from;
    struct message_sent message;
};

static const char media_rule[] = "mediaId: the id of a file, with a type other than text";

static const struct json_member send_rows[] = {
    FIELD_CHAT(struct send_ask, chat),
    JSON_MEMBER("type", JSON_WORD, struct send_ask, message.type, .words = &frame_type_words,
                .rule = "type: text, image, video, audio or document"),
    JSON_OPTIONAL("mediaId", JSON_ID, struct send_ask, message.media_id, message.has_media_id,
                  .rule = media_rule),
    JSON_MEMBER("content", JSON_TEXT, struct send_ask, message.content, .optional = true,
                .rule = "content: must be text"),
    JSON_MEMBER("clientId", JSON_TEXT, struct send_ask, client_id, .optional = true,
                .good = client_id_good, .rule = FIELD_CLIENT_ID_WORDS),
    JSON_OPTIONAL("peer", JSON_ID, struct send_ask, peer, has_peer, .lenient = true),
    JSON_OPTIONAL("replyTo", JSON_OBJECT, struct send_ask, message.reply_to, message.has_reply_to,
                  .items = &frame_quoted, .rule = "replyTo: the id and the seq of a message"),
    JSON_MEMBER("mentions", JSON_IDS, struct send_ask, message.mentions, .optional = true,
                .n_off = offsetof(struct send_ask, message.mentions_n),
                .most = LIMIT_MESSAGE_SENT_MENTIONS,
                .rule = "mentions: at most " LIMIT_MESSAGE_SENT_MENTIONS_TEXT " user ids"),
    JSON_SPREAD_OF(struct send_ask, message.contents, &contents_members),
    JSON_OPTIONAL("preview", JSON_OBJECT, struct send_ask, message.preview, message.has_preview,
                  .items = &preview_members, .rule = preview_rule),
    JSON_OPTIONAL("poll", JSON_OBJECT, struct send_ask, message.poll, message.has_poll,
                  .items = &frame_poll_asked,
                  .rule = "poll: 2 to " LIMIT_POLL_OPTIONS_TEXT
                          " options, each once; choices, anonymous, closesIn"),
    JSON_OPTIONAL("forwardedFrom", JSON_NUMBER, struct send_ask, forwarded_from, has_forwarded_from,
                  .most = SEQ_MAX,
                  .rule = "forwardedFrom: how often it was forwarded before, from 0"),
};
static const struct json_members send_body = JSON_MEMBERS(send_rows);

static enum call_next parse_message(struct call *call, void *asked)
{
    struct send_ask *ask = asked;
    struct message_sent *message = &ask->message;
    const char *why;

    message->content_type = span_str("text/plain");
    if (!ask->client_id.n)
        ask->client_id = arena_copy(call->arena, span_str(call->request.id));
    if (message->has_media_id && message->type == MESSAGE_TYPE_TEXT)
        return call_bad_request(call, "%s", media_rule);
    message->has_contents = contents_any(&message->contents);
    if (!message->content.n && !message->has_media_id && !message->has_contents)
        return call_bad_request(
            call, "content: required, unless there is a mediaId, a location or a contact");
    if (message->content.n > LIMIT_CONTENT_BYTES)
        return call_error(call, 413, "too_large", "content: %d KiB at most",
                          LIMIT_CONTENT_BYTES / 1024);
    if (message->has_poll && !message->poll.choices)
        message->poll.choices = 1;
    why = poll_refusal(message);
    if (why)
        return call_bad_request(call, "%s", why);
    message->has_forwarded = ask->has_forwarded_from;
    message->forwarded = ask->has_forwarded_from ? message_forwarded(ask->forwarded_from) : 0;
    ask->id = message_id(ask->chat, call->request.who.user, ask->client_id);
    return CALL_GO_ON;
}

/* 201, or 409 when the client id stands for another message already. */
static enum call_next message_result(struct call *call, struct pg *db, void *asked)
{
    const struct send_ask *ask = asked;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct message_row row;
    enum cq_status st = view_message(db, ask->chat, ask->id, call->request.who.user, &rows);

    if (st != CQ_OK)
        return call_database(call, st);
    if (pg_rows(rows) != 1)
        return CALL_GO_ON;
    if (!message_was(rows, &ask->message))
        return write_rejected(call, span_str("conflict"));
    row = message_at(rows, 0, 0);
    buf_clear(&call->reply.body);
    buf_add_str(&call->reply.body, "{\"message\":");
    render_message(&call->reply.body, &row);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 201);
}

/* The other user of a direct chat that the view does not have: named by the client, and real. */
static enum cq_status peer_named(struct call *call, struct pg *db, const struct send_ask *ask,
                                 struct chat_view *view, bool *ret_there)
{
    int64_t known = 0;
    enum cq_status st;

    if (!ask->has_peer || id_eq(ask->peer, call->request.who.user) ||
        !id_eq(ask->chat, chat_id_direct(call->request.who.user, ask->peer)))
        return CQ_OK;
    st = view_count_users(db, &ask->peer, 1, &known);
    *ret_there = known == 1;
    *view = (struct chat_view){ .id = ask->chat, .present = true, .peer = ask->peer };
    return st;
}

/* The chat that the caller may write in. */
static enum call_next open_chat(struct call *call, struct pg *db, const struct send_ask *ask,
                                struct chat_view *ret)
{
    bool there = false;
    int64_t known = 0;
    enum cq_status st = view_chat(db, ask->chat, call->request.who.user, ret, &there);

    if (st == CQ_OK && !there)
        st = peer_named(call, db, ask, ret, &there);
    if (st != CQ_OK)
        return call_database(call, st);
    if (there && ret->blocked)
        return write_rejected(call, span_str("forbidden"));
    if (!there || !ret->present)
        return call_not_found(call);
    if (ret->is_group)
        return CALL_GO_ON;
    /* the chat may have a peer that is not registered: it was made over the WebSocket, where that
     * is not known */
    st = view_count_users(db, &ret->peer, 1, &known);
    if (st != CQ_OK)
        return call_database(call, st);
    return known ? CALL_GO_ON
                 : call_error(call, 404, "not_found", "chatId: its other user is not registered");
}

static enum call_next check_media(struct call *call, struct pg *db,
                                  const struct message_sent *message)
{
    enum call_next next =
        message->has_media_id ? message_check_media(call, db, message->media_id) : CALL_GO_ON;

    return next == CALL_GO_ON && message->has_preview && message->preview.has_media_id
               ? message_check_media(call, db, message->preview.media_id)
               : next;
}

static enum call_next begin_send(struct call *call, struct pg *db, void *asked)
{
    const struct send_ask *ask = asked;
    struct chat_action *sent;
    struct chat_view view;
    enum call_next next = open_chat(call, db, ask, &view);

    if (next == CALL_GO_ON)
        next = check_media(call, db, &ask->message);
    if (next == CALL_GO_ON)
        next = message_result(call, db, asked); /* the same clientId again */
    if (next != CALL_GO_ON)
        return next;
    sent = chat_submit(call, &view, ask->client_id);
    sent->action.kind = CHAT_ACTION_MESSAGE_SENT;
    sent->action.u.message_sent = ask->message;
    return CALL_GO_ON;
}

static const struct write send_write = {
    .asked_bytes = sizeof(struct send_ask),
    .body = &send_body,
    .parse = parse_message,
    .begin = begin_send,
    .result = message_result,
    .until = WRITE_FOUND,
    .late = "stored, but not visible yet: send it again with the same clientId",
};

/* ---- history -------------------------------------------------------------------------- */

/* Rows in the order in which they were read, as many as the page holds, the oldest first. True:
 * there are more. */
static bool out_history(struct call *call, const struct pg_result *rows, int64_t limit,
                        bool forward)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf text = { 0 };
    size_t end[LIMIT_MAX + 1] = { 0 };
    int n = 0;

    buf_init(&text, CALL_REPLY_MAX);
    while (n < pg_rows(rows) && n < limit && text.n <= REST_PAGE_BYTES) {
        struct message_row row = message_at(rows, n, 0);

        render_message(&text, &row);
        end[++n] = text.n;
    }
    for (int i = 0; i < n; i++) {
        int place = forward ? i : n - 1 - i;

        if (i)
            buf_add_byte(&call->reply.body, ',');
        buf_add(&call->reply.body, text.p + end[place], end[place + 1] - end[place]);
    }
    call->reply.body.failed |= text.failed;
    return n && history_found(rows) > n;
}

static enum call_next handle_history(struct call *call, struct pg *db)
{
    struct history_ask ask = {
        .chat = call->request.path_id[0],
        .user = call->request.who.user,
        .after = NOT_GIVEN,
        .before = INT64_MAX,
        .limit = LIMIT_DEFAULT,
        .bytes = REST_PAGE_BYTES,
    };
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct chat_view view;
    enum cq_status st;
    bool there, more;

    if (!call_param_i64(call, "before", &ask.before) ||
        !call_param_i64(call, "after", &ask.after) || !call_param_i64(call, "limit", &ask.limit) ||
        ask.limit < 1 || ask.limit > LIMIT_MAX)
        return call_bad_request(call, "before, after: seqs, 0 to 2^53 - 1; limit: 1 to %d",
                                LIMIT_MAX);
    st = view_chat(db, ask.chat, ask.user, &view, &there);
    if (st == CQ_OK && !there)
        return call_not_found(call);
    if (st != CQ_OK)
        return call_database(call, st);
    ask.forward = ask.after != NOT_GIVEN && ask.before == INT64_MAX;
    st = view_history(db, &ask, &rows);
    if (st != CQ_OK)
        return call_database(call, st);
    buf_add_str(&call->reply.body, "{\"messages\":[");
    more = out_history(call, rows, ask.limit, ask.forward);
    buf_add_byte(&call->reply.body, ']');
    out_bool(&call->reply.body, "more", more);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 200);
}

/* ---- cursors -------------------------------------------------------------------------- */

struct read_ask {
    struct chat_view view;
    struct receipt receipt;
};

static enum call_next admit_reader(struct call *call, struct pg *db, void *asked)
{
    struct read_ask *ask = asked;

    return chat_admit(call, db, call->request.path_id[0], &ask->view);
}

static const struct json_member read_rows[] = {
    JSON_MEMBER("seq", JSON_NUMBER, struct read_ask, receipt.read_seq, .least = 1, .most = SEQ_MAX,
                .rule = "seq: that of the last message read, 1 to 2^53 - 1"),
};
static const struct json_members read_body = JSON_MEMBERS(read_rows);

static enum call_next begin_read(struct call *call, struct pg *db, void *asked)
{
    struct read_ask *ask = asked;
    struct receipt *receipt = &ask->receipt;
    struct chat_action *sent;
    bool is_told = true;
    enum cq_status st = view_tells_reads(db, call->request.who.user, &is_told);

    if (st != CQ_OK)
        return call_database(call, st);
    if (!is_told) {
        receipt->hidden_seq = receipt->read_seq;
        receipt->read_seq = 0;
    }
    sent = chat_submit(call, &ask->view, span_of(NULL, 0));
    receipt->chat_id = ask->view.id;
    receipt->user_id = call->request.who.user;
    receipt->device_id = call->request.who.device;
    receipt->has_peer = sent->has_peer;
    receipt->peer = sent->peer;
    sent->action.kind = CHAT_ACTION_RECEIPTS_ADVANCED;
    sent->action.u.receipts_advanced = (struct receipts_advanced){ receipt, 1 };
    return CALL_GO_ON;
}

static enum call_next read_result(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    (void)asked;
    return write_done(call, 202);
}

static const struct write read_write = {
    .asked_bytes = sizeof(struct read_ask),
    .admit = admit_reader,
    .body = &read_body,
    .begin = begin_read,
    .result = read_result,
    .until = WRITE_LOGGED,
};

static enum call_next handle_receipts(struct call *call, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_buf *body = &call->reply.body;
    struct cq_id user = call->request.who.user, chat;
    int64_t seq = 0;
    bool found = false;
    enum cq_status st = view_sent_message(db, call->request.path_id[0], user, &chat, &seq, &found);

    if (st == CQ_OK && !found)
        return call_not_found(call);
    if (st == CQ_OK)
        st = view_receipts(db, chat, seq, user, &rows);
    if (st != CQ_OK)
        return call_database(call, st);
    buf_add_str(body, "{\"receipts\":[");
    for (int i = 0; i < pg_rows(rows); i++) {
        struct receipt_row row = receipt_at(rows, i);

        if (i)
            buf_add_byte(body, ',');
        render_receipt(body, &row);
    }
    buf_add_str(body, "]}");
    return call_reply(call, 200);
}

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "POST", "/api/messages", true, write_run, "send", ROUTE_FANOUT, &send_write },
    { "GET", "/api/chats/{}/messages", true, handle_history, "history", 0, NULL },
    { "POST", "/api/chats/{}/read", true, write_run, "move my read cursor", 0, &read_write },
    { "GET", "/api/messages/{}/receipts", true, handle_receipts, "who has it, who read it", 0,
      NULL },
};

const struct routes messages_routes = { rows, ARRAY_LEN(rows) };
