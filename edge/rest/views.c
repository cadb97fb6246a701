/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/views.c - what handlers read of the view, and how it looks as JSON.
 */
#include "edge/rest/rest.h"
#include "schemas/frame.h"
#include "schemas/topics.h"

enum { PARAMS_BYTES = 128 * 1024 };

static const char sql_chat[] =
    "SELECT c.kind, c.part, m.role, m.left_seq IS NULL, (SELECT p.user_id FROM view.members p "
    "WHERE "
    "c.kind = 0 AND p.chat_id = c.chat_id AND p.user_id <> $2 LIMIT 1) FROM view.chats c JOIN "
    "view.members m "
    "USING (chat_id) WHERE c.chat_id = $1 AND m.user_id = $2 ORDER BY m.joined_seq DESC LIMIT 1";

static const char sql_unopened[] =
    "SELECT CASE WHEN user_a = $2 THEN user_b ELSE user_a END FROM auth.direct_chats "
    "WHERE chat_id = $1 AND $2 IN (user_a, user_b)";

static enum cq_status run_two(struct pg *db, const char *sql, struct cq_id a, struct cq_id b,
                              struct pg_result **ret)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, a);
    pg_add_uuid(&p, b);
    st = pg_run(db, sql, &p, ret);
    pg_params_release(&p);
    return st;
}

enum cq_status view_chat(struct pg *db, const struct rest_conf *conf, struct cq_id chat,
                         struct cq_id user, struct chat_view *ret, bool *ret_there)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    cq_auto(pgresult) struct pg_result *opened = NULL;
    enum cq_status st = run_two(db, sql_chat, chat, user, &rows);

    *ret = (struct chat_view){ .id = chat };
    *ret_there = false;
    if (st != CQ_OK)
        return st;
    if (pg_rows(rows)) {
        *ret_there = ret->has_row = true;
        ret->is_group = pg_i64(rows, 0, 0) == 1;
        ret->part = (int32_t)pg_i64(rows, 0, 1);
        ret->role = pg_i64(rows, 0, 2);
        ret->present = pg_bool(rows, 0, 3);
        ret->peer = pg_uuid(rows, 0, 4);
        return CQ_OK;
    }
    st = run_two(db, sql_unopened, chat, user, &opened);
    if (st == CQ_OK && pg_rows(opened)) {
        *ret_there = ret->present = true;
        ret->part = topic_partition(chat, conf->partitions);
        ret->peer = pg_uuid(opened, 0, 0);
    }
    return st;
}

enum cq_status view_rejection(struct call *c, struct pg *db, const struct call_submit *s,
                              struct cq_span *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    *ret = span_of(NULL, 0);
    pg_params_init(&p, 256);
    pg_add_i32(&p, s->partition);
    pg_add_i64(&p, s->offset);
    st = pg_run(db, "SELECT code FROM view.rejected WHERE src_partition = $1 AND src_offset = $2",
                &p, &rows);
    pg_params_release(&p);
    if (st == CQ_OK && pg_rows(rows))
        *ret = arena_copy(c->arena, pg_bytes(rows, 0, 0));
    return st;
}

enum cq_status view_count_users(struct pg *db, const struct cq_id *ids, size_t n, int64_t *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid_array(&p, ids, NULL, n);
    st = pg_run(db, "SELECT count(*) FROM view.users WHERE user_id = ANY($1)", &p, &rows);
    pg_params_release(&p);
    if (st == CQ_OK)
        *ret = pg_i64(rows, 0, 0);
    return st;
}

enum cq_status view_media_owned(struct pg *db, struct cq_id media, struct cq_id user, bool *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = run_two(
        db, "SELECT 1 FROM view.media WHERE media_id = $1 AND owner_id = $2", media, user, &rows);

    *ret = st == CQ_OK && pg_rows(rows) == 1;
    return st;
}

/* ---- messages -----------------------------------------------------------------------------------
 */

