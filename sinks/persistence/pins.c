/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/pins.h"

_Static_assert(LIMIT_PINNED == 3, "the newest, and two others");

/* Whether a message y stands at a place of the log: what is deleted before $5, or over at $6, does not. So a
 * rebuild, which sees all later deletions, ends the same pins. */
#define STANDS(y)                                                                              \
    "(" y ".expires_at IS NULL OR " y ".expires_at > $6) AND NOT EXISTS (SELECT 1 FROM "       \
    "view.changes h WHERE h.part = " y ".part AND h.chat_id = " y ".chat_id AND h.target = " y \
    ".seq AND h.deleted_seq <> 0 AND h.deleted_seq < $5)"

/* $1 part, $2 chat, $3 target, $4 message, $5 seq, $6 time, $7 by whom, $8 pinned. A pin leaves the two
 * newest of the others that stand. The chat is told, too: sync finds by it what is new. */
static const char sql_pin[] =
    "WITH put AS (INSERT INTO view.pins AS p (part, chat_id, target, seq, at_ms, by_user, pinned) "
    "SELECT m.part, m.chat_id, m.seq, $5, $6, $7, $8 <> 0 FROM view.messages m WHERE m.part = $1 "
    "AND m.chat_id = $2 AND m.seq = $3 AND m.id = $4 AND " STANDS(
        "m") " "
             "ON CONFLICT (part, chat_id, target) DO UPDATE SET seq = excluded.seq, at_ms = excluded.at_ms, "
             "by_user = excluded.by_user, pinned = excluded.pinned WHERE excluded.seq > p.seq RETURNING 1), "
             "told AS (UPDATE view.chats k SET changed_seq = greatest(k.changed_seq, $5), "
             "pinned_seq = greatest(k.pinned_seq, $5) "
             "WHERE k.part = $1 AND k.chat_id = $2 AND EXISTS (SELECT 1 FROM put)) "
             "UPDATE view.pins o SET pinned = false WHERE o.part = $1 AND o.chat_id = $2 AND o.pinned "
             "AND o.target <> $3 AND $8 <> 0 AND EXISTS (SELECT 1 FROM put) AND o.target NOT IN ("
             "SELECT x.target FROM view.pins x JOIN view.messages y ON y.part = x.part "
             "AND y.chat_id = x.chat_id AND y.seq = x.target WHERE x.part = $1 AND x.chat_id = $2 "
             "AND x.pinned AND x.target <> $3 AND " STANDS("y") " ORDER BY x.seq DESC LIMIT 2)";

/* One by one: what a pin ends depends on all before it. */
enum cq_status pins_write(const struct rows *rows, struct pg *db, struct pg_params *params)
{
    enum cq_status st = CQ_OK;

    for (size_t i = 0; st == CQ_OK && i < rows->pins_n; i++) {
        const struct pin_row *pin = &rows->pins[i];

        pg_params_clear(params);
        pg_add_i32(params, pin->part);
        pg_add_uuid(params, pin->chat);
        pg_add_i64(params, pin->target);
        pg_add_uuid(params, pin->message);
        pg_add_i64(params, pin->seq);
        pg_add_i64(params, pin->at_ms);
        pg_add_uuid(params, pin->by);
        pg_add_i32(params, pin->pinned);
        st = pg_run(db, sql_pin, params, NULL);
    }
    return st;
}

/* ---- stars ------------------------------------------------------------------------------ */

static const struct pg_column columns_of_stars[] = {
    PG_COLUMN(star_row, part, "part"),       PG_COLUMN(star_row, chat, "chat_id"),
    PG_COLUMN(star_row, user, "user_id"),    PG_COLUMN(star_row, target, "target"),
    PG_COLUMN(star_row, message, "message"), PG_COLUMN(star_row, seq, "seq"),
    PG_COLUMN(star_row, at_ms, "at_ms"),     PG_COLUMN(star_row, starred, "starred"),
};

