/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/polls.h"

#include "schemas/limits.h"

enum { PARAMS_BYTES = 256 };

/* $1 part, $2 chat, $3 message, $4 user */
static const char sql_ballot[] =
    "SELECT cardinality(p.options), p.choices, p.closed_seq <> 0 OR coalesce(p.closes_at <= view.now_ms(), false), "
    "v.chosen, v.seq FROM view.polls p LEFT JOIN view.votes v ON v.part = $1 AND v.chat_id = $2 "
    "AND v.target = $3 AND v.user_id = $4 WHERE p.part = $1 AND p.chat_id = $2 AND p.target = $3";

/* The same, and $5 how many at most. */
static const char sql_votes[] =
    "SELECT coalesce((SELECT json_agg(json_build_object('userId', l.user_id, 'options', l.chosen, "
    "'at', l.at_ms) ORDER BY l.seq)::text FROM (SELECT v.user_id, v.at_ms, v.seq, "
    "(SELECT json_agg(o.i ORDER BY o.i) FROM generate_series(0, cardinality(p.options) - 1) AS o(i) "
    "WHERE v.chosen >> o.i & 1 = 1) AS chosen FROM view.polls p JOIN view.votes v ON v.part = $1 "
    "AND v.chat_id = $2 AND v.target = $3 AND v.chosen <> 0 WHERE p.part = $1 AND p.chat_id = $2 "
    "AND p.target = $3 AND (v.user_id = $4 OR (NOT p.anonymous AND "
    "view.sees_result(p.part, p.chat_id, $4, p.changed_seq))) ORDER BY v.seq LIMIT $5) l), '[]')";

static void add_place(struct pg_params *params, struct cq_id chat, int64_t target,
                      struct cq_id user)
{
    pg_params_init(params, PARAMS_BYTES);
    pg_add_i32(params, id_part(chat));
    pg_add_uuid(params, chat);
    pg_add_i64(params, target);
    pg_add_uuid(params, user);
}

enum cq_status view_ballot(struct pg *db, struct cq_id chat, int64_t target, struct cq_id user,
                           struct ballot *ret, bool *ret_there)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    add_place(&params, chat, target, user);
    st = pg_run_once(db, sql_ballot, &params, &rows);
    *ret_there = st == CQ_OK && pg_rows(rows) == 1;
    if (*ret_there)
        *ret = (struct ballot){ .options_n = (int32_t)pg_i64(rows, 0, 0),
                                .choices = (int32_t)pg_i64(rows, 0, 1),
                                .is_closed = pg_bool(rows, 0, 2),
                                .chosen = (int32_t)pg_i64(rows, 0, 3),
                                .seq = pg_i64(rows, 0, 4) };
    return st;
}

enum cq_status view_votes(struct pg *db, struct cq_id chat, int64_t target, struct cq_id reader,
                          struct pg_result **ret)
{
    struct pg_params params;

    add_place(&params, chat, target, reader);
    pg_add_i64(&params, LIMIT_GROUP_MEMBERS);
    return pg_run_once(db, sql_votes, &params, ret);
}
