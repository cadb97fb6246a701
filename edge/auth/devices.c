/* SPDX-License-Identifier: MIT */
#include "edge/auth/devices.h"

#include "lib/base/hash.h"

enum { PARAMS_BYTES = 1024 };

static const char sql_device[] = "INSERT INTO auth.devices (device_id, user_id, created_at) "
                                 "VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

static const char sql_lock[] = "SELECT pg_advisory_xact_lock(hashtextextended($1, 1))";

/* The new one stays, whatever the clocks of two edges say. */
static const char sql_evict[] =
    "WITH over AS (SELECT device_id FROM auth.devices WHERE user_id = $1 AND revoked_at IS NULL "
    "ORDER BY device_id = $2 DESC, created_at DESC OFFSET $4), gone AS (UPDATE auth.refresh_tokens "
    "SET used_at = coalesce(used_at, $3) WHERE device_id IN (SELECT device_id FROM over)), "
    "exports AS (UPDATE auth.archives SET ends_at = least(ends_at, $3) WHERE device_id IN (SELECT "
    "device_id FROM over)) UPDATE auth.devices SET revoked_at = $3 WHERE device_id IN (SELECT device_id FROM over)";

static const char sql_over[] =
    "SELECT device_id FROM auth.devices WHERE user_id = $1 AND revoked_at IS NULL "
    "ORDER BY created_at DESC OFFSET $2 LIMIT $3";

static const char sql_own[] =
    "SELECT 1 FROM auth.devices WHERE device_id = $1 AND user_id = $2 AND revoked_at IS NULL";

/* Until the end of the transaction nobody ends it. */
static const char sql_hold[] = "SELECT 1 FROM auth.devices WHERE device_id = $1 AND user_id = $2 "
                               "AND revoked_at IS NULL FOR SHARE";

/* The same for the account: it is not deleted meanwhile. */
static const char sql_account[] =
    "SELECT deleted_at IS NULL FROM auth.accounts WHERE user_id = $1 FOR SHARE";

static const char sql_list[] =
    "SELECT d.device_id, coalesce(v.platform, ''), coalesce(v.label, ''), d.created_at, coalesce("
    "(SELECT max(t.created_at) FROM auth.refresh_tokens t WHERE t.device_id = d.device_id), "
    "d.created_at) FROM auth.devices d LEFT JOIN view.devices v USING (device_id) WHERE d.user_id "
    "= $1 AND d.revoked_at IS NULL ORDER BY d.created_at DESC LIMIT $2";

static const char sql_others[] =
    "SELECT device_id FROM auth.devices WHERE user_id = $1 AND device_id <> $2 AND revoked_at IS "
    "NULL ORDER BY created_at DESC LIMIT $3";

static const char sql_revoke[] =
    "WITH gone AS (UPDATE auth.refresh_tokens SET used_at = coalesce(used_at, $2) WHERE device_id "
    "= $1), "
    "exports AS (UPDATE auth.archives SET ends_at = least(ends_at, $2) WHERE device_id = $1) "
    "UPDATE auth.devices SET revoked_at = coalesce(revoked_at, $2) WHERE device_id = $1";

static const char sql_live[] = "SELECT EXISTS (SELECT 1 FROM auth.closed), EXISTS (SELECT 1 "
                               "FROM auth.devices WHERE device_id = $1 AND revoked_at IS NULL)";

static const char sql_refresh[] =
    "INSERT INTO auth.refresh_tokens (token_hash, device_id, user_id, created_at, expires_at) "
    "VALUES ($1, $2, $3, $4, $5)";

static const char sql_use[] = "UPDATE auth.refresh_tokens t SET used_at = $2 FROM auth.devices d "
                              "WHERE t.token_hash = $1 AND t.used_at IS NULL AND t.expires_at > $2 "
                              "AND d.device_id = t.device_id AND d.revoked_at IS NULL "
                              "RETURNING t.device_id, t.user_id";

static const char sql_owner[] =
    "SELECT device_id, user_id FROM auth.refresh_tokens WHERE token_hash = $1";

