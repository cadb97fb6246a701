/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/view.h"

#include "schemas/topics.h"

/* Unread chats are counted up to a hundred: an icon shows no more. LIMIT 1 keeps the planner from reading all
 * members at once, to look each push up there. */
static const char sql[] =
    "SELECT t.ord, coalesce(d.delivered >= greatest(t.seq, t.change_seq), false), s.name, me.name, "
    "coalesce(c.kind = 1, false), c.name, coalesce(q.until_ms, 0), "
    "(SELECT count(*) FROM (SELECT 1 FROM view.members m JOIN view.chats k USING (part, chat_id) "
    " LEFT JOIN view.cursors r "
    " ON r.part = m.part AND r.chat_id = m.chat_id AND r.user_id = m.user_id "
    " WHERE m.user_id = t.user_id AND m.left_seq IS NULL AND k.chat_id <> t.chat_id "
    " AND k.last_seq > CASE WHEN k.kind = 0 THEN coalesce(r.read, 0) "
    "  ELSE greatest(coalesce(r.read, 0), m.joined_seq) END "
    " AND view.unread_behind(m.part, m.chat_id, t.user_id, false, coalesce(r.read, 0), k.kind, "
    "  m.joined_seq, m.left_seq) > 0 LIMIT 99) unread) "
    " + (t.read_after < 0 OR t.change_seq <> 0)::int, "
    "p.src_offset, p.kind, p.token, "
    "CASE WHEN t.read_after < 0 THEN true ELSE "
    " view.unread_in(t.part::int2, t.chat_id, t.user_id, t.read_after, t.seq + 1) > 0 "
    " AND view.unread_in(t.part::int2, t.chat_id, t.user_id, greatest(t.seq, (SELECT r.read "
    " FROM view.cursors r WHERE r.part = t.part AND r.chat_id = t.chat_id "
    " AND r.user_id = t.user_id)), 9223372036854775807) = 0 END, "
    "coalesce((SELECT r.read >= t.seq FROM view.cursors r WHERE r.part = t.part "
    " AND r.chat_id = t.chat_id AND r.user_id = t.user_id), false), "
    "coalesce(w.deleted OR w.gone = 2, false), coalesce(w.edited_seq, 0), coalesce(w.type, 0), w.content, "
    "EXISTS (SELECT 1 FROM view.messages o WHERE o.part = t.part AND o.chat_id = t.chat_id "
    " AND o.seq = t.reply_seq AND o.id = t.reply_id AND o.sender_id = t.user_id), "
    "coalesce((SELECT max(g.seq) FROM view.reactions g WHERE t.change_seq <> 0 AND g.part = t.part "
    " AND g.chat_id = t.chat_id AND g.target = t.seq AND g.user_id = t.sender_id), 0), "
    "coalesce(w.expires_at, 0), "
    "t.direct <> '00000000-0000-0000-0000-000000000000' AND (SELECT a.part FROM view.members a "
    " WHERE a.part = t.part AND a.chat_id = t.chat_id AND a.user_id = t.user_id "
    " AND a.joined_seq = t.seq LIMIT 1) IS NOT NULL, "
    "t.direct <> '00000000-0000-0000-0000-000000000000' AND (SELECT a.part FROM view.members a "
    " WHERE a.part = t.part AND a.chat_id = t.chat_id AND a.user_id = t.user_id "
    " AND a.left_seq IS NULL LIMIT 1) IS NOT NULL AND NOT EXISTS (SELECT 1 FROM view.blocks b "
    " WHERE b.user_id = t.user_id AND b.chat_id = t.direct AND b.blocked) "
    "FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::int8[], $6::int8[], "
    "$7::int8[], $8::int4[], $9::uuid[], $10::int8[], $11::uuid[]) WITH ORDINALITY "
    "AS t(user_id, device_id, chat_id, sender_id, seq, read_after, change_seq, part, reply_id, "
    "reply_seq, direct, ord) "
    "LEFT JOIN LATERAL view.message_for(t.part::smallint, t.chat_id, t.seq, t.user_id) w "
    "ON t.read_after < 0 OR t.change_seq <> 0 "
    "LEFT JOIN view.device_cursors d "
    "ON d.part = t.part AND d.chat_id = t.chat_id AND d.device_id = t.device_id "
    "LEFT JOIN view.users s ON s.user_id = t.sender_id "
    "LEFT JOIN view.users me ON me.user_id = t.user_id "
    "LEFT JOIN view.chats c ON c.part = t.part AND c.chat_id = t.chat_id "
    "LEFT JOIN view.mutes q ON q.user_id = t.user_id AND q.chat_id = t.chat_id "
    "LEFT JOIN view.push_targets p ON p.device_id = t.device_id AND p.user_id = t.user_id";

