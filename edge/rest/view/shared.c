/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/shared.h"

enum { PARAMS_BYTES = 256 };

/* clang-format off */

/* $1 part, $2 chat, $3 user, $4 before, $5 how many, $6 bytes of content that end a page; then what `places` asks.
 * Places first, of each stay of the user's by an index that has nothing but them; then what is to be seen there. */
#define SQL_SHARED(places, shown)                                                                  \
    "SELECT " VIEW_MESSAGE_COLUMNS("$3") ", m.place, m.found FROM (SELECT z.*, q.seq AS place, "   \
    "count(*) OVER () AS found, sum(coalesce(octet_length(z.content), 0)) OVER "                   \
    "(ORDER BY q.seq DESC ROWS UNBOUNDED PRECEDING) - coalesce(octet_length(z.content), 0) "       \
    "AS bytes_before FROM (SELECT y.seq FROM view.members i CROSS JOIN LATERAL (" places ") y "    \
    "WHERE i.part = $1 AND i.chat_id = $2 AND i.user_id = $3 ORDER BY y.seq DESC LIMIT $5) q "     \
    "LEFT JOIN LATERAL view.message_for($1::int2, $2, q.seq, $3) z ON z.gone = 0 "                 \
    "AND NOT z.deleted AND " shown ") m "                                                          \
    VIEW_MESSAGE_TICKED "WHERE m.bytes_before < $6 ORDER BY m.place DESC"

#define IN_STAY(seq) seq " > i.joined_seq AND " seq " < least($4, coalesce(i.left_seq, 9223372036854775807)) "
#define FROM_MESSAGES(of)                                                                          \
    "SELECT f.seq FROM view.messages f WHERE f.part = $1 AND f.chat_id = $2 " of                   \
    "AND " IN_STAY("f.seq") "ORDER BY f.seq DESC LIMIT $5"
#define FILES(of) SQL_SHARED(FROM_MESSAGES(of "AND f.media_id IS NOT NULL "), "z.media_id IS NOT NULL")

/* clang-format on */

static const char sql_all[] = FILES("");
static const char sql_of_type[] = FILES("AND f.type = $7 ");

/* An edit may bring an address, or take it away: what the reader's version has is asked last. */
static const char sql_links[] = SQL_SHARED(
    "(" FROM_MESSAGES(
        "AND view.has_link(f.content) ") ") UNION (SELECT DISTINCT e.target "
                                         "FROM view.versions e WHERE e.part = $1 AND e.chat_id = $2 AND view.has_link(e.content) "
                                         "AND " IN_STAY(
                                             "e.target") "ORDER BY e.target DESC LIMIT $5)",
    "view.has_link(z.content)");

enum cq_status view_shared(struct pg *db, const struct shared_ask *ask, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i32(&params, id_part(ask->chat));
    pg_add_uuid(&params, ask->chat);
    pg_add_uuid(&params, ask->user);
    pg_add_i64(&params, ask->before);
    pg_add_i64(&params, ask->limit + 1);
    pg_add_i64(&params, ask->bytes);
    if (ask->has_type)
        pg_add_i32(&params, ask->type);
    if (ask->links)
        return pg_run_once(db, sql_links, &params, ret);
    return pg_run_once(db, ask->has_type ? sql_of_type : sql_all, &params, ret);
}

int64_t shared_at(const struct pg_result *rows, int i, bool *ret_shown)
{
    *ret_shown = !pg_null(rows, i, 0);
    return pg_i64(rows, i, VIEW_MESSAGE_COLUMNS_N);
}

int64_t shared_found(const struct pg_result *rows)
{
    return pg_rows(rows) ? pg_i64(rows, 0, VIEW_MESSAGE_COLUMNS_N + 1) : 0;
}
