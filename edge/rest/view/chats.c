/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/chats.c - chats as one user sees them: one, a page of the list, a page of a sync.
 *
 * A user's stays (view.members by user) name the parts of his chats; everything else is asked by
 * part and chat. A statement first picks the chats of a page by what is cheap (stays, and one row
 * of an index), then reads the rest for those alone. A user who left a group sees it as it was
 * then, without later names, ticks and messages.
 */
#include "edge/rest/view/chats.h"

enum { PARAMS_BYTES = 64 * 1024 };

/* ---- who is in it --------------------------------------------------------------------- */

static const char sql_chat[] =
    "SELECT c.kind, m.role, m.left_seq IS NULL, CASE WHEN c.kind = 0 THEN coalesce("
    "(SELECT p.user_id FROM view.members p WHERE p.part = c.part AND p.chat_id = c.chat_id "
    "AND p.user_id <> $1 LIMIT 1), (SELECT b.peer_id FROM view.blocks b WHERE b.user_id = $1 "
    "AND b.chat_id = c.chat_id)) END "
    "FROM view.chats c JOIN view.members m USING (part, chat_id) WHERE c.part = $3 AND "
    "c.chat_id = $2 AND m.user_id = $1 ORDER BY m.joined_seq DESC LIMIT 1";

static const char sql_unopened[] =
    "SELECT CASE WHEN user_a = $1 THEN user_b ELSE user_a END FROM auth.direct_chats "
    "WHERE chat_id = $2 AND $1 IN (user_a, user_b)";

/* $1 user, $2 chat, $3 its part */
static enum cq_status run_chat(struct pg *db, const char *sql, struct cq_id user, struct cq_id chat,
                               struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, 256);
    pg_add_uuid(&params, user);
    pg_add_uuid(&params, chat);
    pg_add_i32(&params, id_part(chat));
    return pg_run_once(db, sql, &params, ret);
}

static enum cq_status run_unopened(struct pg *db, struct cq_id user, struct cq_id chat,
                                   struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, 256);
    pg_add_uuid(&params, user);
    pg_add_uuid(&params, chat);
    return pg_run_once(db, sql_unopened, &params, ret);
}

enum cq_status view_chat(struct pg *db, struct cq_id chat, struct cq_id user, struct chat_view *ret,
                         bool *ret_there)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    cq_auto(pgresult) struct pg_result *opened = NULL;
    enum cq_status st = run_chat(db, sql_chat, user, chat, &rows);

    *ret = (struct chat_view){ .id = chat };
    *ret_there = false;
    if (st != CQ_OK)
        return st;
    if (pg_rows(rows)) {
        *ret_there = ret->has_row = true;
        ret->is_group = pg_i64(rows, 0, 0) == 1;
        ret->role = pg_i64(rows, 0, 1);
        ret->present = pg_bool(rows, 0, 2);
        ret->blocked = !ret->is_group && !ret->present;
        ret->peer = pg_uuid(rows, 0, 3);
        return CQ_OK;
    }
    st = run_unopened(db, user, chat, &opened);
    if (st == CQ_OK && pg_rows(opened)) {
        *ret_there = ret->present = true;
        ret->peer = pg_uuid(opened, 0, 0);
    }
    return st;
}

static const char sql_open[] = "INSERT INTO auth.direct_chats (chat_id, user_a, user_b, opened_by, "
                               "created_at) VALUES ($1, $2, $3, $2, $4) "
                               "ON CONFLICT DO NOTHING";

enum cq_status view_pair_opened(struct pg *db, struct cq_id chat, struct cq_id user,
                                struct cq_id peer, int64_t at_ms)
{
    struct pg_params params;

    pg_params_init(&params, 256);
    pg_add_uuid(&params, chat);
    pg_add_uuid(&params, user);
    pg_add_uuid(&params, peer);
    pg_add_i64(&params, at_ms);
    return pg_run_once(db, sql_open, &params, NULL);
}

/* ---- what became of a write ----------------------------------------------------------- */

enum cq_status view_rejection(struct pg *db, struct cq_arena *arena, int32_t partition,
                              int64_t offset, struct cq_span *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    *ret = span_of(NULL, 0);
    pg_params_init(&params, 256);
    pg_add_i32(&params, partition);
    pg_add_i64(&params, offset);
    st = pg_run_once(db,
                     "SELECT code FROM view.rejected WHERE src_partition = $1 AND src_offset = $2",
                     &params, &rows);
    if (st == CQ_OK && pg_rows(rows))
        *ret = arena_copy(arena, pg_bytes(rows, 0, 0));
    return st;
}

