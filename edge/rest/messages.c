/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/messages.c - send, history, read cursor, receipts of one message.
 */
#include "edge/rest/rest.h"
#include "ingest/ingest.h"
#include "ingest/validate.h"
#include "schemas/frame.h"
#include "schemas/names.h"

static const int64_t SEQ_MAX = ((int64_t)1 << 53) - 1;

enum { LIMIT_DEFAULT = 50, LIMIT_MAX = 200 };

/* ---- sending -------------------------------------------------------------------------- */

/* 201, or 409 when the client id stands for another message already; *ret_found false: neither. */
static enum call_next reply_message(struct call *c, struct pg *db, struct cq_id chat,
                                    struct cq_id id, const struct message_sent *want,
                                    bool *ret_found)
{
    enum view_found found;
    enum cq_status st;

    buf_clear(&c->out);
    buf_add_str(&c->out, "{\"message\":");
    st = view_message_by_id(c, db, chat, id, want, &found);
    *ret_found = found != VIEW_ABSENT;
    if (found == VIEW_OTHER)
        return call_rejected(c, span_str("conflict"));
    buf_add_byte(&c->out, '}');
    return st == CQ_OK ? call_reply(c, 201) : call_database(c, st);
}

struct sending {
    struct cq_id id;
};

/* The other user of a direct chat that the view does not have: named by the client, and real. */
static enum cq_status peer_named(struct call *c, struct pg *db, struct cq_id chat,
                                 struct chat_view *view, bool *ret_there)
{
    struct cq_id peer;
    int64_t known = 0;
    enum cq_status st;

    if (!json_get_id(c->json, "peer", &peer) || id_eq(peer, c->who.user) ||
        !id_eq(chat, chat_id_direct(c->who.user, peer)))
        return CQ_OK;
    st = view_count_users(db, &peer, 1, &known);
    *ret_there = known == 1;
    *view = (struct chat_view){ .id = chat, .present = true, .peer = peer };
    return st;
}

/* What was asked for, checked; false: c has its reply. */
static bool parse_message(struct call *c, struct cq_id *chat, struct message_sent *m,
                          struct cq_span *client_id, enum call_next *ret)
{
    struct cq_span type;

    *ret = CALL_REPLY;
    m->content_type = span_str("text/plain");
    if (!call_chat_id(c, chat))
        *ret = call_bad_request(c, "chatId: required");
    else if (!json_get_text(c->json, "type", &type) || !message_type_parse(type, &m->type))
        *ret = call_bad_request(c, "type: text, image, video, audio or document");
    else if (json_get(c->json, "mediaId") &&
             (m->type == MESSAGE_TYPE_TEXT || !json_get_id(c->json, "mediaId", &m->media_id)))
        *ret = call_bad_request(c, "mediaId: the id of a file, with a type other than text");
    else if (json_get(c->json, "content") && !json_get_text(c->json, "content", &m->content))
        *ret = call_bad_request(c, "content: must be text");
    else if (!m->content.n && !json_get(c->json, "mediaId"))
        *ret = call_bad_request(c, "content: required, unless there is a mediaId");
    else if (m->content.n > LIMIT_CONTENT_BYTES)
        *ret = call_error(c, 413, "too_large", "content: 32 KiB at most");
    else if (json_get(c->json, "clientId") &&
             (!json_get_text(c->json, "clientId", client_id) || !client_id_good(*client_id)))
        *ret = call_bad_request(c, "clientId: 1 to 64 printable characters without spaces");
    else
        return true;
    return false;
}

static enum call_next send_first(struct call *c, struct pg *db)
{
    struct sending *s = ARENA_NEW(c->arena, struct sending);
    struct cq_span client_id = arena_copy(c->arena, span_str(c->request_id));
    struct message_sent m = { 0 };
    struct chat_action *a;
    struct chat_view view;
    enum call_next next;
    struct cq_id chat;
    int64_t known = 0;
    bool there, found;
    enum cq_status st;

