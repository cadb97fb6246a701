/* SPDX-License-Identifier: MIT */
#include "edge/auth/lookups.h"

enum { PARAMS_BYTES = 16 * 1024 };

static const char sql_lock[] = "SELECT pg_advisory_xact_lock(hashtextextended($1, 2))";

/* A shared chat is looked for by the other's chats, 200 of them at most, one person after the
 * other: a join of all at once would read every member of every group that the user is in. Somebody
 * whose shared chat is not among the 200 costs one lookup of the quota, and that is all. */
static const char sql_strangers[] =
    "SELECT t.id FROM (SELECT DISTINCT id FROM unnest($2::uuid[]) u(id)) t WHERE t.id <> $1 "
    "AND NOT EXISTS (SELECT 1 FROM auth.lookups k WHERE k.user_id = $1 AND k.target = t.id "
    "AND k.at > $3) AND (SELECT 1 FROM (SELECT part, chat_id FROM view.members "
    "WHERE user_id = t.id AND left_seq IS NULL LIMIT 200) b WHERE EXISTS (SELECT 1 "
    "FROM view.members a WHERE a.part = b.part AND a.chat_id = b.chat_id AND a.user_id = $1 "
    "AND a.left_seq IS NULL) LIMIT 1) IS NULL";

static const char sql_used[] = "SELECT count(*) FROM auth.lookups WHERE user_id = $1 AND at > $2";

/* The lookup that makes room when it expires. */
static const char sql_oldest[] =
    "SELECT at FROM auth.lookups WHERE user_id = $1 AND at > $2 ORDER BY at OFFSET $3 LIMIT 1";

static const char sql_note[] =
    "INSERT INTO auth.lookups (user_id, target, at) SELECT $1, id, $3 FROM unnest($2::uuid[]) "
    "u(id) ON CONFLICT (user_id, target) DO UPDATE SET at = excluded.at";

static enum cq_status find_strangers(struct pg *db, struct pg_params *params, struct cq_id user,
                                     const struct cq_id *ids, size_t n, int64_t now_ms,
                                     struct pg_result **ret)
{
    pg_params_clear(params);
    pg_add_uuid(params, user);
    pg_add_uuid_array(params, ids, NULL, n);
    pg_add_i64(params, now_ms - AUTH_DAY_MS);
    return pg_run(db, sql_strangers, params, ret);
}

static enum cq_status lock_user(struct pg *db, struct pg_params *params, struct cq_id user)
{
    pg_params_clear(params);
    pg_add_text(params, span_str(id_text(user).s));
    return pg_run(db, sql_lock, params, NULL);
}

/* Whether `more` of them fit into the user's day. */
static enum cq_status check_user(struct pg *db, struct pg_params *params,
                                 const struct auth_limits *limits, struct cq_id user, int64_t more,
                                 int64_t now_ms, int64_t *ret_wait_ms)
{
    cq_auto(pgresult) struct pg_result *used = NULL;
    cq_auto(pgresult) struct pg_result *oldest = NULL;
    int64_t over;
    enum cq_status st;

    pg_params_clear(params);
    pg_add_uuid(params, user);
    pg_add_i64(params, now_ms - AUTH_DAY_MS);
    st = pg_run(db, sql_used, params, &used);
    if (st != CQ_OK)
        return st;
    over = pg_i64(used, 0, 0) + more - limits->lookups_user_day;
    *ret_wait_ms = over > 0 ? AUTH_DAY_MS : 0;
    if (over <= 0 || more > limits->lookups_user_day)
        return CQ_OK;
    pg_add_i64(params, over - 1);
    st = pg_run(db, sql_oldest, params, &oldest);
    if (st == CQ_OK && pg_rows(oldest))
        *ret_wait_ms = pg_i64(oldest, 0, 0) + AUTH_DAY_MS - now_ms;
    return st;
}

static enum cq_status note(struct pg *db, struct pg_params *params, struct cq_id user,
                           const struct pg_result *strangers, int64_t now_ms)
{
    struct cq_id ids[LOOKUP_IDS_MAX];
    size_t n = (size_t)pg_rows(strangers);

    for (size_t i = 0; i < n; i++)
        ids[i] = pg_uuid(strangers, (int)i, 0);
    pg_params_clear(params);
    pg_add_uuid(params, user);
    pg_add_uuid_array(params, ids, NULL, n);
    pg_add_i64(params, now_ms);
    return pg_run(db, sql_note, params, NULL);
}

static enum cq_status charge(struct pg *db, struct pg_params *params,
                             const struct auth_limits *limits, struct cq_id user, struct cq_id from,
                             const struct cq_id *ids, size_t n, int64_t now_ms,
                             int64_t *ret_wait_ms)
{
    static const struct cq_id all;
    cq_auto(pgresult) struct pg_result *strangers = NULL;
    enum cq_status st = lock_user(db, params, user);
    int64_t more = 0;

    if (st == CQ_OK)
        st = find_strangers(db, params, user, ids, n, now_ms, &strangers);
    if (st == CQ_OK)
        more = pg_rows(strangers);
    if (st == CQ_OK && more)
        st = check_user(db, params, limits, user, more, now_ms, ret_wait_ms);
    if (st == CQ_OK && more && !*ret_wait_ms)
        st = budget_take(db, limits, BUDGET_LOOKUPS_ADDRESS, budget_key(limits, "address", from),
                         more, 0, now_ms, ret_wait_ms);
    if (st == CQ_OK && more && !*ret_wait_ms)
        st = budget_take(db, limits, BUDGET_LOOKUPS_ALL, all, more, 0, now_ms, ret_wait_ms);
    if (st == CQ_OK && more && !*ret_wait_ms)
        st = note(db, params, user, strangers, now_ms);
    return st;
}

enum cq_status lookup_charge(struct pg *db, const struct auth_limits *limits, struct cq_id user,
                             struct cq_id from, const struct cq_id *ids, size_t n, int64_t now_ms,
                             int64_t *ret_wait_ms)
{
    enum cq_status st = pg_script(db, "BEGIN");
    struct pg_params params;

    *ret_wait_ms = 0;
    if (st != CQ_OK)
        return st;
    pg_params_init(&params, PARAMS_BYTES);
    st = charge(db, &params, limits, user, from, ids, n, now_ms, ret_wait_ms);
    pg_params_release(&params);
    if (st != CQ_OK)
        return st; /* pg_ready() rolls back */
    return pg_script(db, *ret_wait_ms ? "ROLLBACK" : "COMMIT");
}
