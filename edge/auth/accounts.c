/* SPDX-License-Identifier: MIT */
#include "edge/auth/accounts.h"

#include <stdio.h>

enum { PARAMS_BYTES = 16 * 1024, LOOK_AGAIN_MS = 1000, LOOK_LEAST_MS = 1000 };

#define LOOK_MOST_MS ((int64_t)6 * 3600 * 1000)

/* The generation of the ids that stand for numbers which nobody has. */
enum { GENERATION_NONE = -1 };

static const char sql_holder[] = "SELECT user_id FROM auth.accounts WHERE phone_number = $1";

/* One transaction at a time decides whose a number is. */
static const char sql_lock[] = "SELECT pg_advisory_xact_lock(hashtextextended($1, 3))";

static const char sql_generation[] =
    "SELECT coalesce(max(generation) + 1, 0) FROM auth.accounts WHERE born_of = $1 OR user_id = $1";

static const char sql_insert[] =
    "INSERT INTO auth.accounts (user_id, phone_number, generation, created_at, born_of) "
    "VALUES ($1, $2, $3, $4, $5)";

static const char sql_number[] =
    "SELECT phone_number FROM auth.accounts WHERE user_id = $1 AND phone_number IS NOT NULL";

static const char sql_holders[] = "SELECT a.user_id, w.at FROM unnest($1::text[]) WITH ORDINALITY "
                                  "w(number, at) JOIN auth.accounts a ON a.phone_number = w.number";

static const char sql_renumber[] = "UPDATE auth.accounts SET phone_number = $2 WHERE user_id = $1 "
                                   "AND phone_number = $3 AND deleted_at IS NULL";

static const char sql_delete[] =
    "UPDATE auth.accounts SET deleted_at = $3, look_at = 0, phone_number = NULL WHERE user_id = $1 "
    "AND phone_number = $2 AND deleted_at IS NULL";

/* What goes with an account, of the user $1; $2: now. */
static const char sql_end_tokens[] =
    "UPDATE auth.refresh_tokens SET used_at = coalesce(used_at, $2) WHERE device_id IN (SELECT "
    "device_id FROM auth.devices WHERE user_id = $1 AND revoked_at IS NULL)";
static const char sql_end_devices[] =
    "UPDATE auth.devices SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL";
static const char sql_end_archives[] =
    "UPDATE auth.archives SET ends_at = least(ends_at, $2) WHERE user_id = $1";
static const char sql_forget[] =
    "WITH places AS (DELETE FROM auth.known_places WHERE user_id = $1), "
    "lookups AS (DELETE FROM auth.lookups WHERE user_id = $1) "
    "DELETE FROM auth.direct_chats WHERE opened_by = $1";

static const char sql_claim[] =
    "UPDATE auth.accounts SET look_at = $1 + greatest($2::int8, least($3::int8, ($1 - deleted_at) / "
    "8)) WHERE user_id IN (SELECT user_id FROM auth.accounts WHERE look_at <= $1 ORDER BY look_at "
    "LIMIT $4 FOR UPDATE SKIP LOCKED) RETURNING user_id, deleted_at";

static const char sql_soon[] = "UPDATE auth.accounts SET look_at = $2 WHERE user_id = $1";

/* Of those that the view knows as deleted. */
static const char sql_restored[] =
    "SELECT u.user_id, u.deleted_at FROM view.users u JOIN auth.accounts a USING (user_id) "
    "WHERE u.deleted_at IS NOT NULL AND a.deleted_at IS NULL LIMIT $1";

static const char sql_again[] = "UPDATE auth.accounts SET deleted_at = $2, look_at = 0, "
                                "phone_number = NULL WHERE user_id = $1";

/* ---- whose a number is ----------------------------------------------------------------- */

static enum cq_status find_holder(struct pg *db, const char *number, struct cq_id *ret,
                                  bool *ret_found)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_text(&params, span_str(number));
    st = pg_run_once(db, sql_holder, &params, &rows);
    *ret_found = st == CQ_OK && pg_rows(rows) == 1;
    if (*ret_found)
        *ret = pg_uuid(rows, 0, 0);
    return st;
}

static enum cq_status lock_number(struct pg *db, const char *number)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_text(&params, span_str(number));
    return pg_run_once(db, sql_lock, &params, NULL);
}