static const char sql_used[] = "SELECT device_id, user_id FROM auth.refresh_tokens "
                               "WHERE token_hash = $1 AND used_at IS NOT NULL";

static enum cq_status insert_device(struct pg *db, struct pg_params *params, struct cq_id device,
                                    struct cq_id user, int64_t now_ms)
{
    enum cq_status st;

    pg_params_clear(params);
    pg_add_text(params, span_str(id_text(user).s));
    st = pg_run(db, sql_lock, params,
                NULL); /* two log-ins at once evict two devices, not one twice */
    if (st != CQ_OK)
        return st;
    pg_params_clear(params);
    pg_add_uuid(params, device);
    pg_add_uuid(params, user);
    pg_add_i64(params, now_ms);
    return pg_run(db, sql_device, params, NULL);
}

static enum cq_status evict_devices(struct pg *db, struct pg_params *params, struct cq_id device,
                                    struct cq_id user, int64_t now_ms)
{
    pg_params_clear(params);
    pg_add_uuid(params, user);
    pg_add_uuid(params, device);
    pg_add_i64(params, now_ms);
    pg_add_i64(params, LIMIT_USER_DEVICES);
    return pg_run(db, sql_evict, params, NULL);
}

enum cq_status devices_over(struct pg *db, struct cq_id user,
                            struct cq_id ret_over[DEVICES_EVICTED_MAX], size_t *ret_over_n)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, LIMIT_USER_DEVICES - 1);
    pg_add_i64(&params, DEVICES_EVICTED_MAX);
    st = pg_run_once(db, sql_over, &params, &rows);
    if (st != CQ_OK)
        return st;
    *ret_over_n = (size_t)pg_rows(rows);
    for (int i = 0; i < pg_rows(rows); i++)
        ret_over[i] = pg_uuid(rows, i, 0);
    return CQ_OK;
}

static enum cq_status hold_device(struct pg *db, struct pg_params *params, struct cq_id device,
                                  struct cq_id user, bool *ret_held)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st;

    pg_params_clear(params);
    pg_add_uuid(params, device);
    pg_add_uuid(params, user);
    st = pg_run(db, sql_hold, params, &rows);
    if (st == CQ_OK)
        *ret_held = pg_rows(rows) == 1;
    return st;
}

static enum cq_status hold_account(struct pg *db, struct pg_params *params, struct cq_id user,
                                   bool *ret_held)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st;

    pg_params_clear(params);
    pg_add_uuid(params, user);
    st = pg_run(db, sql_account, params, &rows);
    if (st == CQ_OK)
        *ret_held = pg_rows(rows) == 1 && pg_bool(rows, 0, 0);
    return st;
}

enum cq_status device_add(struct pg *db, struct cq_id device, struct cq_id user, struct cq_id by,
                          int64_t now_ms, bool *ret_added)
{
    enum cq_status st = pg_script(db, "BEGIN");
    bool is_let_in = false;
    struct pg_params params;

    if (st != CQ_OK)
        return st;
    pg_params_init(&params, PARAMS_BYTES);
    st = insert_device(db, &params, device, user, now_ms);
    if (st == CQ_OK)
        st = hold_account(db, &params, user, &is_let_in);
    if (st == CQ_OK && is_let_in && !id_is_zero(by))
        st = hold_device(db, &params, by, user, &is_let_in);
    if (st == CQ_OK && is_let_in)
        st = evict_devices(db, &params, device, user, now_ms);
    pg_params_release(&params);
    if (st == CQ_OK)
        st = pg_script(db, is_let_in ? "COMMIT" : "ROLLBACK"); /* else pg_ready() rolls back */
    if (st == CQ_OK)
        *ret_added = is_let_in;
    return st;
}

enum cq_status device_is_own(struct pg *db, struct cq_id device, struct cq_id user, bool *ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, device);
    pg_add_uuid(&params, user);
    return pg_found(db, sql_own, &params, ret);
}

enum cq_status device_list(struct pg *db, struct cq_id user, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, LIMIT_USER_DEVICES);
    return pg_run_once(db, sql_list, &params, ret);
}

