/* SPDX-License-Identifier: MIT */
#include "sinks/status/store.h"

#include "lib/base/assert.h"

/* Stays that ended before the first record of the turn play no part in it. */
static const char sql_stays[] =
    "SELECT t.ord, m.user_id, m.joined_seq, m.left_seq, c.delivered, c.read, c.told"
    " FROM unnest($1::int4[], $2::uuid[], $3::int8[]) WITH ORDINALITY"
    " AS t(part, chat_id, since, ord)"
    " JOIN view.members m USING (part, chat_id)"
    " LEFT JOIN view.cursors c USING (part, chat_id, user_id)"
    " WHERE m.left_seq IS NULL OR m.left_seq > t.since"
    " ORDER BY t.ord, m.user_id, m.joined_seq";

static const char sql_cursors[] =
    "SELECT t.ord, c.user_id, c.delivered, c.read, c.told"
    " FROM unnest($1::int4[], $2::uuid[]) WITH ORDINALITY AS t(part, chat_id, ord)"
    " JOIN view.cursors c USING (part, chat_id)";

static const char sql_marks[] =
    "SELECT t.ord, k.kind, k.low, k.low_user, k.next"
    " FROM unnest($1::int4[], $2::uuid[]) WITH ORDINALITY AS t(part, chat_id, ord)"
    " JOIN view.marks k USING (part, chat_id)";

/* A stay that ended, and where the next one of its user begins. */
static const char sql_gaps[] =
    "SELECT t.ord, m.user_id, m.left_seq, (SELECT min(n.joined_seq) FROM view.members n"
    " WHERE n.part = t.part::int2 AND n.chat_id = t.chat_id AND n.user_id = m.user_id"
    " AND n.joined_seq >= m.left_seq)"
    " FROM unnest($1::int4[], $2::uuid[]) WITH ORDINALITY AS t(part, chat_id, ord)"
    " CROSS JOIN LATERAL (SELECT s.user_id, s.left_seq FROM view.members s"
    " WHERE s.part = t.part::int2 AND s.chat_id = t.chat_id AND s.left_seq IS NOT NULL OFFSET 0) m"
    " ORDER BY t.ord, m.user_id, m.left_seq";

static const char sql_save_cursors[] =
    "INSERT INTO view.cursors AS c (part, chat_id, user_id, delivered, read, told)"
    " SELECT * FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int8[], $5::int8[], $6::int8[])"
    " ON CONFLICT (part, chat_id, user_id) DO UPDATE SET"
    " delivered = GREATEST(c.delivered, excluded.delivered),"
    " read = GREATEST(c.read, excluded.read),"
    " told = excluded.told";

static const char sql_save_devices[] =
    "INSERT INTO view.device_cursors AS d (part, chat_id, device_id, delivered)"
    " SELECT part, chat_id, device_id, max(seq)"
    " FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int8[])"
    " AS n(part, chat_id, device_id, seq)"
    " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    " ON CONFLICT (part, chat_id, device_id) DO UPDATE SET delivered = excluded.delivered"
    " WHERE excluded.delivered > d.delivered";

static const char sql_save_receipts[] =
    "INSERT INTO view.receipts (part, chat_id, user_id, kind, seq, at_ms)"
    " SELECT * FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int4[], $5::int8[], $6::int8[])"
    " ON CONFLICT DO NOTHING";

static const char sql_save_advances[] =
    "INSERT INTO view.mark_advances (part, chat_id, kind, low, low_user, next, at_ms)"
    " SELECT * FROM unnest($1::int4[], $2::uuid[], $3::int4[], $4::int8[], $5::uuid[],"
    " $6::int8[], $7::int8[])"
    " ON CONFLICT DO NOTHING";

static const char sql_save_marks[] =
    "INSERT INTO view.marks"
    " (part, chat_id, kind, low, low_user, next, at_ms, src_part, src_next)"
    " SELECT * FROM unnest($1::int4[], $2::uuid[], $3::int4[], $4::int8[], $5::uuid[],"
    " $6::int8[], $7::int8[], $8::int4[], $9::int8[])"
    " ON CONFLICT (part, chat_id, kind) DO UPDATE SET"
    " low = excluded.low,"
    " low_user = excluded.low_user,"
    " next = excluded.next,"
    " at_ms = excluded.at_ms,"
    " src_part = excluded.src_part,"
    " src_next = excluded.src_next";

