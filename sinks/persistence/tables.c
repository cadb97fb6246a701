/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/tables.c - a table is its columns and, below them, its statement; those that
 * rows are only put into have both from rows.h. Replays and repeats find their rows there already;
 * columns that may differ between two writes of a row only move forward. unit.persistence_rows
 * compares each statement with its columns.
 */
#include "sinks/persistence/tables.h"

/* ---- messages ------------------------------------------------------------------------- */

static const struct pg_column columns_messages[] = {
    PG_COLUMN(message_row, part, "part"),
    PG_COLUMN(message_row, chat, "chat_id"),
    PG_COLUMN(message_row, seq, "seq"),
    PG_COLUMN(message_row, id, "id"),
    PG_COLUMN(message_row, sender, "sender_id"),
    PG_COLUMN(message_row, client, "client_id"),
    PG_COLUMN(message_row, type, "type"),
    PG_COLUMN(message_row, content_type, "content_type"),
    PG_COLUMN_BYTES(message_row, content, "content"),
    PG_COLUMN_OR_NULL(message_row, key, no_key, "key_id"),
    PG_COLUMN(message_row, sent_ms, "sent_at"),
    PG_COLUMN_OR_NULL(message_row, media, no_media, "media_id"),
    PG_COLUMN_OR_NULL(message_row, reply, no_reply, "reply_id"),
    PG_COLUMN_OR_NULL(message_row, reply_seq, no_reply, "reply_seq"),
    PG_COLUMN_BYTES(message_row, mentions, "mentions"),
    PG_COLUMN(message_row, forwarded, "forwarded"),
    PG_COLUMN(message_row, own, "own"),
    PG_COLUMN_OR_NULL(message_row, expires_ms, stays, "expires_at"),
    PG_COLUMN_OR_NULL(message_row, contents, no_contents, "contents"),
    PG_COLUMN_OR_NULL(message_row, shown.text, shown.no_text, "preview"),
    PG_COLUMN_OR_NULL(message_row, shown.media, shown.no_media, "preview_media"),
};

/* clang-format off */

/* Of one whose time is over nothing is written but that it was there. */
#define UNLESS_OVER(column, nothing)                                                       \
    " CASE WHEN w.expires_at IS NOT NULL AND w.expires_at <= view.now_ms()"                \
    " THEN " nothing " ELSE w." column " END,"

/* A message is numbered on from the last one of its chat, and in a direct chat also among those of
 * its sender: what of the last one's number is not its sender's is the other's. */
#define NUMBERED(from, where)                                                              \
    "INSERT INTO view.messages"                                                            \
    " (part, chat_id, seq, id, sender_id, client_id, type, content_type, content, key_id," \
    " sent_at, media_id, reply_id, reply_seq, mentions, forwarded, own, expires_at,"       \
    " contents, preview, preview_media, due_at, number)"                                                                     \
    " SELECT w.part, w.chat_id, w.seq, w.id, w.sender_id, w.client_id, w.type,"            \
    " w.content_type," UNLESS_OVER("content", "''") UNLESS_OVER("key_id", "NULL")          \
    " w.sent_at," UNLESS_OVER("media_id", "NULL") UNLESS_OVER("reply_id", "NULL")          \
    UNLESS_OVER("reply_seq", "NULL") UNLESS_OVER("mentions", "''")                         \
    " w.forwarded, CASE WHEN w.own <> 0 THEN"                                              \
    " coalesce(CASE WHEN l.sender_id = w.sender_id THEN l.own ELSE l.number - l.own END, 0)" \
    " + row_number() OVER (PARTITION BY w.part, w.chat_id, w.sender_id ORDER BY w.seq)"    \
    " END, w.expires_at," UNLESS_OVER("contents", "NULL")                 \
    UNLESS_OVER("preview", "NULL") UNLESS_OVER("preview_media", "NULL") UNLESS_OVER("expires_at", "NULL")                                \
    " coalesce(l.number, 0)"                                                               \
    " + row_number() OVER (PARTITION BY w.part, w.chat_id ORDER BY w.seq) FROM " from      \
    " LEFT JOIN LATERAL (SELECT k.sender_id, k.own, k.number FROM view.messages k"         \
    " WHERE k.part = w.part AND k.chat_id = w.chat_id ORDER BY k.seq DESC LIMIT 1) l"      \
    " ON true" where