enum cq_status devices_others(struct pg *db, struct cq_id user, struct cq_id device, size_t max,
                              struct cq_id *ret_others, size_t *ret_others_n)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_uuid(&params, device);
    pg_add_i64(&params, (int64_t)max);
    st = pg_run_once(db, sql_others, &params, &rows);
    if (st != CQ_OK)
        return st;
    *ret_others_n = (size_t)pg_rows(rows);
    for (int i = 0; i < pg_rows(rows); i++)
        ret_others[i] = pg_uuid(rows, i, 0);
    return CQ_OK;
}

enum cq_status device_revoke(struct pg *db, struct cq_id device, int64_t now_ms)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, device);
    pg_add_i64(&params, now_ms);
    return pg_run_once(db, sql_revoke, &params, NULL);
}

enum cq_status device_look(struct pg *db, struct cq_id device, enum device_state *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, device);
    st = pg_run(db, sql_live, &params, &rows);
    if (st == CQ_OK)
        *ret = pg_bool(rows, 0, 0)   ? DEVICE_DOORS_CLOSED
               : pg_bool(rows, 0, 1) ? DEVICE_LIVE
                                     : DEVICE_LOGGED_OUT;
    pg_params_release(&params);
    return st;
}

static void hash_token(struct cq_span token, uint8_t out[32])
{
    struct cq_span parts[] = { span_str("refresh\n"), token };

    sha256(parts, ARRAY_LEN(parts), out); /* 256 random bits need no slow hash */
}

enum cq_status refresh_make(struct pg *db, struct cq_id device, struct cq_id user, int64_t now_ms,
                            char out[REFRESH_TEXT + 1])
{
    uint8_t token[REFRESH_BYTES], hash[32];
    struct pg_params params;

    random_bytes(token, sizeof token);
    base64url_format(token, sizeof token, out);
    hash_token(span_str(out), hash);
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_bytea(&params, span_of(hash, sizeof hash));
    pg_add_uuid(&params, device);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, now_ms);
    pg_add_i64(&params, now_ms + REFRESH_TTL_MS);
    return pg_run_once(db, sql_refresh, &params, NULL);
}

/* The device and the user of `token`, if `sql` finds them: its parameters are the token's hash and,
 * unless that is NULL, `now_ms`. */
static enum cq_status ask_of_token(struct pg *db, const char *sql, struct cq_span token,
                                   const int64_t *now_ms, bool *ret_found, struct cq_id *ret_device,
                                   struct cq_id *ret_user)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    uint8_t hash[32];
    enum cq_status st;

    hash_token(token, hash);
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_bytea(&params, span_of(hash, sizeof hash));
    if (now_ms)
        pg_add_i64(&params, *now_ms);
    st = pg_run_once(db, sql, &params, &rows);
    *ret_found = st == CQ_OK && pg_rows(rows) == 1;
    if (*ret_found) {
        *ret_device = pg_uuid(rows, 0, 0);
        *ret_user = pg_uuid(rows, 0, 1);
    }
    return st;
}

enum cq_status refresh_owner(struct pg *db, struct cq_span token, struct cq_id *ret_device,
                             struct cq_id *ret_user)
{
    bool found;

    return ask_of_token(db, sql_owner, token, NULL, &found, ret_device, ret_user);
}

enum cq_status refresh_use(struct pg *db, struct cq_span token, int64_t now_ms,
                           enum refresh_verdict *ret, struct cq_id *ret_device,
                           struct cq_id *ret_user)
{
    enum refresh_verdict verdict = REFRESH_YES;
    bool found;
    enum cq_status st = ask_of_token(db, sql_use, token, &now_ms, &found, ret_device, ret_user);

    if (st == CQ_OK && !found) { /* not usable: was it used before? */
        st = ask_of_token(db, sql_used, token, NULL, &found, ret_device, ret_user);
        verdict = found ? REFRESH_REUSED : REFRESH_NO;
    }
    if (st == CQ_OK)
        *ret = verdict;
    return st;
}
