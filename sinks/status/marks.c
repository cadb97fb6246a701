/* SPDX-License-Identifier: MIT */
#include "sinks/status/marks.h"

#define INCOMING                                                                                \
    "unnest($1::uuid[], $2::uuid[], $3::int4[], $4::int8[], $5::int8[]) AS t(chat, usr, kind, " \
    "seq, at)"

/* Advances only: a device that lags behind another says nothing new. */
static const char sql_receipts[] =
    "INSERT INTO view.receipts (chat_id, user_id, kind, seq, at_ms) "
    "SELECT t.chat, t.usr, t.kind, t.seq, min(t.at) FROM " INCOMING " "
    "LEFT JOIN view.cursors c ON c.chat_id = t.chat AND c.user_id = t.usr "
    "WHERE t.seq > coalesce(CASE t.kind WHEN 0 THEN c.delivered ELSE c.read END, 0) "
    "GROUP BY t.chat, t.usr, t.kind, t.seq ON CONFLICT DO NOTHING";

/* Read implies delivered. */
static const char sql_cursors[] =
    "INSERT INTO view.cursors AS c (chat_id, user_id, delivered, read) "
    "SELECT t.chat, t.usr, max(t.seq), coalesce(max(t.seq) FILTER (WHERE t.kind = 1), 0) "
    "FROM " INCOMING " "
    "GROUP BY t.chat, t.usr ON CONFLICT (chat_id, user_id) DO UPDATE SET "
    "delivered = GREATEST(c.delivered, excluded.delivered), read = GREATEST(c.read, excluded.read)";

/* The two lowest cursors of the present members of each touched chat, where they differ from the
 * mark that stands. A member's cursor begins where he joined: what was before does not concern him.
 */
static const char sql_moved[] =
    "WITH cur AS (SELECT t.ord, m.chat_id, k.kind, m.user_id, GREATEST(m.joined_seq, coalesce(CASE "
    "k.kind WHEN 0 THEN "
    "c.delivered ELSE c.read END, 0)) AS seq FROM unnest($1::uuid[]) WITH ORDINALITY t(chat_id, "
    "ord) "
    "JOIN view.members m USING (chat_id) CROSS JOIN (VALUES (0), (1)) k(kind) "
    "LEFT JOIN view.cursors c ON c.chat_id = m.chat_id AND c.user_id = m.user_id WHERE m.left_seq "
    "IS NULL), "
    "ranked AS (SELECT *, row_number() OVER (PARTITION BY ord, kind ORDER BY seq, user_id) AS rank "
    "FROM cur), "
    "lows AS (SELECT ord, chat_id, kind, max(seq) FILTER (WHERE rank = 1) AS low, "
    "(array_agg(user_id) FILTER (WHERE rank = 1))[1] AS low_user, max(seq) AS next FROM ranked "
    "WHERE rank <= 2 "
    "GROUP BY ord, chat_id, kind) "
    "SELECT l.ord - 1, l.kind, l.low, l.low_user, l.next, coalesce(o.low, 0), "
    "coalesce(o.low_user, '00000000-0000-0000-0000-000000000000'), coalesce(o.next, 0) FROM lows l "
    "LEFT JOIN view.marks o ON o.chat_id = l.chat_id AND o.kind = l.kind "
    "WHERE o.chat_id IS NULL OR (l.low, l.low_user, l.next) IS DISTINCT FROM (o.low, o.low_user, "
    "o.next) ORDER BY 1, 2";

static const char sql_marks[] =
    "INSERT INTO view.marks (chat_id, kind, low, low_user, next, at_ms, src_part, src_next) "
    "SELECT * FROM unnest($1::uuid[], $2::int4[], $3::int8[], $4::uuid[], $5::int8[], $6::int8[], "
    "$7::int4[], $8::int8[]) "
    "ON CONFLICT (chat_id, kind) DO UPDATE SET low = excluded.low, low_user = excluded.low_user, "
    "next = excluded.next, "
    "at_ms = excluded.at_ms, src_part = excluded.src_part, src_next = excluded.src_next";

static const char sql_advances[] =
    "INSERT INTO view.mark_advances (chat_id, kind, low, low_user, next, at_ms) "
    "SELECT * FROM unnest($1::uuid[], $2::int4[], $3::int8[], $4::uuid[], $5::int8[], $6::int8[]) "
    "ON CONFLICT DO NOTHING";

/* Senders for whom the minimum over all others passed a message of theirs. Both ranges are as long
 * as the move. */
static const char sql_tell[] =
    "WITH t AS (SELECT * FROM unnest($1::int8[], $2::uuid[], $3::int8[], $4::uuid[], $5::int8[], "
    "$6::int8[], $7::uuid[], "
    "$8::int8[]) AS x(ord, chat, low, low_user, next, old_low, old_user, old_next)), "
    "who AS (SELECT t.ord, t.chat, m.sender_id AS usr FROM t JOIN view.messages m ON m.chat_id = "
    "t.chat AND m.seq > t.old_low "
    "AND m.seq <= t.low WHERE m.sender_id <> t.low_user AND m.seq > CASE WHEN t.old_user = "
    "m.sender_id THEN t.old_next "
    "ELSE t.old_low END "
    "UNION SELECT t.ord, t.chat, m.sender_id FROM t JOIN view.messages m ON m.chat_id = t.chat AND "
    "m.sender_id = t.low_user "
    "AND m.seq <= t.next AND m.seq > CASE WHEN t.old_user = t.low_user THEN t.old_next ELSE "
    "t.old_low END) "
    "SELECT DISTINCT w.ord, w.usr, coalesce((SELECT CASE WHEN k.low_user = w.usr THEN k.next ELSE "
    "k.low END FROM view.marks k "
    "WHERE k.chat_id = w.chat AND k.kind = 0), 0), coalesce((SELECT CASE WHEN k.low_user = w.usr "
    "THEN k.next ELSE k.low END "
    "FROM view.marks k WHERE k.chat_id = w.chat AND k.kind = 1), 0) FROM who w "
    "JOIN view.members i ON i.chat_id = w.chat AND i.user_id = w.usr AND i.left_seq IS NULL";

