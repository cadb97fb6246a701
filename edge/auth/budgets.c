/* SPDX-License-Identifier: MIT */
#include "edge/auth/budgets.h"

#include "lib/base/hash.h"

enum { PARAMS_BYTES = 256 };

static const int64_t period_ms[] = {
    [BUDGET_CODES_ADDRESS] = AUTH_HOUR_MS, [BUDGET_CODES_ALL] = AUTH_HOUR_MS,
    [BUDGET_GUESSES_NUMBER] = AUTH_DAY_MS, [BUDGET_GUESSES_ADDRESS] = AUTH_HOUR_MS,
    [BUDGET_GUESSES_ALL] = AUTH_HOUR_MS,   [BUDGET_LOOKUPS_ADDRESS] = AUTH_DAY_MS,
    [BUDGET_LOOKUPS_ALL] = AUTH_DAY_MS,    [BUDGET_LINKS_ADDRESS] = AUTH_HOUR_MS,
    [BUDGET_LINKS_ALL] = AUTH_HOUR_MS,     [BUDGET_LINK_MISSES_ADDRESS] = AUTH_HOUR_MS,
    [BUDGET_EXPORTS_USER] = AUTH_DAY_MS,
};

_Static_assert(ARRAY_LEN(period_ms) == BUDGET_N, "a period for each budget");

/* After a clock was set back, a bucket is empty for one period at most. */
static const char sql_take[] =
    "INSERT INTO auth.budgets AS b (kind, key, full_at) VALUES ($1, $2, $3 + $4) "
    "ON CONFLICT (kind, key) DO UPDATE SET full_at = greatest(least(b.full_at, $3 + $5), $3) + $4 "
    "WHERE greatest(least(b.full_at, $3 + $5), $3) + $4 - $3 <= $6";

static const char sql_look[] = "SELECT full_at FROM auth.budgets WHERE kind = $1 AND key = $2";

static const char sql_give_back[] =
    "UPDATE auth.budgets SET full_at = full_at - $3 WHERE kind = $1 AND key = $2";

static int64_t token_us(const struct auth_limits *limits, enum budget kind)
{
    int64_t us = period_ms[kind] * 1000 / limits->most[kind];

    return us ? us : 1;
}

struct cq_id budget_key(const struct auth_limits *limits, const char *what, struct cq_id id)
{
    struct cq_span parts[] = { span_str("budget\n"), span_str(what), span_str("\n"),
                               span_of(id.b, sizeof id.b) };
    uint8_t digest[32];

    hmac_sha256(limits->pepper, parts, ARRAY_LEN(parts), digest);
    return id_from_digest(digest);
}

static enum cq_status look(struct pg *db, enum budget kind, struct cq_id key, int64_t *ret_full_us)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i32(&params, (int32_t)kind);
    pg_add_uuid(&params, key);
    st = pg_run_once(db, sql_look, &params, &rows);
    if (st == CQ_OK)
        *ret_full_us = pg_rows(rows) ? pg_i64(rows, 0, 0) : 0;
    return st;
}

enum cq_status budget_take(struct pg *db, const struct auth_limits *limits, enum budget kind,
                           struct cq_id key, int64_t n, int64_t keep, int64_t now_ms,
                           int64_t *ret_wait_ms)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    int64_t period_us = period_ms[kind] * 1000, cost_us = n * token_us(limits, kind);
    int64_t room_us = period_us - keep * token_us(limits, kind), full_us = 0;
    struct pg_params params;
    enum cq_status st;

    if (cost_us > room_us) { /* so many at once are never granted */
        *ret_wait_ms = period_ms[kind];
        return CQ_OK;
    }
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i32(&params, (int32_t)kind);
    pg_add_uuid(&params, key);
    pg_add_i64(&params, now_ms * 1000);
    pg_add_i64(&params, cost_us);
    pg_add_i64(&params, period_us);
    pg_add_i64(&params, room_us);
    st = pg_run_once(db, sql_take, &params, &done);
    *ret_wait_ms = 0;
    if (st != CQ_OK || pg_affected(done) == 1)
        return st;
    st = look(db, kind, key, &full_us);
    *ret_wait_ms = (full_us + cost_us - room_us) / 1000 - now_ms + 1;
    if (*ret_wait_ms < 1)
        *ret_wait_ms = 1;
    return st;
}

enum cq_status budget_give_back(struct pg *db, const struct auth_limits *limits, enum budget kind,
                                struct cq_id key)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i32(&params, (int32_t)kind);
    pg_add_uuid(&params, key);
    pg_add_i64(&params, token_us(limits, kind));
    return pg_run_once(db, sql_give_back, &params, NULL);
}

enum cq_status budget_used(struct pg *db, enum budget kind, struct cq_id key, int64_t now_ms,
                           int64_t *ret_percent)
{
    int64_t full_us = 0;
    enum cq_status st = look(db, kind, key, &full_us);

    if (st != CQ_OK)
        return st;
    *ret_percent = full_us > now_ms * 1000 ? (full_us / 1000 - now_ms) * 100 / period_ms[kind] : 0;
    return CQ_OK;
}