    if (!s || !parse_message(c, &chat, &m, &client_id, &next))
        return s ? next
                 : call_error(c, 500, "internal", "internal error: report it with the requestId");
    st = view_chat(db, chat, c->who.user, &view, &there);
    if (st == CQ_OK && !there)
        st = peer_named(c, db, chat, &view, &there);
    if (st != CQ_OK)
        return call_database(c, st);
    if (!there || !view.present)
        return call_not_found(c);
    if (!view.is_group) { /* the chat may have a peer that is not registered: it was made over the
                           * WebSocket, where that is not known */
        st = view_count_users(db, &view.peer, 1, &known);
        if (st != CQ_OK)
            return call_database(c, st);
        if (!known)
            return call_error(c, 404, "not_found", "chatId: its other user is not registered");
    }
    s->id = message_id(chat, c->who.user, client_id);
    if (json_get(c->json, "mediaId")) {
        m.has_media_id = true;
        st = view_media_owned(db, m.media_id, c->who.user, &there);
        if (st != CQ_OK)
            return call_database(c, st);
        if (!there)
            return call_error(c, 404, "not_found", "mediaId: upload it first, it must be your own");
    }
    next = reply_message(c, db, chat, s->id, &m, &found);
    if (found || c->status >= 400)
        return next; /* the same clientId again, or no answer */
    c->status = 0;
    buf_clear(&c->out);
    a = call_submit_chat(c, chat, client_id);
    a->has_peer = !view.is_group;
    a->peer = view.peer;
    a->action.kind = CHAT_ACTION_MESSAGE_SENT;
    a->action.u.message_sent = m;
    c->state = s;
    c->step = 1;
    return CALL_SUBMIT;
}

enum call_next handle_message_send(struct call *c, struct pg *db)
{
    const struct chat_action *sent = &c->submits[0].u.chat;
    const struct sending *s = c->state;
    struct cq_span code;
    enum call_next next;
    enum cq_status st;
    bool found;

    if (c->step == 0)
        return send_first(c, db);
    if (c->step == 1)
        return call_wait_for(c, 0, 2);
    /* the message that is there may come from another request with the same clientId */
    next = reply_message(c, db, sent->chat_id, s->id, &sent->action.u.message_sent, &found);
    if (found || c->status >= 400)
        return next;
    c->status = 0;
    st = view_rejection(c, db, &c->submits[0], &code);
    if (st != CQ_OK)
        return call_database(c, st);
    if (code.p)
        return call_rejected(c, code);
    if (c->timed_out)
        return call_unavailable(
            c, "stored, but not visible yet: send it again with the same clientId");
    return c->passed ? call_look_again(c, 2) : call_wait_for(c, 0, 2);
}

/* ---- history -------------------------------------------------------------------------- */

/* clang-format off */

/* $1 chat, $2 user, behind $3, before $4, $5 how many, $6 is a member now, $7 bytes of content that
 * end a page, $8 part. Only what lies between the first joining and the last leaving is looked at.
 */
#define SQL_HISTORY(order)                                                                         \
    "SELECT " VIEW_MESSAGE_COLUMNS ", m.found FROM (SELECT z.*, count(*) OVER () AS found, "       \
    "sum(octet_length(z.content)) OVER (ORDER BY z.seq " order " ROWS UNBOUNDED PRECEDING) "       \
    "- octet_length(z.content) AS bytes_before FROM (SELECT y.*, "                                 \
    "CASE WHEN NOT $6::bool THEN " VIEW_UNTIL("s") " END AS until FROM view.messages y "           \
    "JOIN LATERAL (SELECT i.left_seq, i.left_at FROM view.members i WHERE i.part = $8 "            \
    "AND i.chat_id = $1 AND i.user_id = $2 AND y.seq > i.joined_seq "                              \
    "AND (i.left_seq IS NULL OR y.seq < i.left_seq) LIMIT 1) s ON true "                           \
    "WHERE y.part = $8 AND y.chat_id = $1 AND y.seq > greatest($3, (SELECT min(joined_seq) "       \
    "FROM view.members WHERE part = $8 AND chat_id = $1 AND user_id = $2)) "                       \
    "AND y.seq < least($4, (SELECT max(coalesce(left_seq, $4)) FROM view.members "                 \
    "WHERE part = $8 AND chat_id = $1 AND user_id = $2)) ORDER BY y.seq " order " LIMIT $5) z) m " \
    "WHERE m.bytes_before < $7 ORDER BY m.seq " order