enum { MOVED_MAX = 2 * RECEIPTS_TURN_MAX };

/* What sql_moved gave, column by column. One thread, one sink a process. */
static struct moved {
    size_t n;
    int64_t ord[MOVED_MAX];
    struct cq_id chat[MOVED_MAX], low_user[MOVED_MAX], old_user[MOVED_MAX];
    int32_t kind[MOVED_MAX], part[MOVED_MAX];
    int64_t low[MOVED_MAX], next[MOVED_MAX], old_low[MOVED_MAX], old_next[MOVED_MAX], at[MOVED_MAX],
        src_next[MOVED_MAX];
} moved;

static enum cq_status move_cursors(const struct receipts *r, struct pg *c, struct pg_params *p)
{
    enum cq_status st;

    if (!r->n)
        return CQ_OK;
    pg_params_clear(p);
    pg_add_uuid_array(p, r->chat, NULL, r->n);
    pg_add_uuid_array(p, r->user, NULL, r->n);
    pg_add_i32_array(p, r->kind, r->n);
    pg_add_i64_array(p, r->seq, r->n);
    pg_add_i64_array(p, r->at_ms, r->n);
    st = pg_run(c, sql_receipts, p, NULL);
    return st == CQ_OK ? pg_run(c, sql_cursors, p, NULL) : st;
}

static enum cq_status find_moved(const struct receipts *r, struct pg *c, struct pg_params *p)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st;

    pg_params_clear(p);
    pg_add_uuid_array(p, r->t_chat, NULL, r->chats_n);
    st = pg_run(c, sql_moved, p, &rows);
    moved.n = st == CQ_OK ? (size_t)pg_rows(rows) : 0;
    for (size_t k = 0; k < moved.n && k < MOVED_MAX; k++) {
        int i = (int)k;
        int64_t t = pg_i64(rows, i, 0);

        moved.ord[k] = t;
        moved.chat[k] = r->t_chat[t];
        moved.kind[k] = (int32_t)pg_i64(rows, i, 1);
        moved.low[k] = pg_i64(rows, i, 2);
        moved.low_user[k] = pg_uuid(rows, i, 3);
        moved.next[k] = pg_i64(rows, i, 4);
        moved.old_low[k] = pg_i64(rows, i, 5);
        moved.old_user[k] = pg_uuid(rows, i, 6);
        moved.old_next[k] = pg_i64(rows, i, 7);
        moved.at[k] = r->t_at[t];
        moved.part[k] = r->t_part[t];
        moved.src_next[k] = r->t_offset[t] + 1;
    }
    return st;
}

static enum cq_status write_marks(struct pg *c, struct pg_params *p)
{
    enum cq_status st;

    pg_params_clear(p);
    pg_add_uuid_array(p, moved.chat, NULL, moved.n);
    pg_add_i32_array(p, moved.kind, moved.n);
    pg_add_i64_array(p, moved.low, moved.n);
    pg_add_uuid_array(p, moved.low_user, NULL, moved.n);
    pg_add_i64_array(p, moved.next, moved.n);
    pg_add_i64_array(p, moved.at, moved.n);
    st = pg_run(c, sql_advances, p, NULL);
    if (st != CQ_OK)
        return st;
    pg_add_i32_array(p, moved.part, moved.n);
    pg_add_i64_array(p, moved.src_next, moved.n);
    return pg_run(c, sql_marks, p, NULL);
}

static enum cq_status tell_senders(const struct receipts *r, struct pg *c, struct pg_params *p,
                                   marks_tell_fn *tell, void *arg)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st;

    pg_params_clear(p);
    pg_add_i64_array(p, moved.ord, moved.n);
    pg_add_uuid_array(p, moved.chat, NULL, moved.n);
    pg_add_i64_array(p, moved.low, moved.n);
    pg_add_uuid_array(p, moved.low_user, NULL, moved.n);
    pg_add_i64_array(p, moved.next, moved.n);
    pg_add_i64_array(p, moved.old_low, moved.n);
    pg_add_uuid_array(p, moved.old_user, NULL, moved.n);
    pg_add_i64_array(p, moved.old_next, moved.n);
    st = pg_run(c, sql_tell, p, &rows);
    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        size_t t = (size_t)pg_i64(rows, i, 0);

        if (r->t_tell[t])
            st = tell(arg, t, pg_uuid(rows, i, 1), pg_i64(rows, i, 2), pg_i64(rows, i, 3));
    }
    return st;
}

enum cq_status marks_apply(const struct receipts *r, struct pg *c, struct pg_params *params,
                           marks_tell_fn *tell, void *arg)
{
    enum cq_status st = move_cursors(r, c, params);

    if (st == CQ_OK && r->chats_n)
        st = find_moved(r, c, params);
    if (st != CQ_OK || !r->chats_n || !moved.n)
        return st;
    st = write_marks(c, params);
    return st == CQ_OK ? tell_senders(r, c, params, tell, arg) : st;
}
