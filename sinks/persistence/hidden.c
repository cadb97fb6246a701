/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/hidden.h"

static const struct pg_column columns[] = {
    PG_COLUMN(hidden_row, part, "part"),       PG_COLUMN(hidden_row, chat, "chat_id"),
    PG_COLUMN(hidden_row, user, "user_id"),    PG_COLUMN(hidden_row, target, "target"),
    PG_COLUMN(hidden_row, message, "message"), PG_COLUMN(hidden_row, seq, "seq"),
};

/* The first time counts. The stay that has the message says that something of it is hidden. */
static const char sql_hide[] =
    "WITH put AS (INSERT INTO view.hidden (part, own, mention, chat_id, user_id, target, seq) "
    "SELECT w.part, m.sender_id = w.user_id, EXISTS (SELECT 1 FROM view.tallies t "
    "WHERE t.part = w.part AND t.chat_id = w.chat_id AND t.user_id = w.user_id AND t.kind = 1 "
    "AND t.seq = w.target), w.chat_id, w.user_id, w.target, w.seq "
    "FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int8[], $5::uuid[], $6::int8[]) "
    "AS w(part, chat_id, user_id, target, message, seq) "
    "JOIN view.messages m ON m.part = w.part AND m.chat_id = w.chat_id AND m.seq = w.target "
    "AND m.id = w.message ORDER BY w.part, w.seq "
    "ON CONFLICT DO NOTHING RETURNING part, chat_id, user_id, target, seq), "
    "unstarred AS (DELETE FROM view.stars s USING put p WHERE s.part = p.part "
    "AND s.chat_id = p.chat_id AND s.user_id = p.user_id AND s.target = p.target) "
    "UPDATE view.members i SET hidden_seq = greatest(i.hidden_seq, w.seq) "
    "FROM (SELECT s.part, s.chat_id, s.user_id, s.joined_seq, max(p.seq) AS seq "
    "FROM put p JOIN view.members s ON s.part = p.part AND s.chat_id = p.chat_id "
    "AND s.user_id = p.user_id AND s.joined_seq < p.target "
    "AND (s.left_seq IS NULL OR s.left_seq > p.target) GROUP BY 1, 2, 3, 4) w "
    "WHERE i.part = w.part AND i.chat_id = w.chat_id AND i.user_id = w.user_id "
    "AND i.joined_seq = w.joined_seq";

enum cq_status hidden_write(const struct rows *rows, struct pg *db, struct pg_params *params)
{
    if (!rows->hidden_n)
        return CQ_OK;
    pg_params_clear(params);
    pg_add_columns(params, columns, ARRAY_LEN(columns), rows->hidden, sizeof rows->hidden[0],
                   rows->hidden_n);
    return pg_run(db, sql_hide, params, NULL);
}