/* clang-format on */

static const char sql_forward[] = SQL_HISTORY("ASC");
static const char sql_backward[] = SQL_HISTORY("DESC");

/* Rows in the order in which they were read, as many as the page holds, the oldest first. True:
 * there are more. */
static bool out_history(struct call *c, const struct pg_result *rows, int64_t limit, bool forward)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf text = { 0 };
    size_t end[LIMIT_MAX + 1] = { 0 };
    int n = 0;

    buf_init(&text, CALL_REPLY_MAX);
    while (n < pg_rows(rows) && n < limit && text.n <= REST_PAGE_BYTES) {
        view_message(&text, rows, n, 0);
        end[++n] = text.n;
    }
    for (int i = 0; i < n; i++) {
        int k = forward ? i : n - 1 - i;

        if (i)
            buf_add_byte(&c->out, ',');
        buf_add(&c->out, text.p + end[k], end[k + 1] - end[k]);
    }
    c->out.failed |= text.failed;
    return n && pg_i64(rows, 0, VIEW_MESSAGE_COLUMNS_N) > n;
}

enum call_next handle_history(struct call *c, struct pg *db)
{
    int64_t before = INT64_MAX, after = 0, limit = LIMIT_DEFAULT;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct chat_view view;
    struct pg_params p;
    enum cq_status st;
    bool there, forward;

    if (!call_param_i64(c, "before", &before) || !call_param_i64(c, "after", &after) ||
        !call_param_i64(c, "limit", &limit) || limit < 1 || limit > LIMIT_MAX)
        return call_bad_request(c, "before, after: seqs; limit: 1 to 200");
    st = view_chat(db, c->path_id[0], c->who.user, &view, &there);
    if (st == CQ_OK && !there)
        return call_not_found(c);
    if (st != CQ_OK)
        return call_database(c, st);
    forward = after > 0 && before == INT64_MAX;
    pg_params_init(&p, 512);
    pg_add_uuid(&p, c->path_id[0]);
    pg_add_uuid(&p, c->who.user);
    pg_add_i64(&p, after);
    pg_add_i64(&p, before);
    pg_add_i64(&p, limit + 1);
    pg_add_bool(&p, view.present);
    pg_add_i64(&p, REST_PAGE_BYTES);
    pg_add_i32(&p, id_part(c->path_id[0]));
    st = pg_run(db, forward ? sql_forward : sql_backward, &p, &rows);
    pg_params_release(&p);
    if (st != CQ_OK)
        return call_database(c, st);
    buf_add_str(&c->out, "{\"messages\":[");
    there = out_history(c, rows, limit, forward);
    buf_add_byte(&c->out, ']');
    out_bool(&c->out, "more", there);
    buf_add_byte(&c->out, '}');
    return call_reply(c, 200);
}

/* ---- cursors -------------------------------------------------------------------------- */

enum call_next handle_read(struct call *c, struct pg *db)
{
    struct receipt *r = ARENA_NEW(c->arena, struct receipt);
    struct chat_action *a;
    struct chat_view view;
    enum cq_status st;
    bool there;

    if (c->step) {
        buf_add_str(&c->out, "{}");
        return call_reply(c, 202);
    }
    st = view_chat(db, c->path_id[0], c->who.user, &view, &there);
    if (st != CQ_OK)
        return call_database(c, st);
    if (!there || !view.present)
        return call_not_found(c);
    if (!r || !json_get_i64(c->json, "seq", &r->read_seq) || r->read_seq <= 0 ||
        r->read_seq > SEQ_MAX)
        return call_bad_request(c, "seq: that of the last message read, 1 to 2^53 - 1");
    r->chat_id = view.id;
    r->user_id = c->who.user;
    r->device_id = c->who.device;
    r->has_peer = !view.is_group;
    r->peer = view.peer;
    a = call_submit_chat(c, view.id, span_of(NULL, 0));
    a->has_peer = r->has_peer;
    a->peer = r->peer;
    a->action.kind = CHAT_ACTION_RECEIPTS_ADVANCED;
    a->action.u.receipts_advanced = (struct receipts_advanced){ r, 1 };
    c->step = 1;
    return CALL_SUBMIT;
}