static enum cq_status next_generation(struct pg *db, struct cq_id born_of, int32_t *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, born_of);
    st = pg_run_once(db, sql_generation, &params, &rows);
    if (st == CQ_OK)
        *ret = (int32_t)pg_i64(rows, 0, 0);
    return st;
}

static enum cq_status insert_account(struct pg *db, struct cq_span pepper, const char *number,
                                     int64_t now_ms, struct cq_id *ret_user)
{
    struct cq_id born_of = phone_user_id(pepper, number, 0);
    struct pg_params params;
    int32_t generation = 0;
    enum cq_status st = next_generation(db, born_of, &generation);

    if (st != CQ_OK)
        return st;
    *ret_user = phone_user_id(pepper, number, generation);
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, *ret_user);
    pg_add_text(&params, span_str(number));
    pg_add_i32(&params, generation);
    pg_add_i64(&params, now_ms);
    pg_add_uuid(&params, born_of);
    return pg_run_once(db, sql_insert, &params, NULL);
}

enum cq_status account_of(struct pg *db, struct cq_span pepper, const char *number, int64_t now_ms,
                          struct cq_id *ret_user, bool *ret_new)
{
    struct cq_id user = { 0 };
    bool found = false, made = false;
    enum cq_status st = find_holder(db, number, &user, &found);

    if (st == CQ_OK && !found) {
        st = pg_script(db, "BEGIN");
        if (st == CQ_OK)
            st = lock_number(db, number);
        if (st == CQ_OK)
            st = find_holder(db, number, &user, &found);
        made = !found;
        if (st == CQ_OK && made)
            st = insert_account(db, pepper, number, now_ms, &user);
        if (st == CQ_OK)
            st = pg_script(db, "COMMIT"); /* else pg_ready() rolls back */
    }
    if (st != CQ_OK)
        return st;
    *ret_user = user;
    *ret_new = made;
    return CQ_OK;
}

enum cq_status account_number(struct pg *db, struct cq_id user, char out[PHONE_MAX + 1])
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    st = pg_run_once(db, sql_number, &params, &rows);
    out[0] = '\0';
    if (st == CQ_OK && pg_rows(rows) == 1)
        snprintf(out, PHONE_MAX + 1, "%.*s", SPAN_FMT(pg_bytes(rows, 0, 0)));
    return st;
}

enum cq_status account_holders(struct pg *db, struct cq_span pepper, const struct cq_span *numbers,
                               size_t n, struct cq_id *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    char number[PHONE_MAX + 1];
    struct pg_params params;
    enum cq_status st;

    for (size_t i = 0; i < n; i++) {
        snprintf(number, sizeof number, "%.*s", SPAN_FMT(numbers[i]));
        ret[i] = phone_user_id(pepper, number, GENERATION_NONE);
    }
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_text_array(&params, numbers, NULL, n);
    st = pg_run_once(db, sql_holders, &params, &rows);
    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++)
        ret[pg_i64(rows, i, 1) - 1] = pg_uuid(rows, i, 0);
    return st;
}

/* ---- changes ---------------------------------------------------------------------------- */

static enum cq_status renumber(struct pg *db, struct cq_id user, const char *old,
                               const char *number, enum account_change *ret)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    struct cq_id holder = { 0 };
    struct pg_params params;
    bool found = false;
    enum cq_status st = lock_number(db, number);

    if (st == CQ_OK)
        st = find_holder(db, number, &holder, &found);
    *ret = ACCOUNT_TAKEN;
    if (st != CQ_OK || (found && !id_eq(holder, user)))
        return st;
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_text(&params, span_str(number));
    pg_add_text(&params, span_str(old));
    st = pg_run_once(db, sql_renumber, &params, &done);
    *ret = st == CQ_OK && pg_affected(done) == 1 ? ACCOUNT_CHANGED : ACCOUNT_GONE;
    return st;
}

enum cq_status account_renumber(struct pg *db, struct cq_id user, const char *old,
                                const char *number, enum account_change *ret)
{
    enum account_change change = ACCOUNT_GONE;
    enum cq_status st = pg_script(db, "BEGIN");

    if (st == CQ_OK)
        st = renumber(db, user, old, number, &change);
    if (st == CQ_OK)
        st = pg_script(db, "COMMIT"); /* else pg_ready() rolls back */
    if (st == CQ_OK)
        *ret = change;
    return st;
}

