/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/write.h"

#include "lib/base/assert.h"
#include "schemas/topics.h"
#include "sinks/persistence/changes.h"
#include "sinks/persistence/hidden.h"
#include "sinks/persistence/pins.h"
#include "sinks/persistence/polls.h"
#include "sinks/persistence/rejected.h"
#include "sinks/persistence/tables.h"

/* ---- changes of rows that are there --------------------------------------------------- */

static const char sql_leave[] = "UPDATE view.members SET left_seq = $3, left_at = $5"
                                " WHERE part = $1 AND chat_id = $2 AND user_id = ANY ($4::uuid[])"
                                " AND joined_seq < $3 AND left_seq IS NULL";

static const char sql_let_in[] = "UPDATE view.requests SET ended_seq = $3"
                                 " WHERE part = $1 AND chat_id = $2 AND user_id = ANY ($4::uuid[])"
                                 " AND ended_seq = 0 AND seq < $3";

/* An heir may be named twice: the later change counts. */
static const char sql_role[] =
    "UPDATE view.members m SET role = w.role"
    " FROM (SELECT DISTINCT ON (user_id) user_id, role"
    " FROM unnest($4::uuid[], $5::int4[]) WITH ORDINALITY AS c(user_id, role, ord)"
    " ORDER BY user_id, ord DESC) w"
    " WHERE m.part = $1 AND m.chat_id = $2 AND m.user_id = w.user_id"
    " AND m.joined_seq <= $3 AND m.left_seq IS NULL";

/* Who had left and is in no stay at that seq is back. */
static const char sql_return[] =
    "INSERT INTO view.members (part, chat_id, user_id, joined_seq, role)"
    " SELECT $1, $2, $3, $4, 0"
    " WHERE EXISTS (SELECT 1 FROM view.members m WHERE m.part = $1 AND m.chat_id = $2"
    " AND m.user_id = $3 AND m.joined_seq < $4)"
    " AND NOT EXISTS (SELECT 1 FROM view.members m WHERE m.part = $1 AND m.chat_id = $2"
    " AND m.user_id = $3 AND m.joined_seq < $4 AND (m.left_seq IS NULL OR m.left_seq > $4))"
    " ON CONFLICT DO NOTHING";

/* Of those who joined by a link each is counted once. */
static const char sql_invite_used[] =
    "UPDATE view.invites SET used = used + 1, used_seq = $4"
    " WHERE part = $1 AND chat_id = $2 AND invite_id = $3 AND used_seq < $4";

/* And who asked to be let in by it asks no more. */
static const char sql_invite_ended[] =
    "WITH asked AS (UPDATE view.requests SET ended_seq = $4"
    " WHERE part = $1 AND chat_id = $2 AND invite_id = $3 AND ended_seq = 0 AND seq < $4)"
    " UPDATE view.invites SET ended_seq = $4"
    " WHERE part = $1 AND chat_id = $2 AND invite_id = $3 AND ended_seq = 0";

/* $5 link, $6 who had made it, $7 time, $8 end; $9 how long before that it was asked. Those of the chat that are over
 * then are ended. */
static const char sql_request[] =
    "WITH over AS (UPDATE view.requests SET ended_seq = $4"
    " WHERE part = $1 AND chat_id = $2 AND user_id <> $3 AND ended_seq = 0"
    " AND expires_at <= $8 - $9 AND seq < $4)"
    " INSERT INTO view.requests AS r"
    " (part, chat_id, user_id, invite_id, invited_by, seq, at_ms, expires_at, ended_seq)"
    " VALUES ($1, $2, $3, $5, $6, $4, $7, $8, 0)"
    " ON CONFLICT (part, chat_id, user_id) DO UPDATE SET"
    " invite_id = excluded.invite_id,"
    " invited_by = excluded.invited_by,"
    " seq = excluded.seq,"
    " at_ms = excluded.at_ms,"
    " expires_at = excluded.expires_at,"
    " ended_seq = 0"
    " WHERE excluded.seq > r.seq AND excluded.seq > r.ended_seq";

static const char sql_request_ended[] =
    "UPDATE view.requests SET ended_seq = $4"
    " WHERE part = $1 AND chat_id = $2 AND user_id = $3 AND ended_seq = 0 AND seq < $4";
