/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/polls.h"

/* ---- polls ------------------------------------------------------------------------------ */

static const struct pg_column columns_of_polls[] = {
    PG_COLUMN(poll_row, part, "part"),
    PG_COLUMN(poll_row, chat, "chat_id"),
    PG_COLUMN(poll_row, target, "target"),
    PG_COLUMN(poll_row, message, "message"),
    PG_COLUMN(poll_row, choices, "choices"),
    PG_COLUMN(poll_row, anonymous, "anonymous"),
    PG_COLUMN_OR_NULL(poll_row, closes_ms, stays_open, "closes_at"),
    PG_COLUMN(poll_row, options[0], "option_1"),
    PG_COLUMN(poll_row, options[1], "option_2"),
    PG_COLUMN(poll_row, options[2], "option_3"),
    PG_COLUMN(poll_row, options[3], "option_4"),
    PG_COLUMN(poll_row, options[4], "option_5"),
    PG_COLUMN(poll_row, options[5], "option_6"),
    PG_COLUMN(poll_row, options[6], "option_7"),
    PG_COLUMN(poll_row, options[7], "option_8"),
    PG_COLUMN(poll_row, options[8], "option_9"),
    PG_COLUMN(poll_row, options[9], "option_10"),
    PG_COLUMN(poll_row, options[10], "option_11"),
    PG_COLUMN(poll_row, options[11], "option_12"),
};

_Static_assert(LIMIT_POLL_OPTIONS == 12, "the options of sql_poll, and the bits of sql_votes");

/* clang-format off */

/* Of an id the lowest seq stands. Nothing is kept of what is deleted, or over. */
static const char sql_poll[] =
    "INSERT INTO view.polls (part, chat_id, target, message_id, choices, anonymous, closes_at, options, counts, changed_seq) "
    "SELECT w.part, w.chat_id, w.target, w.message, w.choices, w.anonymous <> 0, w.closes_at, o.options, "
    "array_fill(0, ARRAY[cardinality(o.options)]), w.target "
    "FROM unnest($1::int4[], $2::uuid[], $3::int8[], $4::uuid[], $5::int4[], $6::int4[], $7::int8[], "
    "$8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], "
    "$16::text[], $17::text[], $18::text[], $19::text[]) "
    "AS w(part, chat_id, target, message, choices, anonymous, closes_at, "
    "o1, o2, o3, o4, o5, o6, o7, o8, o9, o10, o11, o12) "
    "JOIN view.messages m ON m.part = w.part AND m.chat_id = w.chat_id AND m.seq = w.target AND m.id = w.message "
    "CROSS JOIN LATERAL (SELECT array_remove(ARRAY[w.o1, w.o2, w.o3, w.o4, w.o5, w.o6, w.o7, w.o8, w.o9, w.o10, "
    "w.o11, w.o12], '') AS options) o "
    "WHERE (m.expires_at IS NULL OR m.expires_at > view.now_ms()) "
    "AND NOT EXISTS (SELECT 1 FROM view.changes h WHERE h.part = w.part AND h.chat_id = w.chat_id "
    "AND h.target = w.target AND h.deleted_seq <> 0) ON CONFLICT DO NOTHING";

enum cq_status polls_write(const struct rows *rows, struct pg *db, struct pg_params *params)
{
    if (!rows->polls_n)
        return CQ_OK;
    pg_params_clear(params);
    pg_add_columns(params, columns_of_polls, ARRAY_LEN(columns_of_polls), rows->polls,
                   sizeof rows->polls[0], rows->polls_n);
    return pg_run(db, sql_poll, params, NULL);
}

/* ---- votes ------------------------------------------------------------------------------ */

static const struct pg_column columns_of_votes[] = {
    PG_COLUMN(vote_row, part, "part"),       PG_COLUMN(vote_row, chat, "chat_id"),
    PG_COLUMN(vote_row, target, "target"),   PG_COLUMN(vote_row, message, "message"),
    PG_COLUMN(vote_row, user, "user_id"),    PG_COLUMN(vote_row, seq, "seq"),
    PG_COLUMN(vote_row, at_ms, "at_ms"),     PG_COLUMN(vote_row, is_end, "is_end"),
    PG_COLUMN(vote_row, chosen, "chosen"),   PG_COLUMN(vote_row, chosen_n, "chosen_n"),
};

