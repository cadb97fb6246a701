/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/changes.h"

static const struct pg_column columns[] = {
    PG_COLUMN(change_row, part, "part"),
    PG_COLUMN(change_row, chat, "chat_id"),
    PG_COLUMN(change_row, target, "target"),
    PG_COLUMN(change_row, message, "message_id"),
    PG_COLUMN(change_row, seq, "seq"),
    PG_COLUMN(change_row, at_ms, "at_ms"),
    PG_COLUMN(change_row, edited_seq, "edited_seq"),
    PG_COLUMN(change_row, deleted_seq, "deleted_seq"),
    PG_COLUMN(change_row, reacted_seq, "reacted_seq"),
    PG_COLUMN(change_row, by, "by_user"),
    PG_COLUMN(change_row, reaction, "reaction"),
    PG_COLUMN(change_row, content_type, "content_type"),
    PG_COLUMN_BYTES(change_row, content, "content"),
    PG_COLUMN_OR_NULL(change_row, key, no_key, "key_id"),
    PG_COLUMN(change_row, edit, "edit_id"),
    PG_COLUMN_OR_NULL(change_row, shown.text, shown.no_text, "preview"),
    PG_COLUMN_OR_NULL(change_row, shown.media, shown.no_media, "preview_media"),
};

/* The first of these are all that most statements need. */
enum { COLUMNS_OF_CHANGE = 11, COLUMNS_OF_VERSION = ARRAY_LEN(columns) };

/* clang-format off */

/* The changes whose id and seq are one message's. */
#define FITTING(arrays, names)                                                                     \
    "SELECT t.* FROM unnest($1::int4[], $2::uuid[], $3::int8[], $4::uuid[], $5::int8[], "          \
    "$6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::uuid[], $11::text[]" arrays ") "         \
    "AS t(part, chat_id, target, message_id, seq, at_ms, edited_seq, deleted_seq, reacted_seq, "   \
    "by_user, reaction" names ") "                                                                 \
    "JOIN view.messages m ON m.part = t.part AND m.chat_id = t.chat_id AND m.seq = t.target "      \
    "AND m.id = t.message_id"

#define NOT_DELETED(t)                                                                             \
    "NOT EXISTS (SELECT 1 FROM view.changes h WHERE h.part = " t ".part "                          \
    "AND h.chat_id = " t ".chat_id AND h.target = " t ".target AND h.deleted_seq <> 0)"

/* Nothing is kept of what is over. */
#define NOT_OVER(t)                                                                                \
    "NOT EXISTS (SELECT 1 FROM view.messages z WHERE z.part = " t ".part "                         \
    "AND z.chat_id = " t ".chat_id AND z.seq = " t ".target AND z.expires_at <= view.now_ms())"

/* A version may be overtaken; that it was said is known for longer. */
static const char sql_versions[] =
    "WITH w AS MATERIALIZED (SELECT f.* FROM ("
    FITTING(", $12::text[], $13::bytea[], $14::text[], $15::uuid[], $16::text[], $17::uuid[]",
            ", content_type, content, key_id, edit_id, preview, preview_media")
    ") f WHERE f.edited_seq <> 0 AND " NOT_DELETED("f")
    " AND " NOT_OVER("f") "), "
    "known AS (INSERT INTO view.edits (part, chat_id, target, seq, edit_id, said) "
    "SELECT w.part, w.chat_id, w.target, w.seq, w.edit_id, "
    "sha256(w.content || coalesce('\\x00'::bytea || convert_to(w.preview, 'UTF8'), '')) FROM w ON CONFLICT DO NOTHING) "
    "INSERT INTO view.versions (part, chat_id, target, seq, at_ms, content_type, content, key_id, preview, preview_media) "
    "SELECT w.part, w.chat_id, w.target, w.seq, w.at_ms, w.content_type, w.content, w.key_id, w.preview, w.preview_media "
    "FROM w ON CONFLICT DO NOTHING";