/* `at_ms`: since when. */
static const char sql_block[] =
    "INSERT INTO view.blocks AS b (user_id, chat_id, peer_id, seq, at_ms)"
    " VALUES ($1, $2, $5, $3, $4)"
    " ON CONFLICT (user_id, chat_id) DO UPDATE SET"
    " at_ms = CASE WHEN b.blocked THEN b.at_ms ELSE excluded.at_ms END,"
    " seq = excluded.seq,"
    " blocked = true"
    " WHERE excluded.seq > b.seq";

static const char sql_unblock[] = "UPDATE view.blocks SET seq = $3, at_ms = $4, blocked = false"
                                  " WHERE user_id = $1 AND chat_id = $2 AND seq < $3";

static const char sql_device_gone[] =
    "UPDATE view.devices SET removed_at = $2 WHERE device_id = $1 AND removed_at IS NULL";

#define SOURCE_LAST "9223372036854775807"

/* $1 user, $2 when. What has the highest source that there is stays as it is for ever: nothing that was
 * on its way brings him back. Whom he shows what is nobody, since what is not set may be shown. */
static const char sql_user_gone[] =
    "WITH devices AS (UPDATE view.devices SET removed_at = $2"
    " WHERE user_id = $1 AND removed_at IS NULL),"
    " marks AS (DELETE FROM view.chat_marks WHERE user_id = $1),"
    " mutes AS (DELETE FROM view.mutes WHERE user_id = $1),"
    " targets AS (DELETE FROM view.push_targets WHERE user_id = $1),"
    " profile AS (INSERT INTO view.profiles (user_id, about_src, picture_src)"
    " VALUES ($1, " SOURCE_LAST ", " SOURCE_LAST ") ON CONFLICT (user_id) DO UPDATE SET"
    " about = '', about_src = excluded.about_src,"
    " picture_id = NULL, picture_src = excluded.picture_src),"
    " settings AS (INSERT INTO view.settings (user_id, setting, value, src)"
    " SELECT $1, s, 2, " SOURCE_LAST " FROM generate_series(0, 2) s"
    " ON CONFLICT (user_id, setting) DO UPDATE SET value = excluded.value, src = excluded.src)"
    " INSERT INTO view.users AS u (user_id, name, registered_at, src_offset, deleted_at)"
    " VALUES ($1, '', $2, " SOURCE_LAST ", $2) ON CONFLICT (user_id) DO UPDATE SET"
    " name = '', src_offset = excluded.src_offset, deleted_at = excluded.deleted_at";

static const char sql_mute[] =
    "INSERT INTO view.mutes AS m (user_id, chat_id, until_ms, src_offset)"
    " VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (user_id, chat_id) DO UPDATE SET"
    " until_ms = excluded.until_ms,"
    " src_offset = excluded.src_offset"
    " WHERE excluded.src_offset >= m.src_offset";

/* $1 user, $2 chat, $3 its part, $4 archived, $5 pinned, $6 marked unread: 1, 0, or -1 for as before;
 * $7 read up to, $8 source, $9 draft: empty for none, null for as before; $10 written at. Beside this
 * one stay $11 rows of nothing marked, and $12 drafts. */