void view_message(struct cq_buf *out, const struct pg_result *rows, int row, int col)
{
    buf_add_byte(out, '{');
    out_id(out, "id", pg_uuid(rows, row, col));
    out_text(out, "clientId", pg_bytes(rows, row, col + 4));
    out_id(out, "chatId", pg_uuid(rows, row, col + 1));
    out_i64(out, "seq", pg_i64(rows, row, col + 2));
    out_id(out, "from", pg_uuid(rows, row, col + 3));
    if (!pg_null(rows, row, col + 8))
        out_id(out, "peer", pg_uuid(rows, row, col + 8));
    out_text(out, "type",
             span_str(message_type_word((enum message_type)pg_i64(rows, row, col + 5))));
    out_text(out, "content", pg_bytes(rows, row, col + 6));
    if (!pg_null(rows, row, col + 11))
        out_id(out, "mediaId", pg_uuid(rows, row, col + 11));
    if (!pg_null(rows, row, col + 12)) {
        out_key(out, "media");
        buf_add_span(out, pg_bytes(rows, row, col + 12));
    }
    out_i64(out, "sentAt", pg_i64(rows, row, col + 7));
    out_time(out, "deliveredAt", pg_i64(rows, row, col + 9));
    out_time(out, "seenAt", pg_i64(rows, row, col + 10));
    buf_add_byte(out, '}');
}

enum cq_status view_message_by_id(struct call *c, struct pg *db, struct cq_id id, bool *ret_found)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, id);
    st = pg_run(db, "SELECT " VIEW_MESSAGE_COLUMNS " FROM view.messages m WHERE m.id = $1", &p,
                &rows);
    pg_params_release(&p);
    *ret_found = st == CQ_OK && pg_rows(rows) == 1;
    if (*ret_found)
        view_message(&c->out, rows, 0, 0);
    return st;
}

/* ---- chats --------------------------------------------------------------------------------------
 */

/* $1 user, $2 one chat or null, $3 lowest seqs a partition or null */
static const char sql_chats[] =
    "WITH mine AS (SELECT DISTINCT ON (i.chat_id) i.chat_id, i.role, i.joined_seq, i.left_seq FROM "
    "view.members i "
    "WHERE i.user_id = $1 AND ($2::uuid IS NULL OR i.chat_id = $2) ORDER BY i.chat_id, "
    "i.joined_seq DESC) "
    "SELECT c.chat_id, c.kind, CASE WHEN c.kind = 0 THEN coalesce(u.name, '') ELSE c.name END, "
    "peer.user_id, mine.role, "
    "mine.left_seq IS NULL, coalesce(cur.delivered, 0), coalesce(cur.read, 0), "
    "coalesce((SELECT CASE WHEN k.low_user = $1 THEN k.next ELSE k.low END FROM view.marks k "
    " WHERE k.chat_id = c.chat_id AND k.kind = 0), 0), "
    "coalesce((SELECT CASE WHEN k.low_user = $1 THEN k.next ELSE k.low END FROM view.marks k "
    " WHERE k.chat_id = c.chat_id AND k.kind = 1), 0), "
    "(SELECT count(*) FROM (SELECT 1 FROM view.messages x WHERE x.chat_id = c.chat_id AND "
    "x.sender_id <> $1 "
    " AND x.seq > greatest(coalesce(cur.read, 0), mine.joined_seq) AND (mine.left_seq IS NULL OR "
    "x.seq < mine.left_seq) "
    " LIMIT 1000) unread), "
    "coalesce((SELECT q.until_ms FROM view.mutes q WHERE q.user_id = $1 AND q.chat_id = "
    "c.chat_id), 0), m.* "
    "FROM mine JOIN view.chats c USING (chat_id) "
    "LEFT JOIN LATERAL (SELECT p.user_id FROM view.members p WHERE c.kind = 0 AND p.chat_id = "
    "c.chat_id "
    " AND p.user_id <> $1 LIMIT 1) peer ON true "
    "LEFT JOIN view.users u ON u.user_id = peer.user_id "
    "LEFT JOIN view.cursors cur ON cur.chat_id = c.chat_id AND cur.user_id = $1 "
    "LEFT JOIN LATERAL (SELECT " VIEW_MESSAGE_COLUMNS
    " FROM view.messages m WHERE m.chat_id = c.chat_id "
    " AND m.seq > mine.joined_seq AND (mine.left_seq IS NULL OR m.seq < mine.left_seq) ORDER BY "
    "m.seq DESC LIMIT 1) m ON true "
    "WHERE $3::bigint[] IS NULL OR c.changed_seq >= $3[c.part + 1] "
    "ORDER BY coalesce(m.sent_at, c.created_at) DESC, c.chat_id";

enum { COL_MUTED = 11, COL_MESSAGE };

static const char sql_members[] =
    "SELECT m.user_id, coalesce(u.name, ''), m.role FROM view.members m LEFT JOIN view.users u "
    "USING (user_id) "
    "WHERE m.chat_id = $1 AND m.left_seq IS NULL ORDER BY m.joined_seq, m.user_id";