/* clang-format on */

#define GIVEN(name)                                                                                \
    "unnest($1::int4[], $2::uuid[], $3::int8[], $4::uuid[], $5::uuid[],"                           \
    " $6::text[], $7::int4[], $8::text[], $9::bytea[], $10::text[], $11::int8[], $12::uuid[],"     \
    " $13::uuid[], $14::int8[], $15::bytea[], $16::int4[], $17::int4[], $18::int8[], $19::text[]," \
    " $20::text[], $21::uuid[])"                                                                   \
    " AS " name                                                                                    \
    "(part, chat_id, seq, id, sender_id, client_id, type, content_type, content, key_id,"          \
    " sent_at, media_id, reply_id, reply_seq, mentions, forwarded, own, expires_at, contents,"     \
    " preview, preview_media)"

const char sql_messages[] = NUMBERED(GIVEN("w"), "");

/* What is there already, or comes twice, must not be numbered: of an id the lowest seq stands. */
const char sql_messages_repeated[] = NUMBERED(
    "(SELECT DISTINCT ON (u.part, u.id) u.* FROM " GIVEN("u") " ORDER BY u.part, u.id, u.seq) w",
    " WHERE NOT EXISTS (SELECT 1 FROM view.messages o WHERE o.part = w.part"
    " AND o.id = w.id)"
    " AND NOT EXISTS (SELECT 1 FROM view.messages o WHERE o.part = w.part"
    " AND o.chat_id = w.chat_id AND o.seq = w.seq)");

/* ---- chats ---------------------------------------------------------------------------- */

static const struct pg_column columns_chats[] = {
    PG_COLUMN(chat_row, part, "part"),
    PG_COLUMN(chat_row, chat, "chat_id"),
    PG_COLUMN(chat_row, kind, "kind"),
    PG_COLUMN(chat_row, name, "name"),
    PG_COLUMN(chat_row, name_seq, "name_seq"),
    PG_COLUMN(chat_row, created_ms, "created_at"),
    PG_COLUMN(chat_row, created_by, "created_by"),
    PG_COLUMN(chat_row, last_seq, "last_seq"),
    PG_COLUMN(chat_row, changed_seq, "changed_seq"),
    PG_COLUMN(chat_row, timer_s, "timer_s"),
    PG_COLUMN(chat_row, timer_seq, "timer_seq"),
    PG_COLUMN(chat_row, description, "description"),
    PG_COLUMN(chat_row, description_seq, "description_seq"),
    PG_COLUMN(chat_row, send_by, "send_by"),
    PG_COLUMN(chat_row, info_by, "info_by"),
    PG_COLUMN(chat_row, add_by, "add_by"),
    PG_COLUMN(chat_row, rights_seq, "rights_seq"),
    PG_COLUMN_OR_NULL(chat_row, picture, no_picture, "picture_id"),
    PG_COLUMN_OR_NULL(chat_row, picture_by, no_picture, "picture_by"),
    PG_COLUMN(chat_row, picture_seq, "picture_seq"),
    PG_COLUMN(chat_row, line_seq, "line_seq"),
    PG_COLUMN(chat_row, requested_seq, "requested_seq"),
};

#define LATER_PICTURE(column)                                                            \
    " " column " = CASE WHEN excluded.picture_seq > c.picture_seq THEN excluded." column \
    " ELSE c." column " END,"

#define LATER_RIGHT(column)                                                            \
    " " column " = CASE WHEN excluded.rights_seq > c.rights_seq THEN excluded." column \
    " ELSE c." column " END,"