/* -1 and -2 are SHOWN_ABSENT and SHOWN_PRESENT. */
static const char sql_not_shown[] =
    "SELECT 1 FROM unnest($2::uuid[], $3::int8[]) w(user_id, shown) "
    "LEFT JOIN view.members m ON m.part = $4 AND m.chat_id = $1 AND m.user_id = w.user_id "
    "AND m.left_seq IS NULL "
    "WHERE CASE w.shown WHEN -1 THEN m.user_id IS NOT NULL WHEN -2 THEN m.user_id IS NULL "
    "ELSE m.role IS DISTINCT FROM w.shown END "
    "AND NOT EXISTS (SELECT 1 FROM view.members o WHERE o.part = $4 AND o.chat_id = $1 "
    "AND o.user_id = w.user_id AND (o.joined_seq >= $5 OR o.left_seq >= $5)) LIMIT 1";

enum cq_status view_members_shown(struct pg *db, struct cq_id chat, const struct cq_id *users,
                                  const int64_t *shown, size_t n, int64_t seq, bool *ret)
{
    struct pg_params params;
    bool is_missed = true;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, chat);
    pg_add_uuid_array(&params, users, NULL, n);
    pg_add_i64_array(&params, shown, n);
    pg_add_i32(&params, id_part(chat));
    pg_add_i64(&params, seq);
    st = pg_found(db, sql_not_shown, &params, &is_missed);
    *ret = !is_missed;
    return st;
}

/* `sql`: $1 chat, $2 a number, $3 the chat's part */
static enum cq_status found_in_chat(struct pg *db, const char *sql, struct cq_id chat,
                                    int64_t number, bool *ret)
{
    struct pg_params params;

    pg_params_init(&params, 256);
    pg_add_uuid(&params, chat);
    pg_add_i64(&params, number);
    pg_add_i32(&params, id_part(chat));
    return pg_found(db, sql, &params, ret);
}

enum cq_status view_name_given(struct pg *db, struct cq_id chat, int64_t seq, bool *ret)
{
    return found_in_chat(
        db, "SELECT 1 FROM view.chat_names WHERE part = $3 AND chat_id = $1 AND seq = $2", chat,
        seq, ret);
}

/* A direct chat that nobody wrote in has no row, and no timer. */
enum cq_status view_timer_shown(struct pg *db, struct cq_id chat, int64_t seconds, bool *ret)
{
    return found_in_chat(db,
                         "SELECT 1 WHERE coalesce((SELECT timer_s FROM view.chats WHERE part = $3 "
                         "AND chat_id = $1), 0) = $2",
                         chat, seconds, ret);
}

enum cq_status view_timer_set(struct pg *db, struct cq_id chat, int64_t seq, bool *ret)
{
    return found_in_chat(
        db, "SELECT 1 FROM view.chats WHERE part = $3 AND chat_id = $1 AND timer_seq >= $2", chat,
        seq, ret);
}

enum cq_status view_description_set(struct pg *db, struct cq_id chat, int64_t seq, bool *ret)
{
    return found_in_chat(
        db, "SELECT 1 FROM view.chats WHERE part = $3 AND chat_id = $1 AND description_seq >= $2",
        chat, seq, ret);
}

enum cq_status view_picture_set(struct pg *db, struct cq_id chat, int64_t seq, bool *ret)
{
    return found_in_chat(
        db, "SELECT 1 FROM view.chats WHERE part = $3 AND chat_id = $1 AND picture_seq >= $2", chat,
        seq, ret);
}

enum cq_status view_rights_set(struct pg *db, struct cq_id chat, int64_t seq, bool *ret)
{
    return found_in_chat(
        db, "SELECT 1 FROM view.chats WHERE part = $3 AND chat_id = $1 AND rights_seq >= $2", chat,
        seq, ret);
}

/* ---- rows ----------------------------------------------------------------------------- */

/* clang-format off */

/* The caller's last stay in each chat. $1 user */
#define STAYS(where)                                                                            \
    "mine AS (SELECT DISTINCT ON (i.part, i.chat_id) i.part, i.chat_id, i.role, i.joined_seq, " \
    "i.left_seq, i.left_at, i.hidden_seq FROM view.members i WHERE i.user_id = $1 " where                     \
    " ORDER BY i.part, i.chat_id, i.joined_seq DESC)"

