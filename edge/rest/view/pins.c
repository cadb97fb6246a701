/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/pins.h"

#include "schemas/limits.h"

enum { PARAMS_BYTES = 256 };

static const char sql_pinned[] =
    "SELECT 1 FROM view.pins n WHERE n.part = $1 AND n.chat_id = $2 AND n.target = $3 AND n.pinned";

enum cq_status view_pinned(struct pg *db, struct cq_id chat, int64_t target, bool *ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i32(&params, id_part(chat));
    pg_add_uuid(&params, chat);
    pg_add_i64(&params, target);
    return pg_found(db, sql_pinned, &params, ret);
}

/* What $1 starred, by the stays that say that something of them is: of each chat the latest, by the index that
 * has none that were taken back. The limit, too, keeps the planner from looking into all chats. */
#define STARRED(behind, most)                                                      \
    "(SELECT DISTINCT i.part, i.chat_id FROM view.members i WHERE i.user_id = $1 " \
    "AND i.starred_seq <> 0) c CROSS JOIN LATERAL (SELECT w.* FROM view.stars w "  \
    "WHERE w.part = c.part AND w.chat_id = c.chat_id AND w.user_id = $1 "          \
    "AND w.starred " behind "ORDER BY w.at_ms DESC, w.target DESC LIMIT " most ") s"

/* $1 user, $2 how many there may be */
static const char sql_full[] =
    "SELECT 1 FROM (SELECT count(*) AS n FROM (SELECT 1 FROM " STARRED("", "$2") " LIMIT $2) l) k "
                                                                                 "WHERE k.n >= $2";

enum cq_status view_stars_full(struct pg *db, struct cq_id user, bool *ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, LIMIT_STARRED);
    return pg_found(db, sql_full, &params, ret);
}

/* clang-format off */

/* $1 user; behind ($2 time, $3 chat, $4 seq); $5 how many, $6 bytes of content that end a page. Places first;
 * then what is to be seen there. */
static const char sql_page[] =
    "SELECT " VIEW_MESSAGE_COLUMNS("$1") ", m.star_at, m.star_chat, m.star_target, m.found FROM ("
    "SELECT z.*, q.at_ms AS star_at, q.chat_id AS star_chat, q.target AS star_target, "
    "count(*) OVER () AS found, sum(coalesce(octet_length(z.content), 0)) OVER "
    "(ORDER BY q.at_ms DESC, q.chat_id DESC, q.target DESC ROWS UNBOUNDED PRECEDING) "
    "- coalesce(octet_length(z.content), 0) AS bytes_before FROM (SELECT s.part, s.chat_id, s.target, s.at_ms FROM "
    STARRED("AND w.at_ms <= $2 AND (w.at_ms, w.chat_id, w.target) < ($2, $3, $4) ", "$5")
    " ORDER BY s.at_ms DESC, s.chat_id DESC, s.target DESC LIMIT $5) q "
    "LEFT JOIN LATERAL view.message_for(q.part, q.chat_id, q.target, $1) z ON z.gone = 0 AND NOT z.deleted) m "
    VIEW_MESSAGE_TICKED "WHERE m.bytes_before < $6 "
    "ORDER BY m.star_at DESC, m.star_chat DESC, m.star_target DESC";

/* clang-format on */

enum cq_status view_stars(struct pg *db, struct cq_id user, const struct star_place *behind,
                          int64_t limit, int64_t bytes, struct pg_result **ret)
{
    struct star_place first = { .at_ms = INT64_MAX, .target = INT64_MAX };
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, behind ? behind->at_ms : first.at_ms);
    pg_add_uuid(&params, behind ? behind->chat : first.chat);
    pg_add_i64(&params, behind ? behind->target : first.target);
    pg_add_i64(&params, limit + 1);
    pg_add_i64(&params, bytes);
    return pg_run_once(db, sql_page, &params, ret);
}

bool star_at(const struct pg_result *rows, int i, struct star_place *ret_place)
{
    *ret_place = (struct star_place){ pg_i64(rows, i, VIEW_MESSAGE_COLUMNS_N),
                                      pg_uuid(rows, i, VIEW_MESSAGE_COLUMNS_N + 1),
                                      pg_i64(rows, i, VIEW_MESSAGE_COLUMNS_N + 2) };
    return !pg_null(rows, i, 0);
}

int64_t stars_found(const struct pg_result *rows)
{
    return pg_rows(rows) ? pg_i64(rows, 0, VIEW_MESSAGE_COLUMNS_N + 3) : 0;
}