static const char sql_chats[] =
    "INSERT INTO view.chats AS c"
    " (part, chat_id, kind, name, name_seq, created_at, created_by, last_seq, changed_seq,"
    " timer_s, timer_seq, description, description_seq, send_by, info_by, add_by, rights_seq,"
    " picture_id, picture_by, picture_seq, line_seq, requested_seq)"
    " SELECT * FROM unnest($1::int4[], $2::uuid[], $3::int4[], $4::text[], $5::int8[],"
    " $6::int8[], $7::uuid[], $8::int8[], $9::int8[], $10::int8[], $11::int8[],"
    " $12::text[], $13::int8[], $14::int4[], $15::int4[], $16::int4[], $17::int8[],"
    " $18::uuid[], $19::uuid[], $20::int8[], $21::int8[], $22::int8[])"
    " ON CONFLICT (part, chat_id) DO UPDATE SET"
    " name = CASE WHEN excluded.name_seq > c.name_seq THEN excluded.name ELSE c.name END,"
    " name_seq = GREATEST(c.name_seq, excluded.name_seq),"
    " last_seq = GREATEST(c.last_seq, excluded.last_seq),"
    " changed_seq = GREATEST(c.changed_seq, excluded.changed_seq),"
    " timer_s = CASE WHEN excluded.timer_seq > c.timer_seq THEN excluded.timer_s"
    " ELSE c.timer_s END,"
    " timer_seq = GREATEST(c.timer_seq, excluded.timer_seq),"
    " description = CASE WHEN excluded.description_seq > c.description_seq"
    " THEN excluded.description ELSE c.description END,"
    " description_seq = GREATEST(c.description_seq, excluded.description_seq)," LATER_RIGHT(
        "send_by") LATER_RIGHT("info_by") LATER_RIGHT("add_by") LATER_PICTURE("picture_id")
        LATER_PICTURE(
            "picture_by") " rights_seq = GREATEST(c.rights_seq, excluded.rights_seq),"
                          " picture_seq = GREATEST(c.picture_seq, excluded.picture_seq),"
                          " line_seq = GREATEST(c.line_seq, excluded.line_seq),"
                          " requested_seq = GREATEST(c.requested_seq, excluded.requested_seq)";

/* ---- tallies -------------------------------------------------------------------------- */

static const struct pg_column columns_tallies[] = {
    PG_COLUMN(tally_row, part, "part"),    PG_COLUMN(tally_row, chat, "chat_id"),
    PG_COLUMN(tally_row, user, "user_id"), PG_COLUMN(tally_row, kind, "kind"),
    PG_COLUMN(tally_row, seq, "seq"),
};

/* A tally is numbered on from the user's last one of its kind in the chat. */
#define TALLIED(from)                                                                  \
    "INSERT INTO view.tallies (part, chat_id, user_id, kind, seq, number)"             \
    " SELECT w.*, coalesce((SELECT l.number FROM view.tallies l WHERE l.part = w.part" \
    " AND l.chat_id = w.chat_id AND l.user_id = w.user_id AND l.kind = w.kind"         \
    " ORDER BY l.seq DESC LIMIT 1), 0)"                                                \
    " + row_number() OVER (PARTITION BY w.part, w.chat_id, w.user_id, w.kind"          \
    " ORDER BY w.seq) FROM " from

#define TALLIES_GIVEN                                                    \
    "unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int4[], $5::int8[])" \
    " AS w(part, chat_id, user_id, kind, seq)"

const char sql_tallies[] = TALLIED(TALLIES_GIVEN);

/* Only of messages that are there, since an id that comes again under another seq is none, and each
 * once. */
const char sql_tallies_repeated[] =
    TALLIED("(SELECT DISTINCT w.* FROM " TALLIES_GIVEN ") w"
            " WHERE EXISTS (SELECT 1 FROM view.messages m WHERE m.part = w.part"
            " AND m.chat_id = w.chat_id AND m.seq = w.seq)"
            " AND NOT EXISTS (SELECT 1 FROM view.tallies o WHERE o.part = w.part"
            " AND o.chat_id = w.chat_id AND o.user_id = w.user_id AND o.kind = w.kind"
            " AND o.seq = w.seq)");

/* ---- users ---------------------------------------------------------------------------- */

