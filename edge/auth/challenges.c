/* SPDX-License-Identifier: MIT */
#include "edge/auth/challenges.h"

#include "edge/auth/accounts.h"
#include "lib/base/hash.h"

#include <stdio.h>

enum { PARAMS_BYTES = 4096 };

static void hash_code(struct cq_span pepper, struct cq_id challenge, const char *number,
                      struct cq_span code, uint8_t out[32])
{
    struct cq_span parts[] = { span_str("code\n"), span_of(challenge.b, sizeof challenge.b),
                               span_str(number), span_str("\n"), code };

    hmac_sha256(pepper, parts, ARRAY_LEN(parts), out);
}

/* Six digits, each as likely as any other: values that would favour low numbers are drawn again. */
static void draw_code(char out[CODE_DIGITS + 1])
{
    const uint32_t range = 1000000, fair = UINT32_MAX / range * range;
    uint32_t r;

    do
        random_bytes(&r, sizeof r);
    while (r >= fair);
    snprintf(out, CODE_DIGITS + 1, "%06u", r % range);
}

/* ---- made ---------------------------------------------------------------------------- */

/* One transaction at a time for a number, so that the counts below are exact. */
static const char sql_lock[] = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";

/* When the Nth last code was made, 0 for never. If that is within the hour or the day, one more is
 * too many. */
static const char sql_earlier[] =
    "SELECT coalesce((SELECT created_at FROM auth.challenges WHERE phone_number = $1 AND lane "
    "IS NOT DISTINCT FROM $2 ORDER BY created_at DESC OFFSET $3 LIMIT 1), 0), coalesce((SELECT "
    "created_at FROM auth.challenges WHERE phone_number = $1 AND lane IS NOT DISTINCT FROM $2 "
    "ORDER BY created_at DESC OFFSET $4 LIMIT 1), 0)";

static const char sql_insert[] =
    "INSERT INTO auth.challenges (challenge, phone_number, name, code_hash, tries_left, "
    "created_at, expires_at, lane) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

static void add_lane(struct pg_params *params, struct cq_id lane)
{
    if (id_is_zero(lane))
        pg_add_null(params, PG_UUID);
    else
        pg_add_uuid(params, lane);
}

enum { LANES_MAX = 3 };

/* The lanes that this request may use, the strangers' lane (zero) last. The same statements run for
 * a number that is not registered. */
static enum cq_status find_lanes(struct pg *db, const struct auth_limits *limits,
                                 const struct code_ask *ask, struct cq_id ret[LANES_MAX],
                                 size_t *ret_n)
{
    struct cq_span number = span_str(ask->number);
    struct cq_id user = { 0 }, place = { 0 };
    bool known = false;
    enum cq_status st = account_holders(db, limits->pepper, &number, 1, &user);

    if (st == CQ_OK) {
        place = place_of(limits, user, ask->from);
        st = place_is_known(db, user, place, ask->now_ms, &known);
    }
    *ret_n = 0;
    if (!id_is_zero(ask->proof))
        ret[(*ret_n)++] = ask->proof;
    if (known)
        ret[(*ret_n)++] = place;
    ret[(*ret_n)++] = (struct cq_id){ 0 };
    return st;
}

static enum cq_status lock_number(struct pg *db, struct pg_params *params, const char *number)
{
    pg_params_clear(params);
    pg_add_text(params, span_str(number));
    return pg_run(db, sql_lock, params, NULL);
}

static enum cq_status check_lane(struct pg *db, struct pg_params *params,
                                 const struct auth_limits *limits, const struct code_ask *ask,
                                 struct cq_id lane, int64_t *ret_wait_ms)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    int64_t day_ms;
    enum cq_status st;

    pg_params_clear(params);
    pg_add_text(params, span_str(ask->number));
    add_lane(params, lane);
    pg_add_i64(params, limits->codes_number_hour - 1);
    pg_add_i64(params, limits->codes_number_day - 1);
    st = pg_run(db, sql_earlier, params, &rows);
    if (st != CQ_OK)
        return st;
    *ret_wait_ms = pg_i64(rows, 0, 0) + AUTH_HOUR_MS - ask->now_ms;
    day_ms = pg_i64(rows, 0, 1) + AUTH_DAY_MS - ask->now_ms;
    if (id_is_zero(lane) && day_ms > *ret_wait_ms) /* only strangers have a bound for the day */
        *ret_wait_ms = day_ms;
    if (*ret_wait_ms < 0)
        *ret_wait_ms = 0;
    return CQ_OK;
}

/* The first lane with a code left, or the shortest wait of all. */
static enum cq_status choose_lane(struct pg *db, struct pg_params *params,
                                  const struct auth_limits *limits, const struct code_ask *ask,
                                  struct cq_id *ret_lane, int64_t *ret_wait_ms)
{
    struct cq_id lanes[LANES_MAX];
    size_t n = 0;
    enum cq_status st = find_lanes(db, limits, ask, lanes, &n);

