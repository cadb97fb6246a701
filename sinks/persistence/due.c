/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/due.h"

/* $1 parts, $2 how many at most: one look into an index a part. The row stays, since what counts and orders
 * messages needs it; nothing that was said does. */
static const char sql_empty[] =
    "WITH w AS MATERIALIZED (SELECT d.part, d.chat_id, d.seq FROM unnest($1::int4[]) AS p(part) "
    "CROSS JOIN LATERAL (SELECT m.part, m.chat_id, m.seq FROM view.messages m "
    "WHERE m.part = p.part AND m.due_at <= view.now_ms() ORDER BY m.due_at LIMIT $2) d LIMIT $2), "
    "emptied AS (DELETE FROM view.versions v USING w WHERE v.part = w.part "
    "AND v.chat_id = w.chat_id AND v.target = w.seq), "
    "unedited AS (DELETE FROM view.edits e USING w WHERE e.part = w.part "
    "AND e.chat_id = w.chat_id AND e.target = w.seq), "
    "unsaid AS (DELETE FROM view.reactions r USING w WHERE r.part = w.part "
    "AND r.chat_id = w.chat_id AND r.target = w.seq), "
    "unasked AS (DELETE FROM view.polls q USING w WHERE q.part = w.part "
    "AND q.chat_id = w.chat_id AND q.target = w.seq), "
    "unvoted AS (DELETE FROM view.votes v USING w WHERE v.part = w.part "
    "AND v.chat_id = w.chat_id AND v.target = w.seq), "
    "unstarred AS (DELETE FROM view.stars s USING w WHERE s.part = w.part "
    "AND s.chat_id = w.chat_id AND s.target = w.seq) "
    "UPDATE view.messages m SET content = '', media_id = NULL, key_id = NULL, contents = NULL, "
    "preview = NULL, preview_media = NULL, reply_id = NULL, "
    "reply_seq = NULL, mentions = '', due_at = NULL "
    "FROM w WHERE m.part = w.part AND m.chat_id = w.chat_id AND m.seq = w.seq";

enum cq_status due_empty(struct pg *db, struct pg_params *params, const int32_t *parts,
                         size_t parts_n, bool *ret_full)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    enum cq_status st;

    pg_params_clear(params);
    pg_add_i32_array(params, parts, parts_n);
    pg_add_i64(params, DUE_ROWS);
    st = pg_run(db, sql_empty, params, &done);
    if (st == CQ_OK)
        *ret_full = pg_affected(done) == DUE_ROWS;
    return st;
}
