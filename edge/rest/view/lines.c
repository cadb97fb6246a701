/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/lines.h"

enum { PARAMS_BYTES = 256 };

/* clang-format off */

/* Of the change that a stay began with its user is told who came with him, and not who went. */
#define AS_TOLD                                                                                    \
    "CASE WHEN l.seq = l.joined_seq AND l.line::jsonb ? 'changes' THEN "                           \
    "jsonb_set(l.line::jsonb, '{changes}', (SELECT jsonb_agg(c) FROM "                             \
    "jsonb_array_elements(l.line::jsonb -> 'changes') c WHERE c ->> 'change' = 'add'))::text "     \
    "ELSE l.line END"

/* $1 part, $2 chat, $3 user, behind $4, before $5, $6 how many, $7 bytes that end a page. */
#define SQL_LINES(order)                                                                           \
    "SELECT m.line, m.found FROM (SELECT l.seq, " AS_TOLD " AS line, count(*) OVER () AS found, "  \
    "sum(octet_length(l.line)) OVER (ORDER BY l.seq " order " ROWS UNBOUNDED PRECEDING) "          \
    "- octet_length(l.line) AS bytes_before FROM (SELECT i.joined_seq, y.seq, y.line "             \
    "FROM view.members i CROSS JOIN LATERAL (SELECT f.seq, f.line FROM view.lines f "              \
    "WHERE f.part = $1 AND f.chat_id = $2 AND f.seq > $4 AND f.seq < $5 AND f.seq >= i.joined_seq "\
    "AND f.seq <= coalesce(i.left_seq, 9223372036854775807) ORDER BY f.seq " order " LIMIT $6) y " \
    "WHERE i.part = $1 AND i.chat_id = $2 AND i.user_id = $3 AND i.joined_seq < $5 "               \
    "AND (i.left_seq IS NULL OR i.left_seq > $4) ORDER BY y.seq " order " LIMIT $6) l) m "         \
    "WHERE m.bytes_before < $7 ORDER BY m.seq " order

/* clang-format on */

static const char sql_forward[] = SQL_LINES("ASC");
static const char sql_backward[] = SQL_LINES("DESC");

enum cq_status view_lines(struct pg *db, const struct history_ask *ask, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i32(&params, id_part(ask->chat));
    pg_add_uuid(&params, ask->chat);
    pg_add_uuid(&params, ask->user);
    pg_add_i64(&params, ask->after);
    pg_add_i64(&params, ask->before);
    pg_add_i64(&params, ask->limit + 1);
    pg_add_i64(&params, ask->bytes);
    return pg_run_once(db, ask->forward ? sql_forward : sql_backward, &params, ret);
}

struct cq_span line_at(const struct pg_result *rows, int i)
{
    return pg_bytes(rows, i, 0);
}

int64_t lines_found(const struct pg_result *rows)
{
    return pg_rows(rows) ? pg_i64(rows, 0, 1) : 0;
}
