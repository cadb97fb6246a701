/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/view.h"

#include "schemas/topics.h"

/* Unread chats are counted up to a hundred: an icon shows no more. A chat is unread when one of its
 * last hundred messages behind the read cursor is somebody else's. */
static const char sql[] =
    "SELECT t.ord, coalesce(d.delivered >= t.seq, false), s.name, me.name, "
    "coalesce(c.kind = 1, false), c.name, coalesce(q.until_ms, 0), "
    "(SELECT count(*) FROM (SELECT 1 FROM view.members m JOIN view.chats k USING (part, chat_id) "
    " LEFT JOIN view.cursors r "
    " ON r.part = m.part AND r.chat_id = m.chat_id AND r.user_id = m.user_id "
    " WHERE m.user_id = t.user_id AND m.left_seq IS NULL AND k.chat_id <> t.chat_id "
    " AND k.last_seq > greatest(coalesce(r.read, 0), m.joined_seq) "
    " AND (SELECT bool_or(l.sender_id <> t.user_id) FROM (SELECT x.sender_id FROM view.messages x "
    "  WHERE x.part = m.part AND x.chat_id = m.chat_id "
    "  AND x.seq > greatest(coalesce(r.read, 0), m.joined_seq) "
    "  ORDER BY x.seq DESC LIMIT 100) l) LIMIT 99) unread) "
    " + (t.read_after < 0)::int, "
    "p.src_offset, p.kind, p.token, "
    "CASE WHEN t.read_after < 0 THEN true ELSE EXISTS (SELECT 1 FROM view.messages m "
    " WHERE m.part = t.part AND m.chat_id = t.chat_id AND m.seq > t.read_after AND m.seq <= t.seq "
    " AND m.sender_id <> t.user_id) AND NOT EXISTS (SELECT 1 FROM view.messages m "
    " LEFT JOIN view.cursors r "
    " ON r.part = t.part AND r.chat_id = t.chat_id AND r.user_id = t.user_id "
    " WHERE m.part = t.part AND m.chat_id = t.chat_id AND m.seq > greatest(t.seq, r.read) "
    " AND m.sender_id <> t.user_id) END "
    "FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::int8[], $6::int8[], "
    "$7::int4[]) WITH ORDINALITY "
    "AS t(user_id, device_id, chat_id, sender_id, seq, read_after, part, ord) "
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
    COL_OUTSTANDING
};

static void add_params(struct pg_params *p, const struct view_ask *asks, size_t n)
{
    struct cq_id id[VIEW_BATCH_MAX];
    int64_t seq[VIEW_BATCH_MAX];
    int32_t part[VIEW_BATCH_MAX];

    pg_params_clear(p);
    for (size_t i = 0; i < n; i++)
        id[i] = asks[i].user;
    pg_add_uuid_array(p, id, NULL, n);
    for (size_t i = 0; i < n; i++)
        id[i] = asks[i].device;
    pg_add_uuid_array(p, id, NULL, n);
    for (size_t i = 0; i < n; i++)
        id[i] = asks[i].chat;
    pg_add_uuid_array(p, id, NULL, n);
    for (size_t i = 0; i < n; i++)
        id[i] = asks[i].sender;
    pg_add_uuid_array(p, id, NULL, n);
    for (size_t i = 0; i < n; i++)
        seq[i] = asks[i].seq;
    pg_add_i64_array(p, seq, n);
    for (size_t i = 0; i < n; i++)
        seq[i] = asks[i].read_after;
    pg_add_i64_array(p, seq, n);
    for (size_t i = 0; i < n; i++)
        part[i] = id_part(asks[i].chat);
    pg_add_i32_array(p, part, n);
}

static struct cq_span text_at(const struct pg_result *r, int row, int col)
{
    return pg_null(r, row, col) ? span_of(NULL, 0) : pg_bytes(r, row, col);
}

enum cq_status view_look(struct pg *c, struct pg_params *params, const struct view_ask *asks,
                         size_t n, struct view_fact *facts, struct pg_result **ret_rows)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st;

    if (n > VIEW_BATCH_MAX)
        return CQ_FATAL;
    add_params(params, asks, n);
    st = pg_ready(c, NULL);
    if (st == CQ_OK)
        st = pg_run(c, sql, params, &rows);
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
        };
    }
    *ret_rows = CQ_TAKE(rows);
    return CQ_OK;
}
