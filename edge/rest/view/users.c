/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/users.h"

#include "schemas/names.h"

enum { PARAMS_BYTES = 128 * 1024, LOOKUP_KNOWN_MS = 24 * 3600 * 1000 };

static enum cq_status run_ids(struct pg *db, const char *sql, const struct cq_id *ids, size_t n,
                              struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid_array(&params, ids, NULL, n);
    return pg_run_once(db, sql, &params, ret);
}

enum cq_status view_count_users(struct pg *db, const struct cq_id *ids, size_t n, int64_t *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = run_ids(
        db, "SELECT count(*) FROM auth.accounts WHERE user_id = ANY($1) AND deleted_at IS NULL",
        ids, n, &rows);

    if (st == CQ_OK)
        *ret = pg_i64(rows, 0, 0);
    return st;
}

enum cq_status view_user_name(struct pg *db, struct cq_arena *arena, struct cq_id user,
                              struct cq_span *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = view_user_names(db, &user, 1, &rows);

    if (st != CQ_OK)
        return st;
    *ret = pg_rows(rows) ? arena_copy(arena, user_name_at(rows, 0).name) : span_str("");
    return CQ_OK;
}

enum cq_status view_user_names(struct pg *db, const struct cq_id *ids, size_t n,
                               struct pg_result **ret)
{
    return run_ids(db, "SELECT user_id, name FROM view.users WHERE user_id = ANY($1)", ids, n, ret);
}

/* ---- what he shows --------------------------------------------------------------------- */

/* By their numbers in view.settings. */
#define LAST_SEEN "0::int2"
#define PICTURE "1::int2"
#define ABOUT "2::int2"

/* In the order of user_profile_at(): of a user u and his profile p all that there is … */
#define OWN_COLUMNS                                                                                    \
    "u.user_id, u.name, coalesce(p.about, ''), view.picture_of(p.user_id), u.deleted_at IS NOT NULL, " \
    "view.audience(u.user_id, " LAST_SEEN "), view.audience(u.user_id, " PICTURE "), "                 \
    "view.audience(u.user_id, " ABOUT "), view.tells_reads(u.user_id)"

/* … or what he shows to $1; w has the direct chat of the two, and its part. Who blocks $1 shows him his
 * name and no more. */
#define SHOWN(setting) "NOT h.hides AND view.is_shown(w.id, " setting ", $1, w.chat, w.part::int2)"
#define SHOWN_COLUMNS                                                               \
    "u.user_id, u.name, CASE WHEN " SHOWN(                                          \
        ABOUT) " THEN coalesce(p.about, '') ELSE '' END, "                          \
               "CASE WHEN " SHOWN(PICTURE) " THEN view.picture_of(p.user_id) END, " \
                                           "u.deleted_at IS NOT NULL"

struct user_profile user_profile_at(const struct pg_result *rows, int i)
{
    return (struct user_profile){ .id = pg_uuid(rows, i, 0),
                                  .name = pg_bytes(rows, i, 1),
                                  .about = pg_bytes(rows, i, 2),
                                  .picture = pg_uuid(rows, i, 3),
                                  .is_deleted = pg_bool(rows, i, 4) };
}

static enum audience audience_at(const struct pg_result *rows, int col)
{
    int64_t value = pg_i64(rows, 0, col);

    return value >= 0 && value < AUDIENCE_N ? (enum audience)value : AUDIENCE_NOBODY;
}

enum cq_status view_own_profile(struct pg *db, struct cq_arena *arena, struct cq_id user,
                                struct user_profile *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = run_ids(db,
                                "SELECT " OWN_COLUMNS " FROM view.users u LEFT JOIN "
                                "view.profiles p USING (user_id) WHERE u.user_id = ANY($1)",
                                &user, 1, &rows);

    *ret = (struct user_profile){ .id = user,
                                  .privacy.last_seen = AUDIENCE_CONTACTS,
                                  .read_receipts = true };
    if (st != CQ_OK || !pg_rows(rows))
        return st;
    *ret = user_profile_at(rows, 0);
    ret->name = arena_copy(arena, ret->name);
    ret->about = arena_copy(arena, ret->about);
    ret->privacy = (struct user_privacy){ .last_seen = audience_at(rows, 5),
                                          .picture = audience_at(rows, 6),
                                          .about = audience_at(rows, 7) };
    ret->read_receipts = pg_bool(rows, 0, 8);
    return CQ_OK;
}