static const char sql_marks[] =
    "WITH gone AS (DELETE FROM view.chat_marks d WHERE d.user_id = $1 AND d.chat_id <> $2"
    " AND NOT d.archived AND d.pinned = 0 AND d.unread_after IS NULL AND d.draft IS NULL"
    " AND d.src <= (SELECT o.src FROM view.chat_marks o WHERE o.user_id = $1 AND o.chat_id <> $2"
    " AND NOT o.archived AND o.pinned = 0 AND o.unread_after IS NULL AND o.draft IS NULL"
    " ORDER BY o.src DESC OFFSET $11 LIMIT 1)),"
    " old AS (UPDATE view.chat_marks d SET draft = NULL WHERE $9 <> '' AND d.user_id = $1"
    " AND d.chat_id <> $2 AND d.draft IS NOT NULL AND d.draft_src <= (SELECT o.draft_src"
    " FROM view.chat_marks o WHERE o.user_id = $1 AND o.chat_id <> $2 AND o.draft IS NOT NULL"
    " ORDER BY o.draft_src DESC OFFSET $12 LIMIT 1))"
    " INSERT INTO view.chat_marks AS m (user_id, chat_id, part, archived, pinned, unread_after,"
    " src, draft, draft_after, draft_src)"
    " VALUES ($1, $2, $3, $4 = 1, CASE WHEN $5 = 1 THEN $8 ELSE 0 END,"
    " CASE WHEN $6 = 1 THEN $7 END, $8, nullif($9, ''), $10, CASE WHEN $9 <> '' THEN $8 ELSE 0 END)"
    " ON CONFLICT (user_id, chat_id) DO UPDATE SET"
    " archived = CASE WHEN $4 < 0 THEN m.archived ELSE excluded.archived END,"
    " pinned = CASE WHEN $5 < 0 THEN m.pinned ELSE excluded.pinned END,"
    " unread_after = CASE WHEN $6 < 0 THEN m.unread_after ELSE excluded.unread_after END,"
    " draft = CASE WHEN $9 IS NULL THEN m.draft ELSE excluded.draft END,"
    " draft_after = CASE WHEN $9 IS NULL THEN m.draft_after ELSE excluded.draft_after END,"
    " draft_src = CASE WHEN $9 IS NULL THEN m.draft_src ELSE excluded.draft_src END,"
    " src = excluded.src"
    " WHERE excluded.src > m.src";

static const char sql_about[] = "INSERT INTO view.profiles AS p (user_id, about, about_src)"
                                " VALUES ($1, $2, $3)"
                                " ON CONFLICT (user_id) DO UPDATE SET"
                                " about = excluded.about,"
                                " about_src = excluded.about_src"
                                " WHERE excluded.about_src > p.about_src";

static const char sql_picture[] =
    "INSERT INTO view.profiles AS p (user_id, picture_id, picture_src)"
    " VALUES ($1, nullif($2, '00000000-0000-0000-0000-000000000000'::uuid), $3)"
    " ON CONFLICT (user_id) DO UPDATE SET"
    " picture_id = excluded.picture_id,"
    " picture_src = excluded.picture_src"
    " WHERE excluded.picture_src > p.picture_src";

static const char sql_setting[] = "INSERT INTO view.settings AS s (user_id, setting, value, src)"
                                  " VALUES ($1, $2, $3, $4)"
                                  " ON CONFLICT (user_id, setting) DO UPDATE SET"
                                  " value = excluded.value,"
                                  " src = excluded.src"
                                  " WHERE excluded.src > s.src";

static const char sql_push[] =
    "INSERT INTO view.push_targets AS t"
    " (device_id, user_id, kind, token, app, environment, locale, privacy, registered_at,"
    " src_offset, claim, mode)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    " ON CONFLICT (device_id) DO UPDATE SET"
    " user_id = excluded.user_id,"
    " kind = excluded.kind,"
    " token = excluded.token,"
    " app = excluded.app,"
    " environment = excluded.environment,"
    " locale = excluded.locale,"
    " privacy = excluded.privacy,"
    " registered_at = excluded.registered_at,"
    " src_offset = excluded.src_offset,"
    " claim = excluded.claim,"
    " mode = excluded.mode"
    " WHERE excluded.src_offset >= t.src_offset";

static const char sql_push_gone[] = "DELETE FROM view.push_targets WHERE device_id = $1";

static void add_push(struct pg_params *params, const struct push_target *target)
{
    const struct push_address *address = &target->address;

    pg_add_uuid(params, target->device_id);
    pg_add_uuid(params, target->user_id);
    pg_add_i32(params, (int32_t)address->kind);
    pg_add_text(params, address->token);
    pg_add_text(params, address->app);
    pg_add_i32(params, (int32_t)address->environment);
    pg_add_text(params, address->locale);
    pg_add_i32(params, (int32_t)address->privacy);
    pg_add_i64(params, target->at_ms);
    pg_add_i64(params, seq_make(target->source.generation, target->source.offset));
    pg_add_i64(params, target->claim);
    pg_add_i32(params, (int32_t)address->mode);
}

static int32_t change_of(bool has, bool value)
{
    return has ? value : -1;
}