/* The last fact of each counts, while the message stands. The stay that has the message says that something of it
 * was starred: by all facts, since a rebuild finds other messages over or deleted than the first writing did. */
static const char sql_star[] =
    "WITH u AS MATERIALIZED (SELECT f.*, m.expires_at "
    "FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int8[], $5::uuid[], $6::int8[], "
    "$7::int8[], $8::int4[]) AS f(part, chat_id, user_id, target, message, seq, at_ms, starred) "
    "JOIN view.messages m ON m.part = f.part AND m.chat_id = f.chat_id AND m.seq = f.target "
    "AND m.id = f.message), "
    "w AS (SELECT DISTINCT ON (u.part, u.chat_id, u.user_id, u.target) u.* "
    "FROM u WHERE (u.expires_at IS NULL OR u.expires_at > view.now_ms()) "
    "AND NOT EXISTS (SELECT 1 FROM view.changes h WHERE h.part = u.part AND h.chat_id = u.chat_id "
    "AND h.target = u.target AND h.deleted_seq <> 0) "
    "AND NOT EXISTS (SELECT 1 FROM view.hidden x WHERE x.part = u.part AND x.chat_id = u.chat_id "
    "AND x.user_id = u.user_id AND x.target = u.target) "
    "ORDER BY u.part, u.chat_id, u.user_id, u.target, u.seq DESC), "
    "put AS (INSERT INTO view.stars AS s (part, chat_id, user_id, target, seq, at_ms, starred) "
    "SELECT w.part, w.chat_id, w.user_id, w.target, w.seq, w.at_ms, w.starred <> 0 FROM w "
    "ON CONFLICT (part, chat_id, user_id, target) DO UPDATE SET seq = excluded.seq, "
    "at_ms = excluded.at_ms, starred = excluded.starred WHERE excluded.seq > s.seq) "
    "UPDATE view.members i SET starred_seq = w.seq "
    "FROM (SELECT s.part, s.chat_id, s.user_id, s.joined_seq, max(u.seq) AS seq "
    "FROM u JOIN view.members s ON s.part = u.part AND s.chat_id = u.chat_id "
    "AND s.user_id = u.user_id AND s.joined_seq < u.target "
    "AND (s.left_seq IS NULL OR s.left_seq > u.target) GROUP BY 1, 2, 3, 4) w "
    "WHERE i.part = w.part AND i.chat_id = w.chat_id AND i.user_id = w.user_id "
    "AND i.joined_seq = w.joined_seq AND i.starred_seq < w.seq";

/* Of those that were taken back the newest $9 of a user and chat stay: a sync tells them to his other devices. */
static const char sql_stars_behind[] =
    "DELETE FROM view.stars d USING (SELECT w.*, (SELECT x.seq FROM view.stars x "
    "WHERE x.part = w.part AND x.chat_id = w.chat_id AND x.user_id = w.user_id AND NOT x.starred "
    "ORDER BY x.seq DESC OFFSET $9 LIMIT 1) AS last FROM (SELECT DISTINCT f.part, f.chat_id, f.user_id "
    "FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int8[], $5::uuid[], $6::int8[], "
    "$7::int8[], $8::int4[]) AS f(part, chat_id, user_id, target, message, seq, at_ms, starred) "
    "WHERE f.starred = 0) w OFFSET 0) w WHERE d.part = w.part AND d.chat_id = w.chat_id "
    "AND d.user_id = w.user_id AND d.seq <= w.last AND NOT d.starred";

enum cq_status stars_write(const struct rows *rows, struct pg *db, struct pg_params *params)
{
    enum cq_status st;

    if (!rows->stars_n)
        return CQ_OK;
    pg_params_clear(params);
    pg_add_columns(params, columns_of_stars, ARRAY_LEN(columns_of_stars), rows->stars,
                   sizeof rows->stars[0], rows->stars_n);
    st = pg_run(db, sql_star, params, NULL);
    if (st != CQ_OK)
        return st;
    pg_add_i64(params, LIMIT_STARRED);
    return pg_run(db, sql_stars_behind, params, NULL);
}