    *ret_wait_ms = INT64_MAX;
    for (size_t i = 0; st == CQ_OK && *ret_wait_ms && i < n; i++) {
        int64_t wait_ms = 0;

        st = check_lane(db, params, limits, ask, lanes[i], &wait_ms);
        if (st != CQ_OK || wait_ms >= *ret_wait_ms)
            continue;
        *ret_lane = lanes[i];
        *ret_wait_ms = wait_ms;
    }
    return st;
}

/* A request with a lane of its own is not charged to its address, and may use the share of all
 * codes that is kept for such lanes. */
static enum cq_status charge(struct pg *db, const struct auth_limits *limits,
                             const struct code_ask *ask, bool own, enum auth_verdict *ret,
                             int64_t *ret_wait_ms)
{
    static const struct cq_id all;
    int64_t keep = own ? 0 : limits->most[BUDGET_CODES_ALL] / CODE_OWN_SHARE;
    enum cq_status st = CQ_OK;

    *ret = AUTH_LIMITED_ADDRESS;
    if (!own)
        st = budget_take(db, limits, BUDGET_CODES_ADDRESS, budget_key(limits, "address", ask->from),
                         1, 0, ask->now_ms, ret_wait_ms);
    if (st != CQ_OK || *ret_wait_ms)
        return st;
    *ret = AUTH_LIMITED_ALL;
    st = budget_take(db, limits, BUDGET_CODES_ALL, all, 1, keep, ask->now_ms, ret_wait_ms);
    if (st == CQ_OK && !*ret_wait_ms)
        *ret = AUTH_YES;
    return st;
}

static enum cq_status insert_challenge(struct pg *db, struct pg_params *params,
                                       struct cq_id challenge, const struct code_ask *ask,
                                       struct cq_id lane, const uint8_t hash[32])
{
    pg_params_clear(params);
    pg_add_uuid(params, challenge);
    pg_add_text(params, span_str(ask->number));
    if (ask->name.n)
        pg_add_text(params, ask->name);
    else
        pg_add_null(params, PG_TEXT);
    pg_add_bytea(params, span_of(hash, 32));
    pg_add_i32(params, CODE_TRIES);
    pg_add_i64(params, ask->now_ms);
    pg_add_i64(params, ask->now_ms + CODE_TTL_MS);
    add_lane(params, lane);
    return pg_run(db, sql_insert, params, NULL);
}

enum cq_status challenge_make(struct pg *db, const struct auth_limits *limits,
                              const struct code_ask *ask, enum auth_verdict *ret,
                              int64_t *ret_wait_ms, struct cq_id *ret_challenge,
                              char ret_code[CODE_DIGITS + 1])
{
    struct cq_id lane = { 0 };
    struct pg_params params;
    uint8_t hash[32];
    enum cq_status st = pg_script(db, "BEGIN");

    if (st != CQ_OK)
        return st;
    pg_params_init(&params, PARAMS_BYTES);
    *ret = AUTH_LIMITED;
    st = lock_number(db, &params, ask->number);
    if (st == CQ_OK)
        st = choose_lane(db, &params, limits, ask, &lane, ret_wait_ms);
    if (st == CQ_OK && !*ret_wait_ms)
        st = charge(db, limits, ask, !id_is_zero(lane), ret, ret_wait_ms);
    if (st == CQ_OK && *ret == AUTH_YES) {
        *ret_challenge = id_random();
        draw_code(ret_code);
        hash_code(limits->pepper, *ret_challenge, ask->number, span_str(ret_code), hash);
        st = insert_challenge(db, &params, *ret_challenge, ask, lane, hash);
    }
    pg_params_release(&params);
    if (st != CQ_OK)
        return st; /* pg_ready() rolls back */
    return pg_script(db, *ret == AUTH_YES ? "COMMIT" : "ROLLBACK");
}

/* ---- tried ---------------------------------------------------------------------------- */

static const char sql_whose[] =
    "SELECT phone_number, lane IS NOT NULL FROM auth.challenges WHERE challenge = $1";

/* A try is charged before the code is compared, so that simultaneous guesses cannot share one. */
static const char sql_take[] =
    "UPDATE auth.challenges SET tries_left = tries_left - 1 "
    "WHERE challenge = $1 AND used_at IS NULL "
    "AND tries_left > $3 AND expires_at > $2 RETURNING phone_number, coalesce(name, ''), code_hash";

static const char sql_use[] =
    "UPDATE auth.challenges SET used_at = $2 WHERE challenge = $1 AND used_at IS NULL";

enum { GUESS_BUDGETS = 3 };

/* What a guess is charged to. */
struct guess {
    struct {
        enum budget kind;
        struct cq_id key;
        bool taken;
    } at[GUESS_BUDGETS];
    int n;
    int64_t wait_ms; /* 0: all of them had one left */
};