#define OF_CHAT(t) " " t ".part = c.part AND " t ".chat_id = c.chat_id "

/* What all others have (0), have read (1). For those who left, the state of then. Only 200 advances
 * are read; if a member was later than that, the tick shows less. */
#define SEEN(t) "CASE WHEN " t ".low_user = $1 THEN " t ".next ELSE " t ".low END"
#define TICK(kind)                                                                              \
    "coalesce(CASE WHEN p.left_seq IS NULL THEN (SELECT " SEEN("k") " FROM view.marks k WHERE"  \
    OF_CHAT("k") "AND k.kind = " kind ") ELSE (SELECT max(" SEEN("a") ") FROM "                 \
    "(SELECT * FROM view.mark_advances h WHERE" OF_CHAT("h") "AND h.kind = " kind               \
    " AND h.low < p.left_seq ORDER BY h.low DESC LIMIT 200) a WHERE a.at_ms <= p.left_at) "     \
    "END, 0)"

/* Behind the reader's place; `mentions`: of these, those that mention him. */
#define UNREAD(mentions)                                                                        \
    "view.unread_behind(c.part, c.chat_id, $1, " mentions ", coalesce(cur.read, 0), c.kind, "   \
    "p.joined_seq, p.left_seq)"

/* Of the last message that the reader may read: of the stay t, which is the last one, or of those before. */
#define NOT_HIDDEN(stay)                                                                        \
    "AND (" stay ".hidden_seq = 0 OR NOT EXISTS (SELECT 1 FROM view.hidden z "                  \
    "WHERE z.part = y.part AND z.chat_id = y.chat_id AND z.user_id = $1 AND z.target = y.seq)) "
#define LAST(t, what)                                                                           \
    "coalesce((SELECT y." what " FROM view.messages y WHERE y.part = " t ".part "               \
    "AND y.chat_id = " t ".chat_id AND y.seq > " t ".joined_seq "                               \
    "AND (" t ".left_seq IS NULL OR y.seq < " t ".left_seq) " NOT_HIDDEN(t)                     \
    "ORDER BY y.seq DESC LIMIT 1), "                                                            \
    "(SELECT x." what " FROM view.members s CROSS JOIN LATERAL (SELECT y." what                 \
    " FROM view.messages y WHERE y.part = " t ".part AND y.chat_id = " t ".chat_id "            \
    "AND y.seq > s.joined_seq AND y.seq < s.left_seq " NOT_HIDDEN("s")                          \
    "ORDER BY y.seq DESC LIMIT 1) x "                                                           \
    "WHERE s.part = " t ".part AND s.chat_id = " t ".chat_id AND s.user_id = $1 "               \
    "AND s.joined_seq < " t ".joined_seq ORDER BY s.joined_seq DESC LIMIT 1))"

#define CHAT_SQL_(kind, name, member, sql) ", " sql

/* The details of the chats that were picked. `at` is the place in the page. */
#define DETAILS                                                                                 \
    " SELECT c.chat_id, c.kind, "                                                               \
    "CASE WHEN c.kind = 0 THEN coalesce(u.name, '') WHEN p.left_seq IS NULL THEN c.name "       \
    "ELSE coalesce((SELECT n.name FROM view.chat_names n WHERE" OF_CHAT("n")                    \
    "AND n.seq < p.left_seq ORDER BY n.seq DESC LIMIT 1), '') END, "                            \
    "peer.user_id, p.role, p.left_seq IS NULL, coalesce(cur.delivered, 0), "                    \
    "coalesce(cur.read, 0), "                                                                   \
    "coalesce((SELECT q.until_ms FROM view.mutes q WHERE q.user_id = $1 "                       \
    "AND q.chat_id = c.chat_id), 0), CASE WHEN p.left_seq IS NULL THEN c.timer_s ELSE 0 END, "   \
    "c.part, p.at" CHAT_COLUMNS(CHAT_SQL_) ", m.* "             \
    "FROM picked p JOIN view.chats c USING (part, chat_id) "                                    \
    "LEFT JOIN LATERAL (SELECT coalesce((SELECT o.user_id FROM view.members o WHERE"            \
    OF_CHAT("o") "AND o.user_id <> $1 LIMIT 1), (SELECT b.peer_id FROM view.blocks b "          \
    "WHERE b.user_id = $1 AND b.chat_id = c.chat_id)) AS user_id) peer ON c.kind = 0 "          \
    "LEFT JOIN view.users u ON u.user_id = peer.user_id "                                       \
    "LEFT JOIN view.cursors cur ON" OF_CHAT("cur") "AND cur.user_id = $1 "                      \
    "LEFT JOIN LATERAL (SELECT " VIEW_MESSAGE_COLUMNS("$1") " FROM (SELECT " LAST("p", "seq")         \
    " AS seq) l "                                                                               \
    "CROSS JOIN LATERAL view.message_for(c.part, c.chat_id, l.seq, $1) m " VIEW_MESSAGE_TICKED ") m ON true "

