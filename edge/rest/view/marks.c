/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/marks.h"

#include "schemas/limits.h"

enum { PARAMS_BYTES = 256 };

/* clang-format off */

/* $1 user, $2 chat, $3 its part, $4 how many marked ones are counted */
static const char sql_room[] =
    "SELECT (SELECT count(*) FROM view.pins($1) p WHERE p.chat_id <> $2), "
    "(SELECT count(*) FROM (SELECT 1 FROM view.chat_marks m WHERE m.user_id = $1 AND m.chat_id <> $2 "
    "AND (m.archived OR m.pinned <> 0 OR m.unread_after IS NOT NULL) LIMIT $4) l), "
    "coalesce((SELECT c.read FROM view.cursors c WHERE c.part = $3 AND c.chat_id = $2 "
    "AND c.user_id = $1), 0), "
    "coalesce((SELECT k.last_seq FROM view.chats k WHERE k.part = $3 AND k.chat_id = $2), 0)";

static const char sql_one[] = "SELECT " VIEW_MARKS("$1", "$2");

static const char sql_place[] =
    "SELECT coalesce(greatest((SELECT max(m.src) FROM view.chat_marks m WHERE m.user_id = $1), "
    "(SELECT max(q.src_offset) FROM view.mutes q WHERE q.user_id = $1)), 0)";

/* $1 user, $2 behind which place, $3 how many */
static const char sql_since[] =
    "SELECT k.chat_id, k.place, " VIEW_MARKS("$1", "k.chat_id") " FROM ("
    "SELECT x.chat_id, max(x.place) AS place FROM ("
    "SELECT m.chat_id, m.src AS place FROM view.chat_marks m WHERE m.user_id = $1 AND m.src > $2 "
    "AND ($2 > 0 OR m.archived OR m.pinned <> 0 OR m.unread_after IS NOT NULL "
    "OR m.draft IS NOT NULL) UNION ALL SELECT q.chat_id, q.src_offset FROM view.mutes q WHERE q.user_id = $1 "
    "AND q.src_offset > $2 AND ($2 > 0 OR q.until_ms > view.now_ms())) x "
    "GROUP BY x.chat_id ORDER BY 2 LIMIT $3) k ORDER BY k.place";

/* clang-format on */

static enum cq_status run_about(struct pg *db, const char *sql, struct cq_id user,
                                struct cq_id chat, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_uuid(&params, chat);
    if (sql == sql_room) {
        pg_add_i32(&params, id_part(chat));
        pg_add_i64(&params, LIMIT_MARKS);
    }
    return pg_run_once(db, sql, &params, ret);
}

enum cq_status view_marks_room(struct pg *db, struct cq_id user, struct cq_id chat,
                               struct marks_room *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = run_about(db, sql_room, user, chat, &rows);

    if (st == CQ_OK)
        *ret = (struct marks_room){ pg_i64(rows, 0, 0), pg_i64(rows, 0, 1), pg_i64(rows, 0, 2),
                                    pg_i64(rows, 0, 3) };
    return st;
}

enum cq_status view_marks(struct pg *db, struct cq_arena *arena, struct cq_id user,
                          struct cq_id chat, struct cq_span *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = run_about(db, sql_one, user, chat, &rows);

    if (st == CQ_OK)
        *ret = pg_null(rows, 0, 0) ? span_of(NULL, 0) : arena_copy(arena, pg_bytes(rows, 0, 0));
    return st;
}

enum cq_status view_marks_place(struct pg *db, struct cq_id user, int64_t *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    st = pg_run_once(db, sql_place, &params, &rows);
    if (st == CQ_OK)
        *ret = pg_i64(rows, 0, 0);
    return st;
}

enum cq_status view_marks_since(struct pg *db, struct cq_id user, int64_t after, int64_t limit,
                                struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, after);
    pg_add_i64(&params, limit);
    return pg_run_once(db, sql_since, &params, ret);
}

struct marks_row marks_at(const struct pg_result *rows, int i)
{
    return (struct marks_row){ pg_uuid(rows, i, 0), pg_i64(rows, i, 1), pg_bytes(rows, i, 2) };
}