static enum cq_status find_budgets(struct pg *db, const struct auth_limits *limits,
                                   struct cq_id challenge, struct cq_id from, struct guess *guess)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    char number[PHONE_MAX + 1];
    struct pg_params params;
    enum cq_status st;

    *guess = (struct guess){ .n = 2 };
    guess->at[0].kind = BUDGET_GUESSES_ADDRESS;
    guess->at[0].key = budget_key(limits, "address", from);
    guess->at[1].kind = BUDGET_GUESSES_ALL;
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, challenge);
    st = pg_run_once(db, sql_whose, &params, &rows);
    if (st == CQ_OK && pg_rows(rows) == 1 && !pg_bool(rows, 0, 1)) {
        snprintf(number, sizeof number, "%.*s", SPAN_FMT(pg_bytes(rows, 0, 0)));
        guess->at[2].kind = BUDGET_GUESSES_NUMBER;
        guess->at[2].key = budget_key(limits, "number", phone_user_id(limits->pepper, number, 0));
        guess->n = 3;
    }
    return st;
}

static enum cq_status charge_guess(struct pg *db, const struct auth_limits *limits,
                                   struct guess *guess, int64_t now_ms)
{
    enum cq_status st = CQ_OK;

    for (int i = 0; st == CQ_OK && !guess->wait_ms && i < guess->n; i++) {
        st = budget_take(db, limits, guess->at[i].kind, guess->at[i].key, 1, 0, now_ms,
                         &guess->wait_ms);
        guess->at[i].taken = st == CQ_OK && !guess->wait_ms;
    }
    return st;
}

static enum cq_status give_back(struct pg *db, const struct auth_limits *limits,
                                const struct guess *guess)
{
    enum cq_status st = CQ_OK;

    for (int i = 0; st == CQ_OK && i < guess->n; i++)
        if (guess->at[i].taken)
            st = budget_give_back(db, limits, guess->at[i].kind, guess->at[i].key);
    return st;
}

static enum cq_status use_once(struct pg *db, struct pg_params *params, struct cq_id challenge,
                               int64_t now_ms, enum auth_verdict *ret)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    enum cq_status st;

    pg_params_clear(params);
    pg_add_uuid(params, challenge);
    pg_add_i64(params, now_ms);
    st = pg_run(db, sql_use, params, &done);
    if (st == CQ_OK && pg_affected(done) == 1)
        *ret = AUTH_YES;
    return st;
}

/* `*ret` stays as it is unless the code was right. */
static enum cq_status compare(struct pg *db, const struct auth_limits *limits,
                              struct cq_id challenge, struct cq_span code, int64_t now_ms,
                              int32_t tries_above, enum auth_verdict *ret,
                              char ret_number[PHONE_MAX + 1], struct pg_result **ret_rows)
{
    struct cq_span kept;
    struct pg_params params;
    uint8_t hash[32];
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, challenge);
    pg_add_i64(&params, now_ms);
    pg_add_i32(&params, tries_above);
    st = pg_run(db, sql_take, &params, ret_rows);
    if (st == CQ_OK && pg_rows(*ret_rows) == 1) {
        *ret = AUTH_NO;
        kept = pg_bytes(*ret_rows, 0, 2);
        snprintf(ret_number, PHONE_MAX + 1, "%.*s", SPAN_FMT(pg_bytes(*ret_rows, 0, 0)));
        hash_code(limits->pepper, challenge, ret_number, code, hash);
        if (kept.n == sizeof hash && bytes_equal_ct(kept.p, hash, sizeof hash))
            st = use_once(db, &params, challenge, now_ms, ret);
    }
    pg_params_release(&params);
    return st;
}

enum cq_status challenge_try(struct pg *db, const struct auth_limits *limits,
                             struct cq_id challenge, struct cq_span code, struct cq_id from,
                             int64_t now_ms, enum auth_verdict *ret, int64_t *ret_wait_ms,
                             char ret_number[PHONE_MAX + 1], struct cq_span *ret_name,
                             struct pg_result **ret_rows)
{
    struct guess guess;
    enum cq_status st = find_budgets(db, limits, challenge, from, &guess);

    if (st == CQ_OK)
        st = charge_guess(db, limits, &guess, now_ms);
    if (st != CQ_OK)
        return st;
    /* Over a budget only a challenge's first guess counts. */
    *ret = guess.wait_ms ? AUTH_LIMITED : AUTH_NO;
    *ret_wait_ms = guess.wait_ms;
    st = compare(db, limits, challenge, code, now_ms, guess.wait_ms ? CODE_TRIES - 1 : 0, ret,
                 ret_number, ret_rows);
    if (st == CQ_OK && *ret == AUTH_YES) {
        *ret_name = pg_bytes(*ret_rows, 0, 1);
        st = give_back(db, limits, &guess);
    }
    return st;
}