/* The devices of the user, and what was remembered of him. */
static enum cq_status forget(struct pg *db, struct cq_id user, int64_t now_ms)
{
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    st = pg_run(db, sql_forget, &params, NULL);
    pg_add_i64(&params, now_ms);
    if (st == CQ_OK)
        st = pg_run(db, sql_end_tokens, &params, NULL);
    if (st == CQ_OK)
        st = pg_run(db, sql_end_devices, &params, NULL);
    if (st == CQ_OK)
        st = pg_run(db, sql_end_archives, &params, NULL);
    pg_params_release(&params);
    return st;
}

static enum cq_status delete_one(struct pg *db, struct cq_id user, const char *number,
                                 int64_t now_ms, bool *ret_deleted)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_text(&params, span_str(number));
    pg_add_i64(&params, now_ms);
    st = pg_run_once(db, sql_delete, &params, &done);
    *ret_deleted = st == CQ_OK && pg_affected(done) == 1;
    return *ret_deleted ? forget(db, user, now_ms) : st;
}

enum cq_status account_delete(struct pg *db, struct cq_id user, const char *number, int64_t now_ms,
                              enum account_change *ret)
{
    bool deleted = false;
    enum cq_status st = pg_script(db, "BEGIN");

    if (st == CQ_OK)
        st = delete_one(db, user, number, now_ms, &deleted);
    if (st == CQ_OK)
        st = pg_script(db, "COMMIT"); /* else pg_ready() rolls back */
    if (st == CQ_OK)
        *ret = deleted ? ACCOUNT_CHANGED : ACCOUNT_GONE;
    return st;
}

/* ---- what follows ----------------------------------------------------------------------- */

enum cq_status account_claim_deleted(struct pg *db, int64_t now_ms,
                                     struct deleted_account ret[DELETED_MAX], size_t *ret_n)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i64(&params, now_ms);
    pg_add_i64(&params, LOOK_LEAST_MS);
    pg_add_i64(&params, LOOK_MOST_MS);
    pg_add_i64(&params, DELETED_MAX);
    st = pg_run_once(db, sql_claim, &params, &rows);
    if (st != CQ_OK)
        return st;
    *ret_n = (size_t)pg_rows(rows);
    for (int i = 0; i < pg_rows(rows); i++)
        ret[i] = (struct deleted_account){ pg_uuid(rows, i, 0), pg_i64(rows, i, 1) };
    return CQ_OK;
}

enum cq_status account_look_soon(struct pg *db, struct cq_id user, int64_t now_ms)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, now_ms + LOOK_AGAIN_MS);
    return pg_run_once(db, sql_soon, &params, NULL);
}

static enum cq_status find_restored(struct pg *db, struct deleted_account ret[DELETED_MAX],
                                    size_t *ret_n)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i64(&params, DELETED_MAX);
    st = pg_run_once(db, sql_restored, &params, &rows);
    *ret_n = st == CQ_OK ? (size_t)pg_rows(rows) : 0;
    for (size_t i = 0; i < *ret_n; i++)
        ret[i] = (struct deleted_account){ pg_uuid(rows, (int)i, 0), pg_i64(rows, (int)i, 1) };
    return st;
}

static enum cq_status delete_again(struct pg *db, const struct deleted_account *account,
                                   int64_t now_ms)
{
    struct pg_params params;
    enum cq_status st = pg_script(db, "BEGIN");

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, account->user);
    pg_add_i64(&params, account->deleted_ms);
    if (st == CQ_OK)
        st = pg_run(db, sql_again, &params, NULL);
    pg_params_release(&params);
    if (st == CQ_OK)
        st = forget(db, account->user, now_ms);
    return st == CQ_OK ? pg_script(db, "COMMIT") : st; /* else pg_ready() rolls back */
}

enum cq_status account_delete_again(struct pg *db, int64_t now_ms, bool *ret_more)
{
    struct deleted_account accounts[DELETED_MAX];
    size_t n = 0;
    enum cq_status st = find_restored(db, accounts, &n);

    for (size_t i = 0; st == CQ_OK && i < n; i++)
        st = delete_again(db, &accounts[i], now_ms);
    *ret_more = n == DELETED_MAX;
    return st;
}