#define GIVEN                                                                                        \
    "unnest($1::int4[], $2::uuid[], $3::int8[], $4::uuid[], $5::uuid[], $6::int8[], $7::int8[], "    \
    "$8::int4[], $9::int4[], $10::int4[]) "                                                          \
    "AS t(part, chat_id, target, message, user_id, seq, at_ms, is_end, chosen, chosen_n) "           \
    "JOIN view.polls p ON p.part = t.part AND p.chat_id = t.chat_id AND p.target = t.target "        \
    "AND p.message_id = t.message AND (p.closes_at IS NULL OR t.at_ms < p.closes_at) "

/* The first end counts. */
static const char sql_ends[] =
    "UPDATE view.polls k SET closed_seq = w.seq, closed_at = w.at_ms, "
    "changed_seq = greatest(k.changed_seq, w.seq) "
    "FROM (SELECT DISTINCT ON (t.part, t.chat_id, t.target) t.* FROM " GIVEN
    "WHERE t.is_end <> 0 ORDER BY t.part, t.chat_id, t.target, t.seq) w "
    "WHERE k.part = w.part AND k.chat_id = w.chat_id AND k.target = w.target AND k.closed_seq = 0";

/* How much oftener the option is chosen by who changed his vote. */
#define MORE(bit) "sum((n.chosen >> " bit " & 1) - (n.was >> " bit " & 1))"

/* Of each user the last one that counts, in place of the one before, from which the result goes on. */
static const char sql_votes[] =
    "WITH w AS MATERIALIZED (SELECT DISTINCT ON (t.part, t.chat_id, t.target, t.user_id) t.* FROM " GIVEN
    "WHERE t.is_end = 0 AND (p.closed_seq = 0 OR t.seq < p.closed_seq) AND t.chosen_n <= p.choices "
    "AND t.chosen >> cardinality(p.options) = 0 "
    "ORDER BY t.part, t.chat_id, t.target, t.user_id, t.seq DESC), "
    "n AS MATERIALIZED (SELECT w.*, coalesce(v.chosen, 0)::int4 AS was FROM w LEFT JOIN view.votes v "
    "ON v.part = w.part AND v.chat_id = w.chat_id AND v.target = w.target AND v.user_id = w.user_id "
    "WHERE v.seq IS NULL OR v.seq < w.seq), "
    "put AS (INSERT INTO view.votes AS v (part, chat_id, target, user_id, seq, at_ms, chosen) "
    "SELECT n.part, n.chat_id, n.target, n.user_id, n.seq, n.at_ms, n.chosen FROM n "
    "ON CONFLICT (part, chat_id, target, user_id) DO UPDATE SET seq = excluded.seq, "
    "at_ms = excluded.at_ms, chosen = excluded.chosen) "
    "UPDATE view.polls k SET voters = k.voters + d.voters, changed_seq = greatest(k.changed_seq, d.seq), "
    "counts = ARRAY(SELECT k.counts[i] + d.more[i] FROM generate_series(1, cardinality(k.counts)) AS i ORDER BY i) "
    "FROM (SELECT n.part, n.chat_id, n.target, max(n.seq) AS seq, "
    "sum((n.chosen <> 0)::int4 - (n.was <> 0)::int4)::int4 AS voters, ARRAY["
    MORE("0") ", " MORE("1") ", " MORE("2") ", " MORE("3") ", " MORE("4") ", " MORE("5") ", " MORE("6") ", "
    MORE("7") ", " MORE("8") ", " MORE("9") ", " MORE("10") ", " MORE("11") "]::int4[] AS more "
    "FROM n GROUP BY n.part, n.chat_id, n.target) d "
    "WHERE k.part = d.part AND k.chat_id = d.chat_id AND k.target = d.target";

/* clang-format on */

enum cq_status votes_write(const struct rows *rows, struct pg *db, struct pg_params *params)
{
    enum cq_status st = CQ_OK;

    if (!rows->votes_n)
        return CQ_OK;
    pg_params_clear(params);
    pg_add_columns(params, columns_of_votes, ARRAY_LEN(columns_of_votes), rows->votes,
                   sizeof rows->votes[0], rows->votes_n);
    if (rows->ends_n)
        st = pg_run(db, sql_ends, params, NULL);
    return st == CQ_OK ? pg_run(db, sql_votes, params, NULL) : st;
}