static const char sql_one[] =
    "WITH " STAYS("AND i.part = $3 AND i.chat_id = $2")
    ", picked AS (SELECT *, 0::int8 AS at FROM mine)" DETAILS;

/* $2 how many; behind ($3 time, $4 chat), from the latest on; null: from the beginning */
static const char sql_latest[] =
    "WITH " STAYS("") ", keyed AS (SELECT mine.*, coalesce(" LAST("mine", "sent_at")
    ", k.created_at) AS at FROM mine CROSS JOIN LATERAL (SELECT n.created_at FROM view.chats n "
    "WHERE n.part = mine.part AND n.chat_id = mine.chat_id OFFSET 0) k), picked AS (SELECT * "
    "FROM keyed WHERE $3::int8 IS NULL OR at < $3 "
    "OR (at = $3 AND chat_id > $4) ORDER BY at DESC, chat_id LIMIT $2)" DETAILS
    "ORDER BY p.at DESC, c.chat_id";

/* The chats whose pins count, the last pinned first. */
static const char sql_pinned[] =
    "WITH pins AS MATERIALIZED (SELECT * FROM view.pins($1)), "
    STAYS("AND (i.part, i.chat_id) IN (SELECT part, chat_id FROM pins)")
    ", picked AS (SELECT mine.*, pins.pinned AS at FROM mine JOIN pins USING (part, chat_id))" DETAILS
    "ORDER BY p.at DESC";

/* $2 how many; $3 lowest seqs, one a partition. For those who left the last change is the end. Who
 * comes back to a direct chat, or hides a message, changes it for nobody else; who asks to be let in, for those who may add. */
#define CHANGED                                                                                 \
    "greatest(coalesce(mine.left_seq, greatest(k.changed_seq, mine.joined_seq)), mine.hidden_seq, "  \
    "CASE WHEN mine.left_seq IS NULL AND (mine.role <> 0 OR k.add_by = 0) THEN k.requested_seq END)"
static const char sql_changed[] =
    "WITH " STAYS("") ", picked AS (SELECT mine.*, " CHANGED " AS at, "
    VIEW_PARTITION("k", "$3") " AS partition FROM mine JOIN view.chats k USING (part, chat_id) "
    "WHERE " CHANGED " >= "
    "($3::int8[])[" VIEW_PARTITION("k", "$3") " + 1] "
    "ORDER BY partition, at LIMIT $2)" DETAILS "ORDER BY p.partition, p.at";

/* clang-format on */

#define COL_(kind, name, member, sql) COL_OF_##member,
enum { COL_MUTED = 8, COL_TIMER, COL_PART, COL_AT, CHAT_COLUMNS(COL_) COL_MESSAGE };

#define READ_NUMBER_ pg_i64
#define READ_JSON_ pg_bytes
#define READ_(kind, name, member, sql) row.member = READ_##kind##_(rows, i, COL_OF_##member);

struct chat_row chat_at(const struct pg_result *rows, int i)
{
    struct chat_row row = {
        .id = pg_uuid(rows, i, 0),
        .is_group = pg_i64(rows, i, 1) == 1,
        .name = pg_bytes(rows, i, 2),
        .peer = pg_uuid(rows, i, 3),
        .role = (enum member_role)pg_i64(rows, i, 4),
        .present = pg_bool(rows, i, 5),
        .my_delivered = pg_i64(rows, i, 6),
        .my_read = pg_i64(rows, i, 7),
        .muted_until_ms = pg_i64(rows, i, COL_MUTED),
        .timer_s = pg_i64(rows, i, COL_TIMER),
        .part = (int32_t)pg_i64(rows, i, COL_PART),
        .at = pg_i64(rows, i, COL_AT),
        .has_message = !pg_null(rows, i, COL_MESSAGE),
    };

