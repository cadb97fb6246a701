/* SPDX-License-Identifier: MIT */
#include "edge/auth/archives.h"

#include <inttypes.h>
#include <stdio.h>

enum { PARAMS_BYTES = 512 };

#define COLUMNS                                                                         \
    "archive_id, user_id, device_id, state, asked_at, ends_at, tries, fails, percent, " \
    "size, sha256, left_out"

/* $1 user, $2 number. Until the end of the transaction the account is not deleted, and has no other number. */
static const char sql_own[] =
    "SELECT 1 FROM auth.accounts WHERE user_id = $1 AND phone_number = $2 FOR SHARE";

static const char sql_open[] =
    "SELECT 1 FROM auth.archives WHERE user_id = $1 AND state = 0 AND ends_at > $2";

/* Those before: what is made of them goes, and what ended while it was made is in nobody's way. */
static const char sql_end_earlier[] =
    "UPDATE auth.archives SET ends_at = least(ends_at, $2), state = CASE state WHEN 0 THEN 2 ELSE state END "
    "WHERE user_id = $1";

static const char sql_insert[] =
    "INSERT INTO auth.archives (archive_id, user_id, device_id, asked_at, ends_at, free_at) "
    "VALUES ($1, $2, $3, $4, $5, $4) ON CONFLICT DO NOTHING";

static const char sql_latest[] =
    "SELECT " COLUMNS " FROM auth.archives WHERE user_id = $1 AND ends_at > $2 "
    "ORDER BY asked_at DESC LIMIT 1";

/* Each try begun while the view is made anew would fail. Quoted, as pg_guard() is not to see the word: here it is
 * no error, and one of them is an UPDATE. */
#define DUE                                               \
    "WHERE state = 0 AND free_at <= $1 AND ends_at > $1 " \
    "AND NOT EXISTS (SELECT 1 FROM \"view\".incomplete) "

/* The sum is made where there is a row alone. A row goes when its files have gone; until then it counts, but for the
 * half of a try whose process died. */
static const char sql_due[] =
    "SELECT (SELECT coalesce(sum(s.size) FILTER (WHERE s.state <> 0 OR s.free_at > $1), 0)::int8 "
    "FROM auth.archives s WHERE s.ends_at >= 0) FROM auth.archives " DUE "LIMIT 1";

/* $1 now, $2 the end of the lease, $3 how often it may fail, $4 the most that it may take up. It counts as failed
 * until it is given back. */
static const char sql_claim[] =
    "UPDATE auth.archives SET tries = tries + (fails < $3)::int, fails = fails + (fails < $3)::int, "
    "state = CASE WHEN fails < $3 THEN 0 ELSE 2 END, size = CASE WHEN fails < $3 THEN $4 ELSE 0 END, "
    "percent = 0, free_at = $2 WHERE archive_id = (SELECT archive_id FROM auth.archives " DUE
    "ORDER BY free_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING " COLUMNS;

#define HELD "WHERE archive_id = $1 AND tries = $2 AND state = 0 AND ends_at > $3"

static const char sql_keep[] = "UPDATE auth.archives SET free_at = $4, percent = $5 " HELD;

static const char sql_made[] =
    "UPDATE auth.archives SET state = 1, percent = 100, ends_at = $4, free_at = $3, "
    "size = $5, sha256 = $6, left_out = $7 " HELD;

/* $3: when; $4: how many fails it takes back. It may come twice, when the first answer was lost. */
static const char sql_give_back[] =
    "UPDATE auth.archives SET free_at = $3, fails = greatest(fails - $4, 0), size = 0 "
    "WHERE archive_id = $1 AND tries = $2 AND state = 0";

static const char sql_claim_ended[] =
    "UPDATE auth.archives SET free_at = $2 WHERE archive_id = (SELECT archive_id FROM auth.archives "
    "WHERE ends_at <= $1 AND free_at <= $1 ORDER BY ends_at LIMIT 1 FOR UPDATE SKIP LOCKED) "
    "RETURNING " COLUMNS;

