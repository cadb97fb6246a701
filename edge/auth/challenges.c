/* SPDX-License-Identifier: MIT */
#include "edge/auth/challenges.h"

#include "lib/base/hash.h"

#include <stdio.h>

enum { HOUR_MS = 3600 * 1000, PARAMS_BYTES = 4096 };

static void hash_code(struct cq_span pepper, struct cq_id challenge, const char *number,
                      struct cq_span code, uint8_t out[32])
{
    struct cq_span parts[] = { span_str("code\n"), span_of(challenge.b, sizeof challenge.b),
                               span_str(number), span_str("\n"), code };

    hmac_sha256(pepper, parts, ARRAY_LEN(parts), out);
}

/* Six digits, each as likely as any other: what would favour low numbers is drawn again. */
static void draw_code(char out[CODE_DIGITS + 1])
{
    const uint32_t range = 1000000, fair = UINT32_MAX / range * range;
    uint32_t r;

    do
        random_bytes(&r, sizeof r);
    while (r >= fair);
    snprintf(out, CODE_DIGITS + 1, "%06u", r % range);
}

/* One at a time for a number, until the transaction ends: what is counted next is all there is. */
static const char sql_lock[] = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";

static const char sql_insert[] =
    "INSERT INTO auth.challenges (challenge, phone_number, name, code_hash, tries_left, "
    "created_at, expires_at) SELECT $1, $2, $3, $4, $5, $6, $7 WHERE (SELECT count(*) FROM "
    "auth.challenges WHERE phone_number = $2 AND created_at > $8) < $9";

static enum cq_status insert_challenge(struct pg *c, struct pg_params *p, struct cq_id challenge,
                                       const char *number, struct cq_span name,
                                       const uint8_t hash[32], int64_t per_hour, int64_t now_ms,
                                       enum auth_verdict *ret)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    enum cq_status st;

    pg_params_clear(p);
    pg_add_text(p, span_str(number));
    st = pg_run(c, sql_lock, p, NULL);
    if (st != CQ_OK)
        return st;
    pg_params_clear(p);
    pg_add_uuid(p, challenge);
    pg_add_text(p, span_str(number));
    if (name.n)
        pg_add_text(p, name);
    else
        pg_add_null(p, 25 /* text */);
    pg_add_bytea(p, span_of(hash, 32));
    pg_add_i32(p, CODE_TRIES);
    pg_add_i64(p, now_ms);
    pg_add_i64(p, now_ms + CODE_TTL_MS);
    pg_add_i64(p, now_ms - HOUR_MS);
    pg_add_i64(p, per_hour);
    st = pg_run(c, sql_insert, p, &done);
    if (st == CQ_OK)
        *ret = pg_affected(done) == 1 ? AUTH_YES : AUTH_LIMITED;
    return st;
}

enum cq_status challenge_make(struct pg *c, struct cq_span pepper, const char *number,
                              struct cq_span name, int64_t per_hour, int64_t now_ms,
                              enum auth_verdict *ret, struct cq_id *ret_challenge,
                              char ret_code[CODE_DIGITS + 1])
{
    enum cq_status st = pg_script(c, "BEGIN");
    struct pg_params p;
    uint8_t hash[32];

    if (st != CQ_OK)
        return st;
    pg_params_init(&p, PARAMS_BYTES);
    *ret_challenge = id_random();
    draw_code(ret_code);
    hash_code(pepper, *ret_challenge, number, span_str(ret_code), hash);
    st = insert_challenge(c, &p, *ret_challenge, number, name, hash, per_hour, now_ms, ret);
    pg_params_release(&p);
    return st == CQ_OK ? pg_script(c, "COMMIT") : st; /* pg_ready() rolls back */
}

/* A try is taken before the code is looked at, so that guesses at once cannot share one. */
static const char sql_take[] =
    "UPDATE auth.challenges SET tries_left = tries_left - 1 WHERE challenge = $1 AND used_at IS "
    "NULL "
    "AND tries_left > 0 AND expires_at > $2 RETURNING phone_number, coalesce(name, ''), code_hash";

static const char sql_use[] =
    "UPDATE auth.challenges SET used_at = $2 WHERE challenge = $1 AND used_at IS NULL";

static enum cq_status use_once(struct pg *c, struct pg_params *p, struct cq_id challenge,
                               int64_t now_ms, enum auth_verdict *ret)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    enum cq_status st;

    pg_params_clear(p);
    pg_add_uuid(p, challenge);
    pg_add_i64(p, now_ms);
    st = pg_run(c, sql_use, p, &done);
    if (st == CQ_OK && pg_affected(done) == 1)
        *ret = AUTH_YES;
    return st;
}

enum cq_status challenge_try(struct pg *c, struct cq_span pepper, struct cq_id challenge,
                             struct cq_span code, int64_t now_ms, enum auth_verdict *ret,
                             char ret_number[PHONE_MAX + 1], struct cq_span *ret_name,
                             struct pg_result **ret_rows)
{
    struct pg_params p;
    struct cq_span number, kept;
    uint8_t hash[32];
    enum cq_status st;

    *ret = AUTH_NO;
    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, challenge);
    pg_add_i64(&p, now_ms);
    st = pg_run(c, sql_take, &p, ret_rows);
    if (st == CQ_OK && pg_rows(*ret_rows) == 1) {
        number = pg_bytes(*ret_rows, 0, 0);
        *ret_name = pg_bytes(*ret_rows, 0, 1);
        kept = pg_bytes(*ret_rows, 0, 2);
        snprintf(ret_number, PHONE_MAX + 1, "%.*s", SPAN_FMT(number));
        hash_code(pepper, challenge, ret_number, code, hash);
        if (kept.n == sizeof hash && bytes_equal_ct(kept.p, hash, sizeof hash))
            st = use_once(c, &p, challenge, now_ms, ret);
    }
    pg_params_release(&p);
    return st;
}