enum {
    COL_ORD,
    COL_HAS,
    COL_SENDER,
    COL_ME,
    COL_GROUP,
    COL_CHAT,
    COL_MUTED,
    COL_BADGE,
    COL_SOURCE,
    COL_KIND,
    COL_TOKEN,
    COL_OUTSTANDING,
    COL_READ,
    COL_DELETED,
    COL_EDITED,
    COL_TYPE,
    COL_TEXT,
    COL_IS_REPLY,
    COL_SIGN,
    COL_EXPIRES,
    COL_SEEN,
    COL_WELCOME,
};

/* In the order of the statement's parameters. */
static const struct pg_column columns[] = {
    PG_COLUMN(view_ask, user, "user_id"),
    PG_COLUMN(view_ask, device, "device_id"),
    PG_COLUMN(view_ask, chat, "chat_id"),
    PG_COLUMN(view_ask, sender, "sender_id"),
    PG_COLUMN(view_ask, seq, "seq"),
    PG_COLUMN(view_ask, read_after, "read_after"),
    PG_COLUMN(view_ask, change_seq, "change_seq"),
    PG_COLUMN(view_ask, part, "part"),
    PG_COLUMN(view_ask, reply_id, "reply_id"),
    PG_COLUMN(view_ask, reply_seq, "reply_seq"),
    PG_COLUMN(view_ask, direct, "direct"),
};

static struct cq_span text_at(const struct pg_result *rows, int row, int col)
{
    return pg_null(rows, row, col) ? span_of(NULL, 0) : pg_bytes(rows, row, col);
}

enum cq_status view_look(struct pg *db, struct pg_params *params, const struct view_ask *asks,
                         size_t n, struct view_fact *facts, struct pg_result **ret_rows)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st;

    if (n > VIEW_BATCH_MAX)
        return CQ_FATAL;
    pg_params_clear(params);
    pg_add_columns(params, columns, ARRAY_LEN(columns), asks, sizeof *asks, n);
    st = pg_ready(db, NULL);
    if (st == CQ_OK)
        st = pg_run(db, sql, params, &rows);
    if (st != CQ_OK)
        return st;
    for (int i = 0; i < pg_rows(rows); i++) {
        int64_t ord = pg_i64(rows, i, COL_ORD) - 1;

        if (ord < 0 || (size_t)ord >= n)
            continue;
        facts[ord] = (struct view_fact){
            .delivered = pg_bool(rows, i, COL_HAS),
            .sender = text_at(rows, i, COL_SENDER),
            .user = text_at(rows, i, COL_ME),
            .is_group = pg_bool(rows, i, COL_GROUP),
            .chat_name = text_at(rows, i, COL_CHAT),
            .muted_until_ms = pg_i64(rows, i, COL_MUTED),
            .badge = pg_i64(rows, i, COL_BADGE),
            .registered = !pg_null(rows, i, COL_SOURCE),
            .registration = seq_offset(pg_i64(rows, i, COL_SOURCE)),
            .kind = (enum push_kind)pg_i64(rows, i, COL_KIND),
            .token = text_at(rows, i, COL_TOKEN),
            .outstanding = pg_bool(rows, i, COL_OUTSTANDING),
            .read = pg_bool(rows, i, COL_READ),
            .deleted = pg_bool(rows, i, COL_DELETED),
            .edited_seq = pg_i64(rows, i, COL_EDITED),
            .type = (enum message_type)pg_i64(rows, i, COL_TYPE),
            .text = text_at(rows, i, COL_TEXT),
            .is_reply = pg_bool(rows, i, COL_IS_REPLY),
            .sign_seq = pg_i64(rows, i, COL_SIGN),
            .expires_ms = pg_i64(rows, i, COL_EXPIRES),
            .is_seen = pg_bool(rows, i, COL_SEEN),
            .is_welcome = pg_bool(rows, i, COL_WELCOME),
        };
    }
    *ret_rows = CQ_TAKE(rows);
    return CQ_OK;
}