static const char sql_senders[] =
    "SELECT r.ord, m.sender_id, view.tells_reads(m.sender_id)"
    " FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int8[], $5::int8[]) WITH ORDINALITY"
    " AS r(part, chat_id, who, lo, hi, ord)"
    " CROSS JOIN LATERAL (SELECT s.sender_id FROM view.messages s"
    " WHERE s.part = r.part AND s.chat_id = r.chat_id AND s.seq > r.lo AND s.seq <= r.hi"
    " AND (r.who IS NULL OR s.sender_id = r.who)"
    " UNION SELECT s.sender_id FROM view.versions v JOIN view.messages s"
    " ON s.part = v.part AND s.chat_id = v.chat_id AND s.seq = v.target"
    " WHERE v.part = r.part AND v.chat_id = r.chat_id AND v.seq > r.lo AND v.seq <= r.hi"
    " AND (r.who IS NULL OR s.sender_id = r.who)) m";

/* ---- loading -------------------------------------------------------------------------- */

static const struct pg_column chat_columns[] = {
    PG_COLUMN(tick_chat, part, "part"),
    PG_COLUMN(tick_chat, id, "chat_id"),
};

/* The columns delivered, read and told from `col` on, which are null where there is no row. */
static void take_cursors(struct tick_user *user, const struct pg_result *rows, int i, int col)
{
    user->cursor[TICK_DELIVERED] = pg_null(rows, i, col) ? 0 : pg_i64(rows, i, col);
    user->own_read = pg_null(rows, i, col + 1) ? 0 : pg_i64(rows, i, col + 1);
    user->cursor[TICK_READ] = pg_null(rows, i, col + 2) ? user->own_read : pg_i64(rows, i, col + 2);
}

/* Rows [from, to) of sql_stays are one group, each user's stays one after the other. */
static bool fill_group(struct tick_chat *chat, const struct pg_result *rows, int from, int to,
                       struct cq_arena *arena)
{
    chat->users = ARENA_ARRAY(arena, struct tick_user, (size_t)(to - from));
    chat->stays = ARENA_ARRAY(arena, struct tick_stay, (size_t)(to - from));
    if (!chat->users || !chat->stays)
        return false;
    for (int i = from; i < to; i++) {
        struct cq_id user = pg_uuid(rows, i, 1);

        if (!chat->users_n || !id_eq(chat->users[chat->users_n - 1].id, user)) {
            chat->users[chat->users_n] = (struct tick_user){ .id = user };
            take_cursors(&chat->users[chat->users_n++], rows, i, 4);
        }
        chat->stays[chat->stays_n++] = (struct tick_stay){
            .user = chat->users_n - 1,
            .joined = pg_i64(rows, i, 2),
            .left = pg_null(rows, i, 3) ? INT64_MAX : pg_i64(rows, i, 3),
        };
    }
    return true;
}

struct group_row {
    int32_t part;
    struct cq_id chat;
    int64_t since;
};

static const struct pg_column group_columns[] = {
    PG_COLUMN(group_row, part, "part"),
    PG_COLUMN(group_row, chat, "chat_id"),
    PG_COLUMN(group_row, since, "since"),
};

static enum cq_status load_groups(struct ticks *ticks, struct pg *db, struct pg_params *params,
                                  struct cq_arena *arena)
{
    struct group_row groups[TICKS_GROUPS_MAX];
    size_t at[TICKS_GROUPS_MAX], n = 0;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st;

    for (size_t i = 0; i < ticks->chats_n; i++) {
        const struct tick_chat *chat = &ticks->chats[i];

        if (chat->direct)
            continue;
        groups[n] = (struct group_row){ chat->part, chat->id, chat->since };
        at[n++] = i;
    }
    if (!n)
        return CQ_OK;
    pg_params_clear(params);
    pg_add_columns(params, group_columns, ARRAY_LEN(group_columns), groups, sizeof *groups, n);
    st = pg_run(db, sql_stays, params, &rows);
    for (int from = 0, to; st == CQ_OK && from < pg_rows(rows); from = to) {
        int64_t ord = pg_i64(rows, from, 0);

        for (to = from; to < pg_rows(rows) && pg_i64(rows, to, 0) == ord; to++)
            ;
        if (!fill_group(&ticks->chats[at[ord - 1]], rows, from, to, arena))
            st = CQ_FATAL;
    }
    return st;
}

