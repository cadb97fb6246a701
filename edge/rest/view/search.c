/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/search.h"

enum { PARAMS_BYTES = 16 * 1024, CLOCKS_MS = 60 * 1000 };

/* $1 user, $2 how many chats are counted. */
static const char sql_state[] =
    "SELECT (SELECT coalesce(sum(greatest(p.next - coalesce(s.next, 0), 0)), 0)::int8 "
    "FROM view.positions p LEFT JOIN view.positions s ON s.consumer = 'search' "
    "AND s.topic = p.topic AND s.partition = p.partition "
    "WHERE p.consumer = 'persistence' AND p.topic = 'chat.events'), "
    "(SELECT count(*) FROM (SELECT 1 FROM view.members i "
    "WHERE i.user_id = $1 AND i.left_seq IS NULL LIMIT $2) c)";

enum cq_status view_search_state(struct pg *db, struct cq_id user, struct search_state *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, SEARCH_CHATS_MAX + 1);
    st = pg_run_once(db, sql_state, &params, &rows);
    if (st == CQ_OK)
        *ret = (struct search_state){ pg_i64(rows, 0, 0), pg_i64(rows, 0, 1) };
    return st;
}

/* ---- where it may be ------------------------------------------------------------------ */

/* $1 user, $2 chat or null, $3 the key to go by, $4 the other keys; behind ($5 time, $6 seq, $7
 * part), $8 after, $9 before, $10 places at most, $11 stays at most, those that last first. Of each
 * stay one look into an index, which reads no more than there may be places, and nothing that was
 * said before it or behind it but for $12 ms, by which clocks may differ; of each place one a key.
 * LIMIT 1 keeps the planner from asking for all keys of a place at once, which reads all of its chat. */
static const char sql_places[] =
    "SELECT d.at_ms, d.seq, d.part, d.chat_id, "
    "NOT EXISTS (SELECT 1 FROM unnest($4::int8[]) AS k(word) WHERE ("
    "SELECT x.seq FROM search.words x WHERE x.part = d.part AND x.chat_id = d.chat_id "
    "AND x.word = k.word AND x.at_ms = d.at_ms AND x.seq = d.seq LIMIT 1) IS NULL) "
    "FROM (SELECT w.* FROM (SELECT i.* FROM view.members i "
    "WHERE i.user_id = $1 AND ($2::uuid IS NULL OR i.chat_id = $2) "
    "ORDER BY i.left_seq IS NULL DESC, i.left_at DESC NULLS LAST, i.left_seq DESC LIMIT $11) c "
    "CROSS JOIN LATERAL (SELECT CASE WHEN c.joined_seq = 0 THEN 0 ELSE (SELECT m.sent_at - $12 "
    "FROM view.messages m WHERE m.part = c.part AND m.chat_id = c.chat_id AND m.seq > c.joined_seq "
    "ORDER BY m.seq LIMIT 1) END AS first_ms, coalesce(c.left_at + $12, $9) AS last_ms) f "
    "CROSS JOIN LATERAL (SELECT w.part, w.chat_id, w.at_ms, w.seq FROM search.words w "
    "WHERE w.part = c.part AND w.chat_id = c.chat_id AND w.word = $3 "
    "AND w.at_ms >= f.first_ms AND w.at_ms <= f.last_ms "
    "AND w.seq > c.joined_seq AND (c.left_seq IS NULL OR w.seq < c.left_seq) "
    "AND (w.at_ms, w.seq) <= ($5, $6) AND (w.at_ms, w.seq, w.part::int4) < ($5, $6, $7) "
    "AND w.at_ms > $8 AND w.at_ms < $9 ORDER BY w.at_ms DESC, w.seq DESC LIMIT $10) w "
    "ORDER BY w.at_ms DESC, w.seq DESC, w.part DESC LIMIT $10) d "
    "ORDER BY d.at_ms DESC, d.seq DESC, d.part DESC";

enum cq_status view_search_places(struct pg *db, const struct search_ask *ask,
                                  struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, ask->user);
    if (id_is_zero(ask->chat))
        pg_add_null(&params, PG_UUID);
    else
        pg_add_uuid(&params, ask->chat);
    pg_add_i64(&params, ask->keys[0]);
    pg_add_i64_array(&params, ask->keys + 1, ask->keys_n - 1);
    pg_add_i64(&params, ask->behind.at_ms);
    pg_add_i64(&params, ask->behind.seq);
    pg_add_i32(&params, ask->behind.part);
    pg_add_i64(&params, ask->after);
    pg_add_i64(&params, ask->before);
    pg_add_i64(&params, SEARCH_PLACES_MAX);
    pg_add_i64(&params, SEARCH_CHATS_MAX);
    pg_add_i64(&params, CLOCKS_MS);
    return pg_run_once(db, sql_places, &params, ret);
}

struct search_place search_place_at(const struct pg_result *rows, int i)
{
    return (struct search_place){ pg_i64(rows, i, 0), pg_i64(rows, i, 1),
                                  (int32_t)pg_i64(rows, i, 2), pg_uuid(rows, i, 3),
                                  pg_bool(rows, i, 4) };
}

/* ---- what it is ----------------------------------------------------------------------- */

/* $1 user, $2 parts, $3 chats, $4 seqs, $5 bytes of content that end it. */
static const char sql_read[] = "SELECT " VIEW_MESSAGE_COLUMNS(
    "$1") ", m.ord, m.found FROM (SELECT z.*, q.ord, "
          "count(*) OVER () AS found, "
          "sum(octet_length(z.content)) OVER (ORDER BY q.ord "
          "ROWS UNBOUNDED PRECEDING) - octet_length(z.content) "
          "AS bytes_before "
          "FROM unnest($2::int4[], $3::uuid[], $4::int8[]) "
          "WITH ORDINALITY AS q(part, chat_id, seq, ord) "
          "CROSS JOIN LATERAL view.message_for("
          "q.part::smallint, q.chat_id, q.seq, $1) z) m " VIEW_MESSAGE_TICKED
          "WHERE m.bytes_before < $5 ORDER BY m.ord";

static const struct pg_column read_columns[] = {
    PG_COLUMN(search_place, part, "part"),
    PG_COLUMN(search_place, chat, "chat_id"),
    PG_COLUMN(search_place, seq, "seq"),
};

enum cq_status view_search_read(struct pg *db, struct cq_id user, const struct search_place *places,
                                size_t n, int64_t bytes, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_columns(&params, read_columns, ARRAY_LEN(read_columns), places, sizeof *places, n);
    pg_add_i64(&params, bytes);
    return pg_run_once(db, sql_read, &params, ret);
}

size_t search_read_at(const struct pg_result *rows, int i)
{
    return (size_t)pg_i64(rows, i, VIEW_MESSAGE_COLUMNS_N) - 1; /* they are counted from 1 */
}

int64_t search_read_found(const struct pg_result *rows)
{
    return pg_rows(rows) ? pg_i64(rows, 0, VIEW_MESSAGE_COLUMNS_N + 1) : 0;
}