static enum cq_status out_members(struct call *c, struct pg *db, struct cq_id chat)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, chat);
    st = pg_run(db, sql_members, &p, &rows);
    pg_params_release(&p);
    if (st != CQ_OK)
        return st;
    out_key(&c->out, "members");
    buf_add_byte(&c->out, '[');
    for (int i = 0; i < pg_rows(rows); i++) {
        buf_add_str(&c->out, i ? ",{" : "{");
        out_id(&c->out, "userId", pg_uuid(rows, i, 0));
        out_text(&c->out, "name", pg_bytes(rows, i, 1));
        out_text(&c->out, "role", span_str(member_role_word((enum member_role)pg_i64(rows, i, 2))));
        buf_add_byte(&c->out, '}');
    }
    buf_add_byte(&c->out, ']');
    return CQ_OK;
}

static void out_my_seq(struct cq_buf *out, int64_t delivered, int64_t read)
{
    out_key(out, "mySeq");
    buf_add_byte(out, '{');
    out_i64(out, "delivered", delivered);
    out_i64(out, "read", read);
    buf_add_byte(out, '}');
}

static enum cq_status out_chat(struct call *c, struct pg *db, const struct pg_result *r, int i,
                               bool members)
{
    struct cq_buf *out = &c->out;
    bool group = pg_i64(r, i, 1) == 1, present = pg_bool(r, i, 5);
    enum cq_status st = CQ_OK;

    buf_add_byte(out, '{');
    out_id(out, "chatId", pg_uuid(r, i, 0));
    out_text(out, "kind", span_str(group ? "group" : "direct"));
    out_text(out, "name", pg_bytes(r, i, 2));
    if (!pg_null(r, i, 3))
        out_id(out, "peer", pg_uuid(r, i, 3));
    out_text(out, "role",
             span_str(present ? member_role_word((enum member_role)pg_i64(r, i, 4)) : "left"));
    if (members && present)
        st = out_members(c, db, pg_uuid(r, i, 0));
    if (!pg_null(r, i, COL_MESSAGE)) {
        out_key(out, "lastMessage");
        view_message(out, r, i, COL_MESSAGE);
    }
    out_i64(out, "unread", pg_i64(r, i, 10));
    out_i64(out, "delivered", pg_i64(r, i, 8));
    out_i64(out, "read", pg_i64(r, i, 9));
    out_my_seq(out, pg_i64(r, i, 6), pg_i64(r, i, 7));
    if (pg_i64(r, i, COL_MUTED) > c->now_ms)
        out_i64(out, "mutedUntil", pg_i64(r, i, COL_MUTED));
    buf_add_byte(out, '}');
    return st;
}

enum cq_status view_chats(struct call *c, struct pg *db, const struct cq_id *chat,
                          const int64_t *since, int32_t since_n, bool members)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, c->who.user);
    if (chat)
        pg_add_uuid(&p, *chat);
    else
        pg_add_null(&p, 2950 /* uuid */);
    if (since)
        pg_add_i64_array(&p, since, (size_t)since_n);
    else
        pg_add_null(&p, 1016 /* bigint[] */);
    st = pg_run(db, sql_chats, &p, &rows);
    pg_params_release(&p);
    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        if (i)
            buf_add_byte(&c->out, ',');
        st = out_chat(c, db, rows, i, members);
    }
    return st;
}

enum cq_status view_unopened_chat(struct call *c, struct pg *db, struct cq_id chat,
                                  struct cq_id peer)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, peer);
    st = pg_run(db, "SELECT name FROM view.users WHERE user_id = $1", &p, &rows);
    pg_params_release(&p);
    if (st != CQ_OK)
        return st;
    buf_add_byte(&c->out, '{');
    out_id(&c->out, "chatId", chat);
    out_text(&c->out, "kind", span_str("direct"));
    out_text(&c->out, "name", pg_rows(rows) ? pg_bytes(rows, 0, 0) : span_str(""));
    out_id(&c->out, "peer", peer);
    out_text(&c->out, "role", span_str("member"));
    out_i64(&c->out, "unread", 0);
    out_i64(&c->out, "delivered", 0);
    out_i64(&c->out, "read", 0);
    out_my_seq(&c->out, 0, 0);
    buf_add_byte(&c->out, '}');
    return CQ_OK;
}