static enum cq_status load_direct_cursors(struct ticks *ticks, struct pg *db,
                                          struct pg_params *params)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_run(db, sql_cursors, params, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        struct tick_chat *chat = &ticks->chats[pg_i64(rows, i, 0) - 1];
        struct tick_user *user = chat->direct ? ticks_user(chat, pg_uuid(rows, i, 1)) : NULL;

        if (user)
            take_cursors(user, rows, i, 2);
    }
    return st;
}

static enum cq_status load_marks(struct ticks *ticks, struct pg *db, struct pg_params *params)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_run(db, sql_marks, params, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        int64_t kind = pg_i64(rows, i, 1);

        if (kind >= 0 && kind < TICK_KINDS)
            ticks->chats[pg_i64(rows, i, 0) - 1].mark[kind] =
                (struct tick_mark){ pg_i64(rows, i, 2), pg_uuid(rows, i, 3), pg_i64(rows, i, 4) };
    }
    return st;
}

enum cq_status store_load(struct ticks *ticks, struct pg *db, struct pg_params *params,
                          struct cq_arena *arena)
{
    enum cq_status st;

    if (!ticks->chats_n)
        return CQ_OK;
    st = load_groups(ticks, db, params, arena);
    pg_params_clear(params);
    pg_add_columns(params, chat_columns, ARRAY_LEN(chat_columns), ticks->chats,
                   sizeof *ticks->chats, ticks->chats_n);
    if (st == CQ_OK && ticks->groups_n < ticks->chats_n)
        st = load_direct_cursors(ticks, db, params);
    if (st == CQ_OK)
        st = load_marks(ticks, db, params);
    return st;
}

/* Rows [from, to) of sql_gaps are of one chat. */
static bool fill_gaps(struct tick_chat *chat, const struct pg_result *rows, int from, int to,
                      struct cq_arena *arena)
{
    struct tick_gap *gaps = ARENA_ARRAY(arena, struct tick_gap, (size_t)(to - from));

    for (int i = from; gaps && i < to; i++)
        gaps[i - from] = (struct tick_gap){
            pg_uuid(rows, i, 1),
            { pg_i64(rows, i, 2), pg_null(rows, i, 3) ? INT64_MAX : pg_i64(rows, i, 3) },
        };
    chat->gaps = gaps;
    chat->gaps_n = gaps ? (size_t)(to - from) : 0;
    return gaps != NULL;
}

enum cq_status store_gaps(struct ticks *ticks, struct pg *db, struct pg_params *params,
                          struct cq_arena *arena)
{
    struct group_row *asked = ARENA_ARRAY(arena, struct group_row, ticks->ranges_n);
    size_t *at = ARENA_ARRAY(arena, size_t, ticks->ranges_n), n = 0;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st;

    if (ticks->ranges_n && (!asked || !at))
        return CQ_FATAL;
    for (size_t i = 0; i < ticks->ranges_n; i++) { /* those of a chat stand side by side */
        size_t chat = ticks->ranges[i].chat;

        if (!ticks->chats[chat].direct || (n && at[n - 1] == chat))
            continue;
        asked[n] = (struct group_row){ ticks->chats[chat].part, ticks->chats[chat].id, 0 };
        at[n++] = chat;
    }
    if (!n)
        return CQ_OK;
    pg_params_clear(params);
    pg_add_columns(params, group_columns, ARRAY_LEN(group_columns) - 1, asked, sizeof *asked, n);
    st = pg_run(db, sql_gaps, params, &rows);
    for (int from = 0, to; st == CQ_OK && from < pg_rows(rows); from = to) {
        for (to = from + 1; to < pg_rows(rows) && pg_i64(rows, to, 0) == pg_i64(rows, from, 0);
             to++)
            ;
        if (!fill_gaps(&ticks->chats[at[pg_i64(rows, from, 0) - 1]], rows, from, to, arena))
            return CQ_FATAL;
    }
    return st;
}