static const char sql_forget[] = "DELETE FROM auth.archives WHERE archive_id = $1";

void archive_key(struct cq_id id, int32_t tries, char out[STORE_KEY_MAX])
{
    struct cq_id_text text = id_text(id);

    /* S3 finds what is unfinished by a prefix: that of the first try is not to meet the tenth's */
    snprintf(out, STORE_KEY_MAX, "export/%.2s/%s-%" PRId32 "-", text.s, text.s, tries);
}

static void take_row(const struct pg_result *rows, struct archive *ret)
{
    struct cq_span hash = pg_bytes(rows, 0, 10);

    *ret = (struct archive){
        .id = pg_uuid(rows, 0, 0),
        .user = pg_uuid(rows, 0, 1),
        .device = pg_uuid(rows, 0, 2),
        .state = (enum archive_state)pg_i64(rows, 0, 3),
        .asked_ms = pg_i64(rows, 0, 4),
        .ends_ms = pg_i64(rows, 0, 5),
        .tries = (int32_t)pg_i64(rows, 0, 6),
        .fails = (int32_t)pg_i64(rows, 0, 7),
        .percent = pg_i64(rows, 0, 8),
        .size = pg_i64(rows, 0, 9),
        .left_out = pg_i64(rows, 0, 11),
    };
    if (hash.n == sizeof ret->sha256)
        memcpy(ret->sha256, hash.p, sizeof ret->sha256);
}

static enum cq_status run_one(struct pg *db, const char *sql, struct pg_params *params,
                              struct archive *ret, bool *ret_found)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_run_once(db, sql, params, &rows);

    *ret_found = st == CQ_OK && pg_rows(rows) == 1;
    if (*ret_found)
        take_row(rows, ret);
    return st;
}

/* `ret`: whether a row was changed. */
static enum cq_status run_changed(struct pg *db, const char *sql, struct pg_params *params,
                                  bool *ret)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    enum cq_status st = pg_run_once(db, sql, params, &done);

    *ret = st == CQ_OK && pg_affected(done) == 1;
    return st;
}

/* ---- asked for ------------------------------------------------------------------------ */

static enum cq_status insert(struct pg *db, const struct archive *ask, enum archive_asked *ret)
{
    struct pg_params params;
    bool is_new = false;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, ask->user);
    pg_add_i64(&params, ask->asked_ms);
    st = pg_run_once(db, sql_end_earlier, &params, NULL);
    if (st != CQ_OK)
        return st;
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, ask->id);
    pg_add_uuid(&params, ask->user);
    pg_add_uuid(&params, ask->device);
    pg_add_i64(&params, ask->asked_ms);
    pg_add_i64(&params, ask->ends_ms);
    st = run_changed(db, sql_insert, &params, &is_new);
    *ret = is_new ? ARCHIVE_ASKED : ARCHIVE_BUSY; /* of two requests at once one comes first */
    return st;
}

static enum cq_status ask_held(struct pg *db, const struct auth_limits *limits,
                               const struct archive *ask, const char *number, bool *ret_own,
                               enum archive_asked *ret, int64_t *ret_wait_ms)
{
    struct pg_params params;
    bool is_open = false;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, ask->user);
    pg_add_text(&params, span_str(number));
    st = pg_found(db, sql_own, &params, ret_own);
    if (st != CQ_OK || !*ret_own)
        return st;
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, ask->user);
    pg_add_i64(&params, ask->asked_ms);
    st = pg_found(db, sql_open, &params, &is_open);
    *ret = ARCHIVE_BUSY;
    if (st != CQ_OK || is_open)
        return st;
    st = budget_take(db, limits, BUDGET_EXPORTS_USER, budget_key(limits, "user", ask->user), 1, 0,
                     ask->asked_ms, ret_wait_ms);
    *ret = ARCHIVE_LIMITED;
    return st == CQ_OK && !*ret_wait_ms ? insert(db, ask, ret) : st;
}