static const struct pg_column columns_users[] = {
    PG_COLUMN(user_row, user, "user_id"),
    PG_COLUMN(user_row, name, "name"),
    PG_COLUMN(user_row, registered_ms, "registered_at"),
    PG_COLUMN(user_row, source, "src_offset"),
};

static const char sql_users[] =
    "INSERT INTO view.users AS u (user_id, name, registered_at, src_offset)"
    " SELECT * FROM unnest($1::uuid[], $2::text[], $3::int8[], $4::int8[])"
    " ON CONFLICT (user_id) DO UPDATE SET"
    " name = CASE WHEN excluded.name = '' THEN u.name ELSE excluded.name END,"
    " src_offset = excluded.src_offset"
    " WHERE excluded.src_offset > u.src_offset";

/* ---- media_found ---------------------------------------------------------------------- */

static const struct pg_column columns_media_found[] = {
    PG_COLUMN(media_found_row, media, "media_id"),
    PG_COLUMN(media_found_row, width, "width"),
    PG_COLUMN(media_found_row, height, "height"),
    PG_COLUMN(media_found_row, duration_ms, "duration_ms"),
    PG_COLUMN(media_found_row, thumbnail_key, "thumbnail_key"),
    PG_COLUMN(media_found_row, fault, "fault"),
    PG_COLUMN(media_found_row, seq, "seq"),
};

static const char sql_media_found[] =
    "INSERT INTO view.media_found AS f"
    " (media_id, width, height, duration_ms, thumbnail_key, fault, seq)"
    " SELECT * FROM unnest($1::uuid[], $2::int4[], $3::int4[], $4::int8[], $5::text[],"
    " $6::text[], $7::int8[])"
    " ON CONFLICT (media_id) DO UPDATE SET"
    " width = excluded.width,"
    " height = excluded.height,"
    " duration_ms = excluded.duration_ms,"
    " thumbnail_key = excluded.thumbnail_key,"
    " fault = excluded.fault,"
    " seq = excluded.seq"
    " WHERE excluded.seq > f.seq";

/* ---- tables that rows are only put into ----------------------------------------------- */

#define PG_COLUMN_int4 PG_COLUMN
#define PG_COLUMN_int8 PG_COLUMN
#define PG_COLUMN_uuid PG_COLUMN
#define PG_COLUMN_text PG_COLUMN
#define PG_COLUMN_bytea PG_COLUMN_BYTES

#define COLUMN_(row, number, type, member, column) PG_COLUMN_##type(row, member, column),
#define FIRST_NAME_(row, number, type, member, column) column
#define NAME_(row, number, type, member, column) ", " column
#define FIRST_ARRAY_(row, number, type, member, column) "$" #number "::" #type "[]"
#define ARRAY_(row, number, type, member, column) ", $" #number "::" #type "[]"

#define PUT_(table, row, max)                                                                  \
    static const struct pg_column columns_##table[] = { ROWS_COLUMNS_##table(COLUMN_, COLUMN_, \
                                                                             row) };           \
    static const char sql_##table[] = "INSERT INTO view." #table " (" ROWS_COLUMNS_##table(    \
        FIRST_NAME_, NAME_,                                                                    \
        row) ") SELECT * FROM unnest(" ROWS_COLUMNS_##table(FIRST_ARRAY_, ARRAY_,              \
                                                            row) ") ON CONFLICT DO NOTHING";
ROWS_TABLES(ROWS_NONE_, PUT_)

/* ---- all of them ---------------------------------------------------------------------- */

#define ROWS_TABLE_(table, row, max)               \
    {                                              \
        .name = #table,                            \
        .sql = sql_##table,                        \
        .columns = columns_##table,                \
        .columns_n = ARRAY_LEN(columns_##table),   \
        .row_bytes = sizeof(struct row),           \
        .n_at = offsetof(struct rows, table.n),    \
        .rows_at = offsetof(struct rows, table.v), \
    },
const struct rows_table rows_tables[] = { ROWS_TABLES(ROWS_TABLE_, ROWS_TABLE_) };
_Static_assert(ARRAY_LEN(rows_tables) == ROWS_TABLE_N, "a row for each line of ROWS_TABLES");