static void add_marks(struct pg_params *params, const struct row_op *op)
{
    const struct chat_marks_changed *marks = &op->marks;

    pg_add_uuid(params, op->user);
    pg_add_uuid(params, marks->chat_id);
    pg_add_i32(params, id_part(marks->chat_id));
    pg_add_i32(params, change_of(marks->has_archived, marks->archived));
    pg_add_i32(params, change_of(marks->has_pinned, marks->pinned));
    pg_add_i32(params, change_of(marks->has_marked_unread, marks->marked_unread));
    pg_add_i64(params, marks->read_seq);
    pg_add_i64(params, op->seq);
    if (marks->has_draft)
        pg_add_text(params, marks->draft);
    else
        pg_add_null(params, PG_TEXT);
    pg_add_i64(params, marks->draft_after);
    pg_add_i64(params, LIMIT_MARKS - 1);
    pg_add_i64(params, LIMIT_DRAFTS - 1);
}

static void add_block(struct pg_params *params, const struct row_op *op)
{
    pg_add_uuid(params, op->user);
    pg_add_uuid(params, op->chat);
    pg_add_i64(params, op->seq);
    pg_add_i64(params, op->at_ms);
}

/* Of a stay, or a link, of a group. */
static void add_stay(struct pg_params *params, const struct row_op *op)
{
    pg_add_i32(params, op->part);
    pg_add_uuid(params, op->chat);
    pg_add_uuid(params, op->user);
    pg_add_i64(params, op->seq);
}

static void add_request(struct pg_params *params, const struct row_op *op)
{
    add_stay(params, op);
    pg_add_uuid(params, op->peer);
    pg_add_uuid(params, op->by);
    pg_add_i64(params, op->at_ms);
    pg_add_i64(params, op->until_ms);
    pg_add_i64(params, (int64_t)LIMIT_REQUEST_DAYS * 24 * 60 * 60 * 1000);
}

static enum cq_status write_op(const struct row_op *op, struct pg *db, struct pg_params *params)
{
    const char *sql = NULL;

    pg_params_clear(params);
    switch (op->kind) {
    case OP_PUSH:
        add_push(params, op->push);
        sql = sql_push;
        break;
    case OP_PUSH_GONE:
        pg_add_uuid(params, op->user);
        sql = sql_push_gone;
        break;
    case OP_MUTE:
        pg_add_uuid(params, op->user);
        pg_add_uuid(params, op->chat);
        pg_add_i64(params, op->until_ms);
        pg_add_i64(params, op->seq);
        sql = sql_mute;
        break;
    case OP_ABOUT:
        pg_add_uuid(params, op->user);
        pg_add_text(params, op->about);
        pg_add_i64(params, op->seq);
        sql = sql_about;
        break;
    case OP_PICTURE:
        pg_add_uuid(params, op->user);
        pg_add_uuid(params, op->picture);
        pg_add_i64(params, op->seq);
        sql = sql_picture;
        break;
    case OP_SETTING:
        pg_add_uuid(params, op->user);
        pg_add_i32(params, op->setting);
        pg_add_i32(params, op->value);
        pg_add_i64(params, op->seq);
        sql = sql_setting;
        break;
    case OP_DEVICE_GONE:
        pg_add_uuid(params, op->user);
        pg_add_i64(params, op->seq);
        sql = sql_device_gone;
        break;
    case OP_RETURN:
        add_stay(params, op);
        sql = sql_return;
        break;
    case OP_INVITE_USED:
        add_stay(params, op);
        sql = sql_invite_used;
        break;
    case OP_INVITE_ENDED:
        add_stay(params, op);
        sql = sql_invite_ended;
        break;
    case OP_REQUEST:
        add_request(params, op);
        sql = sql_request;
        break;
    case OP_REQUEST_ENDED:
        add_stay(params, op);
        sql = sql_request_ended;
        break;
    case OP_BLOCK:
        add_block(params, op);
        pg_add_uuid(params, op->peer);
        sql = sql_block;
        break;
    case OP_UNBLOCK:
        add_block(params, op);
        sql = sql_unblock;
        break;
    case OP_MARKS:
        add_marks(params, op);
        sql = sql_marks;
        break;
    case OP_USER_GONE:
        pg_add_uuid(params, op->user);
        pg_add_i64(params, op->seq);
        sql = sql_user_gone;
        break;
    case OP_LEAVE: /* write_change() has these */
    case OP_ROLE:
    case OP_LET_IN:
        break;
    }
    CQ_ASSERT(sql, op->kind);
    return pg_run(db, sql, params, NULL);
}