static const char sql_reactions[] =
    "INSERT INTO view.reactions (part, chat_id, target, user_id, seq, at_ms, reaction) "
    "SELECT w.part, w.chat_id, w.target, w.by_user, w.seq, w.at_ms, w.reaction "
    "FROM (" FITTING("", "") ") w WHERE w.reacted_seq <> 0 AND " NOT_DELETED("w")
    " AND " NOT_OVER("w") " ON CONFLICT DO NOTHING";

/* A row a message. Its first deletion is the end: what comes after it changes nothing, in this turn or a later one.
 * The chat is told, too: sync finds by it what is new. */
static const char sql_changes[] =
    "WITH w AS MATERIALIZED (SELECT f.* FROM (" FITTING("", "") ") f WHERE " NOT_DELETED("f") "), "
    "gone AS (SELECT DISTINCT ON (part, chat_id, target) * FROM w WHERE deleted_seq <> 0 "
    "ORDER BY part, chat_id, target, seq), "
    "fit AS (SELECT w.part, w.chat_id, w.target, max(w.seq) AS seq, max(w.edited_seq) AS edited_seq, "
    "max(w.reacted_seq) AS reacted_seq FROM w LEFT JOIN gone g ON g.part = w.part AND g.chat_id = w.chat_id AND g.target = w.target "
    "WHERE g.seq IS NULL OR w.seq <= g.seq GROUP BY w.part, w.chat_id, w.target), "
    "told AS (UPDATE view.chats k SET changed_seq = greatest(k.changed_seq, c.seq) "
    "FROM (SELECT part, chat_id, max(seq) AS seq FROM fit GROUP BY part, chat_id) c "
    "WHERE k.part = c.part AND k.chat_id = c.chat_id) "
    "INSERT INTO view.changes AS h "
    "(part, chat_id, target, seq, edited_seq, reacted_seq, deleted_seq, deleted_by, deleted_at) "
    "SELECT f.part, f.chat_id, f.target, f.seq, f.edited_seq, f.reacted_seq, coalesce(g.deleted_seq, 0), "
    "g.by_user, g.at_ms FROM fit f "
    "LEFT JOIN gone g ON g.part = f.part AND g.chat_id = f.chat_id AND g.target = f.target "
    "ON CONFLICT (part, chat_id, target) DO UPDATE SET "
    "seq = greatest(h.seq, excluded.seq), "
    "edited_seq = greatest(h.edited_seq, excluded.edited_seq), "
    "reacted_seq = greatest(h.reacted_seq, excluded.reacted_seq), "
    "deleted_seq = excluded.deleted_seq, "
    "deleted_by = excluded.deleted_by, "
    "deleted_at = excluded.deleted_at "
    "WHERE h.deleted_seq = 0";

/* The row stays, since what counts and orders messages needs it; nothing that was said does. */
static const char sql_empty[] =
    "WITH w AS MATERIALIZED (SELECT DISTINCT part, chat_id, target FROM (" FITTING("", "") ") f "
    "WHERE deleted_seq <> 0), "
    "emptied AS (DELETE FROM view.versions v USING w WHERE v.part = w.part "
    "AND v.chat_id = w.chat_id AND v.target = w.target), "
    "unedited AS (DELETE FROM view.edits e USING w WHERE e.part = w.part "
    "AND e.chat_id = w.chat_id AND e.target = w.target), "
    "unsaid AS (DELETE FROM view.reactions r USING w WHERE r.part = w.part "
    "AND r.chat_id = w.chat_id AND r.target = w.target), "
    "unasked AS (DELETE FROM view.polls p USING w WHERE p.part = w.part "
    "AND p.chat_id = w.chat_id AND p.target = w.target), "
    "unvoted AS (DELETE FROM view.votes v USING w WHERE v.part = w.part "
    "AND v.chat_id = w.chat_id AND v.target = w.target), "
    "unstarred AS (DELETE FROM view.stars s USING w WHERE s.part = w.part "
    "AND s.chat_id = w.chat_id AND s.target = w.target) "
    "UPDATE view.messages m SET content = '', media_id = NULL, key_id = NULL, contents = NULL, "
    "preview = NULL, preview_media = NULL "
    "FROM w WHERE m.part = w.part AND m.chat_id = w.chat_id AND m.seq = w.target "
    "AND (m.content <> '' OR m.media_id IS NOT NULL OR m.key_id IS NOT NULL OR m.contents IS NOT NULL "
    "OR m.preview IS NOT NULL)";