/* ---- saving --------------------------------------------------------------------------- */

/* A row of view.cursors. */
struct cursor_row {
    int32_t part;
    struct cq_id chat, user;
    int64_t delivered, read, told;
    bool all_told; /* `told` is NULL */
};

/* A row of view.marks. */
struct mark_row {
    int32_t part;
    struct cq_id chat;
    int32_t kind;
    struct tick_mark mark;
    int64_t at_ms;
    int32_t source_partition;
    int64_t source_next;
};

static const struct pg_column cursor_columns[] = {
    PG_COLUMN(cursor_row, part, "part"),    PG_COLUMN(cursor_row, chat, "chat_id"),
    PG_COLUMN(cursor_row, user, "user_id"), PG_COLUMN(cursor_row, delivered, "delivered"),
    PG_COLUMN(cursor_row, read, "read"),    PG_COLUMN_OR_NULL(cursor_row, told, all_told, "told"),
};

static const struct pg_column device_columns[] = {
    PG_COLUMN(tick_device, part, "part"),
    PG_COLUMN(tick_device, chat, "chat_id"),
    PG_COLUMN(tick_device, device, "device_id"),
    PG_COLUMN(tick_device, seq, "seq"),
};

static const struct pg_column receipt_columns[] = {
    PG_COLUMN(tick_receipt, part, "part"),    PG_COLUMN(tick_receipt, chat, "chat_id"),
    PG_COLUMN(tick_receipt, user, "user_id"), PG_COLUMN(tick_receipt, kind, "kind"),
    PG_COLUMN(tick_receipt, seq, "seq"),      PG_COLUMN(tick_receipt, at_ms, "at_ms"),
};

static const struct pg_column advance_columns[] = {
    PG_COLUMN(tick_advance, part, "part"),
    PG_COLUMN(tick_advance, chat, "chat_id"),
    PG_COLUMN(tick_advance, kind, "kind"),
    PG_COLUMN(tick_advance, mark.low, "low"),
    PG_COLUMN(tick_advance, mark.low_user, "low_user"),
    PG_COLUMN(tick_advance, mark.next, "next"),
    PG_COLUMN(tick_advance, at_ms, "at_ms"),
};

static const struct pg_column mark_columns[] = {
    PG_COLUMN(mark_row, part, "part"),
    PG_COLUMN(mark_row, chat, "chat_id"),
    PG_COLUMN(mark_row, kind, "kind"),
    PG_COLUMN(mark_row, mark.low, "low"),
    PG_COLUMN(mark_row, mark.low_user, "low_user"),
    PG_COLUMN(mark_row, mark.next, "next"),
    PG_COLUMN(mark_row, at_ms, "at_ms"),
    PG_COLUMN(mark_row, source_partition, "src_part"),
    PG_COLUMN(mark_row, source_next, "src_next"),
};

/* Those that this turn moved; as many as there are records at most. */
static size_t gather_cursors(const struct ticks *ticks, struct cursor_row *rows)
{
    size_t n = 0;

    for (size_t i = 0; i < ticks->chats_n; i++)
        for (size_t user_at = 0; user_at < ticks->chats[i].users_n; user_at++) {
            const struct tick_chat *chat = &ticks->chats[i];
            const struct tick_user *user = &chat->users[user_at];

            if (!user->dirty)
                continue;
            CQ_ASSERT(n < ticks->recs_n, n);
            rows[n++] =
                (struct cursor_row){ .part = chat->part,
                                     .chat = chat->id,
                                     .user = user->id,
                                     .delivered = user->cursor[TICK_DELIVERED],
                                     .read = user->own_read,
                                     .told = user->cursor[TICK_READ],
                                     .all_told = user->cursor[TICK_READ] == user->own_read };
        }
    return n;
}