enum cq_status archive_ask(struct pg *db, const struct auth_limits *limits,
                           const struct archive *ask, const char *number, bool *ret_own,
                           enum archive_asked *ret, int64_t *ret_wait_ms)
{
    enum archive_asked asked = ARCHIVE_BUSY;
    enum cq_status st = pg_script(db, "BEGIN");

    *ret_own = false;
    if (st == CQ_OK)
        st = ask_held(db, limits, ask, number, ret_own, &asked, ret_wait_ms);
    if (st == CQ_OK) /* else pg_ready() rolls back */
        st = pg_script(db, *ret_own && asked == ARCHIVE_ASKED ? "COMMIT" : "ROLLBACK");
    if (st == CQ_OK)
        *ret = asked;
    return st;
}

enum cq_status archive_latest(struct pg *db, struct cq_id user, int64_t now_ms, struct archive *ret,
                              bool *ret_found)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, now_ms);
    return run_one(db, sql_latest, &params, ret, ret_found);
}

/* ---- made ----------------------------------------------------------------------------- */

enum cq_status archive_due(struct pg *db, int64_t now_ms, bool *ret_due, int64_t *ret_bytes)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i64(&params, now_ms);
    st = pg_run_once(db, sql_due, &params, &rows);
    *ret_due = st == CQ_OK && pg_rows(rows) == 1;
    if (*ret_due)
        *ret_bytes = pg_i64(rows, 0, 0);
    return st;
}

enum cq_status archive_claim(struct pg *db, int64_t now_ms, int64_t most, struct archive *ret,
                             bool *ret_found)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i64(&params, now_ms);
    pg_add_i64(&params, now_ms + ARCHIVE_LEASE_MS);
    pg_add_i32(&params, ARCHIVE_FAILS_MAX);
    pg_add_i64(&params, most);
    return run_one(db, sql_claim, &params, ret, ret_found);
}

static void add_held(struct pg_params *params, const struct archive *archive, int64_t now_ms)
{
    pg_params_init(params, PARAMS_BYTES);
    pg_add_uuid(params, archive->id);
    pg_add_i32(params, archive->tries);
    pg_add_i64(params, now_ms);
}

enum cq_status archive_keep(struct pg *db, const struct archive *archive, int64_t now_ms,
                            bool *ret_held)
{
    struct pg_params params;

    add_held(&params, archive, now_ms);
    pg_add_i64(&params, now_ms + ARCHIVE_LEASE_MS);
    pg_add_i32(&params, (int32_t)archive->percent);
    return run_changed(db, sql_keep, &params, ret_held);
}

enum cq_status archive_made(struct pg *db, const struct archive *archive, int64_t now_ms,
                            bool *ret_held)
{
    struct pg_params params;

    add_held(&params, archive, now_ms);
    pg_add_i64(&params, now_ms + ARCHIVE_TTL_MS);
    pg_add_i64(&params, archive->size);
    pg_add_bytea(&params, span_of(archive->sha256, sizeof archive->sha256));
    pg_add_i64(&params, archive->left_out);
    return run_changed(db, sql_made, &params, ret_held);
}

enum cq_status archive_give_back(struct pg *db, const struct archive *archive, int64_t at_ms,
                                 bool counts)
{
    struct pg_params params;

    add_held(&params, archive, at_ms);
    pg_add_i32(&params, counts ? 0 : 1);
    return pg_run_once(db, sql_give_back, &params, NULL);
}

enum cq_status archive_claim_ended(struct pg *db, int64_t now_ms, struct archive *ret,
                                   bool *ret_found)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i64(&params, now_ms);
    pg_add_i64(&params, now_ms + ARCHIVE_LEASE_MS);
    return run_one(db, sql_claim_ended, &params, ret, ret_found);
}

enum cq_status archive_forget(struct pg *db, struct cq_id id)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, id);
    return pg_run_once(db, sql_forget, &params, NULL);
}