/* Those of `kind` in ops[from, to), which are of one change of a group, in one statement: a change
 * may name everybody. */
static enum cq_status write_change(const struct rows *rows, size_t from, size_t to, int kind,
                                   struct pg *db, struct pg_params *params)
{
    struct cq_id users[ROWS_CHANGE_MAX];
    int32_t roles[ROWS_CHANGE_MAX];
    size_t n = 0;

    for (size_t i = from; i < to; i++)
        if ((int)rows->ops[i].kind == kind) {
            users[n] = rows->ops[i].user;
            roles[n++] = rows->ops[i].role;
        }
    if (!n)
        return CQ_OK;
    pg_params_clear(params);
    pg_add_i32(params, rows->ops[from].part);
    pg_add_uuid(params, rows->ops[from].chat);
    pg_add_i64(params, rows->ops[from].seq);
    pg_add_uuid_array(params, users, NULL, n);
    if (kind == OP_LEAVE) {
        pg_add_i64(params, rows->ops[from].at_ms);
        return pg_run(db, sql_leave, params, NULL);
    }
    if (kind == OP_LET_IN)
        return pg_run(db, sql_let_in, params, NULL);
    pg_add_i32_array(params, roles, n);
    return pg_run(db, sql_role, params, NULL);
}

static bool of_change(const struct row_op *op)
{
    return op->kind == OP_LEAVE || op->kind == OP_ROLE || op->kind == OP_LET_IN;
}

/* After all inserts: each names by its seq the stay it speaks of. */
static enum cq_status write_ops(const struct rows *rows, struct pg *db, struct pg_params *params)
{
    enum cq_status st = CQ_OK;

    for (size_t from = 0, to; st == CQ_OK && from < rows->ops_n; from = to) {
        const struct row_op *first = &rows->ops[from];

        to = from + 1;
        if (!of_change(first)) {
            st = write_op(first, db, params);
            continue;
        }
        while (to < rows->ops_n && to - from < ROWS_CHANGE_MAX && of_change(&rows->ops[to]) &&
               rows->ops[to].seq == first->seq && id_eq(rows->ops[to].chat, first->chat))
            to++;
        st = write_change(rows, from, to, OP_LEAVE, db, params);
        if (st == CQ_OK)
            st = write_change(rows, from, to, OP_LET_IN, db, params);
        if (st == CQ_OK)
            st = write_change(rows, from, to, OP_ROLE, db, params);
    }
    return st;
}

/* ---- rows ------------------------------------------------------------------------------ */

static const char *statement_of(const struct rows_table *table, bool repeated)
{
    if (repeated && table->sql == sql_messages)
        return sql_messages_repeated;
    if (repeated && table->sql == sql_tallies)
        return sql_tallies_repeated;
    return table->sql;
}

static enum cq_status write_table(const struct rows *rows, const struct rows_table *table,
                                  bool repeated, struct pg *db, struct pg_params *params)
{
    const char *sql = statement_of(table, repeated);
    size_t n;

    memcpy(&n, (const char *)rows + table->n_at, sizeof n);
    if (!n)
        return CQ_OK;
    pg_params_clear(params);
    pg_add_columns(params, table->columns, table->columns_n, (const char *)rows + table->rows_at,
                   table->row_bytes, n);
    return pg_run(db, sql, params, NULL);
}

enum cq_status rows_write(const struct rows *rows, struct pg *db, struct pg_params *params,
                          bool repeated)
{
    enum cq_status st = CQ_OK;

    for (size_t i = 0; st == CQ_OK && i < ROWS_TABLE_N; i++)
        st = write_table(rows, &rows_tables[i], repeated, db, params);
    if (st == CQ_OK)
        st = write_ops(rows, db, params);
    if (st == CQ_OK)
        st = stars_write(rows, db, params);
    if (st == CQ_OK)
        st = polls_write(rows, db, params);
    if (st == CQ_OK)
        st = changes_write(rows, db, params);
    if (st == CQ_OK)
        st = votes_write(rows, db, params);
    if (st == CQ_OK)
        st = pins_write(rows, db, params);
    if (st == CQ_OK)
        st = hidden_write(rows, db, params);
    return st == CQ_OK ? rejected_write(rows, db, params) : st;
}