/* Those that this turn moved; as many as have an advance at most. */
static size_t gather_marks(const struct ticks *ticks, struct mark_row *rows)
{
    size_t n = 0;

    for (size_t i = 0; i < ticks->chats_n; i++)
        for (int32_t kind = 0; kind < TICK_KINDS; kind++) {
            const struct tick_chat *chat = &ticks->chats[i];

            if (!chat->moved[kind])
                continue;
            CQ_ASSERT(n < ticks->advances_n, n);
            rows[n++] = (struct mark_row){ .part = chat->part,
                                           .chat = chat->id,
                                           .kind = kind,
                                           .mark = chat->mark[kind],
                                           .at_ms = chat->at_ms[kind],
                                           .source_partition = chat->partition,
                                           .source_next = chat->offset[kind] + 1 };
        }
    return n;
}

#define SAVE(sql, columns, rows, n) \
    save(db, params, sql, columns, ARRAY_LEN(columns), rows, sizeof *(rows), n)

static enum cq_status save(struct pg *db, struct pg_params *params, const char *sql,
                           const struct pg_column *columns, size_t columns_n, const void *rows,
                           size_t row_bytes, size_t n)
{
    if (!n)
        return CQ_OK;
    pg_params_clear(params);
    pg_add_columns(params, columns, columns_n, rows, row_bytes, n);
    return pg_run(db, sql, params, NULL);
}

enum cq_status store_save(struct ticks *ticks, struct pg *db, struct pg_params *params,
                          struct cq_arena *arena)
{
    struct cursor_row *cursors = ARENA_ARRAY(arena, struct cursor_row, ticks->recs_n);
    struct mark_row *marks = ARENA_ARRAY(arena, struct mark_row, ticks->advances_n);
    enum cq_status st;

    if ((!cursors && ticks->recs_n) || (!marks && ticks->advances_n))
        return CQ_FATAL;
    st = SAVE(sql_save_cursors, cursor_columns, cursors, gather_cursors(ticks, cursors));
    if (st == CQ_OK)
        st = SAVE(sql_save_devices, device_columns, ticks->devices, ticks->devices_n);
    if (st == CQ_OK)
        st = SAVE(sql_save_receipts, receipt_columns, ticks->receipts, ticks->receipts_n);
    if (st == CQ_OK)
        st = SAVE(sql_save_advances, advance_columns, ticks->advances, ticks->advances_n);
    if (st == CQ_OK)
        st = SAVE(sql_save_marks, mark_columns, marks, gather_marks(ticks, marks));
    return st;
}

/* ---- senders -------------------------------------------------------------------------- */

struct range_row {
    int32_t part;
    struct cq_id chat, who;
    bool anybody; /* `who` is NULL */
    int64_t lo, hi;
};

static const struct pg_column range_columns[] = {
    PG_COLUMN(range_row, part, "part"),
    PG_COLUMN(range_row, chat, "chat_id"),
    PG_COLUMN_OR_NULL(range_row, who, anybody, "who"),
    PG_COLUMN(range_row, lo, "lo"),
    PG_COLUMN(range_row, hi, "hi"),
};

enum cq_status store_senders(const struct ticks *ticks, struct pg *db, struct pg_params *params,
                             struct cq_arena *arena, store_sender_fn *fn, void *arg)
{
    size_t n = ticks->ranges_n;
    struct range_row *ranges = ARENA_ARRAY(arena, struct range_row, n);
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st;

    if (!n)
        return CQ_OK;
    if (!ranges)
        return CQ_FATAL;
    for (size_t i = 0; i < n; i++) {
        const struct tick_range *range = &ticks->ranges[i];

        ranges[i] = (struct range_row){ .part = ticks->chats[range->chat].part,
                                        .chat = ticks->chats[range->chat].id,
                                        .who = range->who,
                                        .anybody = id_is_zero(range->who),
                                        .lo = range->lo,
                                        .hi = range->hi };
    }
    pg_params_clear(params);
    pg_add_columns(params, range_columns, ARRAY_LEN(range_columns), ranges, sizeof *ranges, n);
    st = pg_run(db, sql_senders, params, &rows);
    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++)
        st = fn(arg, &ticks->ranges[pg_i64(rows, i, 0) - 1],
                &(struct store_sender){ pg_uuid(rows, i, 1), pg_bool(rows, i, 2) });
    return st;
}