/* Nobody left between `old` and the one after it, `next`: who left before that left before all later
 * ones, so no other has to be looked at. Two values are compared, each the first of an index, whose
 * order has the planner take it while the table is empty, too; a join would pass over all who left. */
#define NOBODY_LEFT(old, next)                                                                     \
    next " < coalesce((SELECT o.left_seq FROM view.members o WHERE o.part = w.part "               \
    "AND o.chat_id = w.chat_id AND o.left_seq > " old ".seq ORDER BY o.left_seq LIMIT 1), "        \
    "9223372036854775807)"

#define LAST_SEQ "9223372036854775807"
#define OF_CHAT(t) t ".part = w.part AND " t ".chat_id = w.chat_id "
#define EDITED "(SELECT DISTINCT part, chat_id, target FROM (" FITTING("", "") ") f WHERE edited_seq <> 0) w "
#define REACTED                                                                                    \
    "(SELECT DISTINCT part, chat_id, target, by_user FROM (" FITTING("", "") ") f WHERE reacted_seq <> 0) w "

/* A version that nobody can read any more goes: whoever was there for it was there for a newer one, unless
 * somebody left between the two. $12: so many of a message are looked at, the newest ones. Others were looked
 * at before, and who left since left before none that came after them. */
static const char sql_passed[] =
    "DELETE FROM view.versions v USING (SELECT w.part, w.chat_id, w.target, c.seq FROM " EDITED
    "CROSS JOIN LATERAL (SELECT y.target, y.seq FROM view.versions y WHERE " OF_CHAT("y")
    "AND (y.target, y.seq) <= (w.target, " LAST_SEQ ") ORDER BY y.target DESC, y.seq DESC LIMIT $12) c "
    "WHERE c.target = w.target AND "
    NOBODY_LEFT("c", "(SELECT CASE WHEN x.target = w.target THEN x.seq END FROM view.versions x "
    "WHERE " OF_CHAT("x") "AND (x.target, x.seq) > (w.target, c.seq) "
    "ORDER BY x.target, x.seq LIMIT 1)")
    " OFFSET 0) w WHERE " OF_CHAT("v") "AND v.target = w.target AND v.seq = w.seq";

/* The same of the signs of each user. */
static const char sql_reactions_passed[] =
    "DELETE FROM view.reactions r USING (SELECT w.part, w.chat_id, w.target, w.by_user, c.seq FROM " REACTED
    "CROSS JOIN LATERAL (SELECT y.target, y.user_id, y.seq FROM view.reactions y WHERE " OF_CHAT("y")
    "AND (y.target, y.user_id, y.seq) <= (w.target, w.by_user, " LAST_SEQ ") "
    "ORDER BY y.target DESC, y.user_id DESC, y.seq DESC LIMIT $12) c "
    "WHERE c.target = w.target AND c.user_id = w.by_user AND "
    NOBODY_LEFT("c", "(SELECT CASE WHEN x.target = w.target AND x.user_id = w.by_user THEN x.seq END "
    "FROM view.reactions x WHERE " OF_CHAT("x")
    "AND (x.target, x.user_id, x.seq) > (w.target, w.by_user, c.seq) "
    "ORDER BY x.target, x.user_id, x.seq LIMIT 1)")
    " OFFSET 0) w WHERE " OF_CHAT("r") "AND r.target = w.target AND r.user_id = w.by_user AND r.seq = w.seq";

/* Of those that stand the newest, $12, however many left between two: reading passes over each of them, and a
 * deletion takes them away. `last` is the first that goes. */