    CHAT_COLUMNS(READ_)
    if (row.has_message)
        row.message = message_at(rows, i, COL_MESSAGE);
    return row;
}

enum cq_status view_chat_row(struct pg *db, struct cq_id user, struct cq_id chat,
                             struct pg_result **ret)
{
    return run_chat(db, sql_one, user, chat, ret);
}

static const char sql_members[] =
    "SELECT m.user_id, coalesce(u.name, ''), m.role, m.invited_by FROM view.chats c "
    "JOIN view.members m USING (part, chat_id) LEFT JOIN view.users u USING (user_id) "
    "WHERE c.part = $2 AND c.chat_id = $1 AND CASE WHEN c.kind = 1 THEN m.left_seq IS NULL "
    "ELSE m.joined_seq = 0 END ORDER BY m.joined_seq, m.user_id";

enum cq_status view_chat_members(struct pg *db, struct cq_id chat, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, 256);
    pg_add_uuid(&params, chat);
    pg_add_i32(&params, id_part(chat));
    return pg_run_once(db, sql_members, &params, ret);
}

struct member_row member_at(const struct pg_result *rows, int i)
{
    return (struct member_row){ pg_uuid(rows, i, 0), pg_bytes(rows, i, 1),
                                (enum member_role)pg_i64(rows, i, 2), pg_uuid(rows, i, 3) };
}

/* ---- the list ------------------------------------------------------------------------- */

static enum cq_status run_list(struct pg *db, const char *sql, struct cq_id user, int64_t limit,
                               const struct chat_place *behind, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, 256);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, limit);
    if (behind) {
        pg_add_i64(&params, behind->at);
        pg_add_uuid(&params, behind->chat);
    } else {
        pg_add_null(&params, PG_I64);
        pg_add_null(&params, PG_UUID);
    }
    return pg_run_once(db, sql, &params, ret);
}

enum cq_status view_chats_latest(struct pg *db, struct cq_id user, int64_t limit,
                                 const struct chat_place *behind, struct pg_result **ret)
{
    return run_list(db, sql_latest, user, limit, behind, ret);
}

enum cq_status view_chats_pinned(struct pg *db, struct cq_id user, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, 256);
    pg_add_uuid(&params, user);
    return pg_run_once(db, sql_pinned, &params, ret);
}

/* clang-format off */

/* $1 user, $2 how many; behind ($3 time, $4 chat); null: from the beginning. Who has written in a
 * chat, or was written to, has a stay in it. */
static const char sql_opened[] =
    "SELECT d.chat_id, CASE WHEN d.user_a = $1 THEN d.user_b ELSE d.user_a END, "
    "coalesce(u.name, ''), d.created_at, " VIEW_MARKS("$1", "d.chat_id")
    " FROM auth.direct_chats d LEFT JOIN view.users u "
    "ON u.user_id = CASE WHEN d.user_a = $1 THEN d.user_b ELSE d.user_a END "
    "WHERE d.opened_by = $1 AND NOT EXISTS (SELECT 1 FROM view.members i WHERE i.user_id = $1 "
    "AND i.chat_id = d.chat_id) "
    "AND ($3::int8 IS NULL OR d.created_at < $3 OR (d.created_at = $3 AND d.chat_id > $4)) "
    "ORDER BY d.created_at DESC, d.chat_id LIMIT $2";

/* clang-format on */

enum cq_status view_chats_opened(struct pg *db, struct cq_id user, int64_t limit,
                                 const struct chat_place *behind, struct pg_result **ret)
{
    return run_list(db, sql_opened, user, limit, behind, ret);
}

struct opened_row opened_at(const struct pg_result *rows, int i)
{
    return (struct opened_row){ pg_uuid(rows, i, 0), pg_uuid(rows, i, 1), pg_bytes(rows, i, 2),
                                pg_i64(rows, i, 3), pg_bytes(rows, i, 4) };
}

/* ---- what changed --------------------------------------------------------------------- */

enum cq_status view_chats_changed(struct pg *db, struct cq_id user, const int64_t *lows, int32_t n,
                                  int64_t limit, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, limit);
    pg_add_i64_array(&params, lows, (size_t)n);
    return pg_run_once(db, sql_changed, &params, ret);
}