/* $1 message, $2 its sender. Whoever sent it has a stay in its chat: the parts of those are looked
 * into, and no others. OFFSET keeps the planner from looking for the id in all parts. */
static const char sql_mine[] =
    "SELECT m.chat_id, m.seq FROM (SELECT DISTINCT part FROM view.members WHERE user_id = $2) i "
    "CROSS JOIN LATERAL (SELECT y.chat_id, y.seq FROM view.messages y WHERE y.part = i.part "
    "AND y.id = $1 AND y.sender_id = $2 OFFSET 0) m";

/* $1 part, $2 chat, $3 seq, $4 sender. A read cursor says delivered too. A sender who left learns
 * what was so when that stay ended. */
static const char sql_receipts[] =
    "SELECT i.user_id, (SELECT min(r.at_ms) FROM view.receipts r WHERE r.part = $1 AND r.chat_id "
    "= $2 AND r.user_id = i.user_id AND r.seq >= $3 AND r.at_ms <= e.ms), "
    "(SELECT min(r.at_ms) FROM view.receipts r WHERE r.part = $1 AND r.chat_id = $2 "
    "AND r.user_id = i.user_id AND r.kind = 1 AND r.seq >= $3 AND r.at_ms <= e.ms) "
    "FROM view.members i "
    "CROSS JOIN (SELECT CASE WHEN bool_or(s.left_seq IS NULL) THEN 9223372036854775807 "
    "ELSE coalesce(max(s.left_at), 0) END AS ms FROM view.members s "
    "WHERE s.part = $1 AND s.chat_id = $2 AND s.user_id = $4) e "
    "WHERE i.part = $1 AND i.chat_id = $2 AND i.joined_seq < $3 "
    "AND (i.left_seq IS NULL OR i.left_seq > $3) AND i.user_id <> $4 ORDER BY i.user_id";

static enum cq_status run_mine(struct call *c, struct pg *db, struct pg_result **ret)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, c->path_id[0]);
    pg_add_uuid(&p, c->who.user);
    st = pg_run(db, sql_mine, &p, ret);
    pg_params_release(&p);
    return st;
}

static enum cq_status run_receipts(struct call *c, struct pg *db, struct cq_id chat, int64_t seq,
                                   struct pg_result **ret)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_i32(&p, id_part(chat));
    pg_add_uuid(&p, chat);
    pg_add_i64(&p, seq);
    pg_add_uuid(&p, c->who.user);
    st = pg_run(db, sql_receipts, &p, ret);
    pg_params_release(&p);
    return st;
}

enum call_next handle_receipts(struct call *c, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *mine = NULL;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = run_mine(c, db, &mine);

    if (st == CQ_OK && !pg_rows(mine))
        return call_not_found(c);
    if (st == CQ_OK)
        st = run_receipts(c, db, pg_uuid(mine, 0, 0), pg_i64(mine, 0, 1), &rows);
    if (st != CQ_OK)
        return call_database(c, st);
    buf_add_str(&c->out, "{\"receipts\":[");
    for (int i = 0; i < pg_rows(rows); i++) {
        buf_add_str(&c->out, i ? ",{" : "{");
        out_id(&c->out, "userId", pg_uuid(rows, i, 0));
        out_time(&c->out, "deliveredAt", pg_i64(rows, i, 1));
        out_time(&c->out, "readAt", pg_i64(rows, i, 2));
        buf_add_byte(&c->out, '}');
    }
    buf_add_str(&c->out, "]}");
    return call_reply(c, 200);
}