enum cq_status view_tells_reads(struct pg *db, struct cq_id user, bool *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st =
        run_ids(db, "SELECT bool_and(view.tells_reads(w.id)) FROM unnest($1::uuid[]) w(id)", &user,
                1, &rows);

    if (st == CQ_OK)
        *ret = pg_bool(rows, 0, 0);
    return st;
}

/* ---- who may know ---------------------------------------------------------------------- */

/* clang-format off */

/* Whether a stay of $1 and one of w.id were at the same time, of the first 1,000 stays of `whose` in
 * the order of an index: each is one look into another. */
#define TOGETHER(whose, others)                                                                   \
    "(SELECT 1 FROM (SELECT i.part, i.chat_id, i.joined_seq, i.left_seq FROM view.members i "     \
    "WHERE i.user_id = " whose " LIMIT 1000) t WHERE EXISTS (SELECT 1 FROM view.members o "       \
    "WHERE o.part = t.part AND o.chat_id = t.chat_id AND o.user_id = " others                     \
    " AND (t.left_seq IS NULL OR o.joined_seq < t.left_seq) "                                     \
    "AND (o.left_seq IS NULL OR t.joined_seq < o.left_seq)) LIMIT 1) IS NOT NULL"

/* Whether w.id, who blocks $1, shows himself to him in a chat other than that of the two. */
#define ELSEWHERE                                                                                 \
    "(SELECT 1 FROM (SELECT i.part, i.chat_id FROM view.members i WHERE i.user_id = w.id "        \
    "AND i.left_seq IS NULL AND i.chat_id <> w.chat LIMIT 1000) t WHERE EXISTS (SELECT 1 "        \
    "FROM view.members o WHERE o.part = t.part AND o.chat_id = t.chat_id AND o.user_id = $1 "     \
    "AND o.left_seq IS NULL) LIMIT 1) IS NOT NULL"

/* $1 asker; $2 users, $3 each one's direct chat with him, $4 its part; $5 lookups count from then on,
 * ms. The asker's stays are gone through only where the other's are more than are looked at. */
static const char sql_known[] =
    "SELECT " SHOWN_COLUMNS " FROM unnest($2::uuid[], $3::uuid[], $4::int4[]) w(id, chat, part) "
    "JOIN view.users u ON u.user_id = w.id LEFT JOIN view.profiles p ON p.user_id = w.id "
    "CROSS JOIN LATERAL (SELECT EXISTS (SELECT 1 FROM view.blocks b WHERE b.user_id = w.id "
    "AND b.chat_id = w.chat AND b.blocked) AND NOT (" ELSEWHERE ") AS hides) h "
    "WHERE w.id = $1 "
    "OR EXISTS (SELECT 1 FROM view.members d WHERE d.part = w.part::int2 AND d.chat_id = w.chat "
    "AND d.user_id = $1) "
    "OR EXISTS (SELECT 1 FROM auth.direct_chats c WHERE c.chat_id = w.chat AND c.opened_by = $1) "
    "OR EXISTS (SELECT 1 FROM auth.lookups k WHERE k.user_id = $1 AND k.target = w.id "
    "AND k.at > $5) OR " TOGETHER("w.id", "$1")
    " OR ((SELECT count(*) FROM (SELECT 1 FROM view.members n WHERE n.user_id = w.id LIMIT 1000) m) "
    "= 1000 AND " TOGETHER("$1", "w.id") ")";

/* clang-format on */

enum cq_status view_users_known(struct pg *db, struct cq_arena *arena, struct cq_id asker,
                                const struct cq_id *ids, size_t n, int64_t now_ms,
                                struct pg_result **ret)
{
    struct cq_id *chats = ARENA_ARRAY(arena, struct cq_id, n);
    int32_t *parts = ARENA_ARRAY(arena, int32_t, n);
    struct pg_params params;

    if (!chats || !parts)
        return CQ_AGAIN;
    for (size_t i = 0; i < n; i++) {
        chats[i] = chat_id_direct(asker, ids[i]);
        parts[i] = id_part(chats[i]);
    }
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, asker);
    pg_add_uuid_array(&params, ids, NULL, n);
    pg_add_uuid_array(&params, chats, NULL, n);
    pg_add_i32_array(&params, parts, n);
    pg_add_i64(&params, now_ms - LOOKUP_KNOWN_MS);
    return pg_run_once(db, sql_known, &params, ret);
}

struct user_name user_name_at(const struct pg_result *rows, int i)
{
    return (struct user_name){ pg_uuid(rows, i, 0), pg_bytes(rows, i, 1) };
}