#define BEHIND(table)                                                                              \
    "DELETE FROM view." table " v USING (SELECT w.*, (SELECT CASE WHEN x.target = w.target THEN "  \
    "x.seq END FROM view." table " x WHERE " OF_CHAT("x")                                          \
    "AND (x.target, x.seq) <= (w.target, " LAST_SEQ ") "                                           \
    "ORDER BY x.target DESC, x.seq DESC OFFSET $12 LIMIT 1) AS last FROM " EDITED "OFFSET 0) w "   \
    "WHERE " OF_CHAT("v") "AND v.target = w.target AND (v.target, v.seq) <= (w.target, w.last)"

static const char sql_behind[] = BEHIND("versions");
static const char sql_edits_behind[] = BEHIND("edits");

static const char sql_reactions_behind[] =
    "DELETE FROM view.reactions r USING (SELECT w.*, (SELECT CASE WHEN x.target = w.target AND x.user_id = w.by_user "
    "THEN x.seq END FROM view.reactions x WHERE " OF_CHAT("x")
    "AND (x.target, x.user_id, x.seq) <= (w.target, w.by_user, " LAST_SEQ ") "
    "ORDER BY x.target DESC, x.user_id DESC, x.seq DESC OFFSET $12 LIMIT 1) AS last FROM " REACTED "OFFSET 0) w "
    "WHERE " OF_CHAT("r") "AND r.target = w.target AND r.user_id = w.by_user "
    "AND (r.target, r.user_id, r.seq) <= (w.target, w.by_user, w.last)";

/* clang-format on */

static void add_changes(const struct rows *rows, struct pg_params *params, size_t columns_n)
{
    pg_params_clear(params);
    pg_add_columns(params, columns, columns_n, rows->changes, sizeof rows->changes[0],
                   rows->changes_n);
}

static enum cq_status run_with(const char *sql, size_t n, const struct rows *rows, struct pg *db,
                               struct pg_params *params)
{
    add_changes(rows, params, COLUMNS_OF_CHANGE);
    pg_add_i64(params, (int64_t)n);
    return pg_run(db, sql, params, NULL);
}

/* Those that stood, and those that came now, are looked at. */
static enum cq_status let_edits_go(const struct rows *rows, struct pg *db, struct pg_params *params)
{
    enum cq_status st = run_with(sql_passed, CHANGES_VERSIONS + rows->edits_n, rows, db, params);

    if (st == CQ_OK)
        st = run_with(sql_behind, CHANGES_VERSIONS, rows, db, params);
    return st == CQ_OK ? run_with(sql_edits_behind, CHANGES_EDITS, rows, db, params) : st;
}

static enum cq_status let_reactions_go(const struct rows *rows, struct pg *db,
                                       struct pg_params *params)
{
    enum cq_status st =
        run_with(sql_reactions_passed, CHANGES_VERSIONS + rows->reactions_n, rows, db, params);

    return st == CQ_OK ? run_with(sql_reactions_behind, CHANGES_VERSIONS, rows, db, params) : st;
}

enum cq_status changes_write(const struct rows *rows, struct pg *db, struct pg_params *params)
{
    enum cq_status st = CQ_OK;

    if (rows->edits_n) {
        add_changes(rows, params, COLUMNS_OF_VERSION);
        st = pg_run(db, sql_versions, params, NULL);
    }
    add_changes(rows, params, COLUMNS_OF_CHANGE);
    if (st == CQ_OK && rows->reactions_n)
        st = pg_run(db, sql_reactions, params, NULL);
    if (st == CQ_OK && rows->changes_n)
        st = pg_run(db, sql_changes, params, NULL);
    if (st == CQ_OK && rows->deletions_n)
        st = pg_run(db, sql_empty, params, NULL);
    if (st == CQ_OK && rows->edits_n)
        st = let_edits_go(rows, db, params);
    if (st == CQ_OK && rows->reactions_n)
        st = let_reactions_go(rows, db, params);
    return st;
}
