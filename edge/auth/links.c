/* SPDX-License-Identifier: MIT */
#include "edge/auth/links.h"

#include "lib/base/hash.h"

enum { PARAMS_BYTES = 2048 };

/* 128 random bits and more need no slow hash. */
static void add_hash(struct pg_params *params, const char *what, struct cq_span text)
{
    struct cq_span parts[] = { span_str(what), span_str("\n"), text };
    uint8_t hash[32];

    sha256(parts, ARRAY_LEN(parts), hash);
    pg_add_bytea(params, span_of(hash, sizeof hash));
}

static void add_code(struct pg_params *params, struct cq_span code)
{
    add_hash(params, "link code", code);
}

static void add_secret(struct pg_params *params, struct cq_span secret)
{
    add_hash(params, "link secret", secret);
}

static struct cq_id link_place(const struct auth_limits *limits, struct cq_id from)
{
    return budget_key(limits, "link", from);
}

/* ---- made ----------------------------------------------------------------------------- */

static const char sql_insert[] =
    "INSERT INTO auth.links (code_hash, secret_hash, platform, label, network, place, created_at, "
    "expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

static enum cq_status charge(struct pg *db, const struct auth_limits *limits,
                             const struct link_ask *ask, enum auth_verdict *ret,
                             int64_t *ret_wait_ms)
{
    static const struct cq_id all;
    enum cq_status st;

    *ret = AUTH_LIMITED_ADDRESS;
    st = budget_take(db, limits, BUDGET_LINKS_ADDRESS, budget_key(limits, "address", ask->from), 1,
                     0, ask->now_ms, ret_wait_ms);
    if (st != CQ_OK || *ret_wait_ms)
        return st;
    *ret = AUTH_LIMITED_ALL;
    st = budget_take(db, limits, BUDGET_LINKS_ALL, all, 1, 0, ask->now_ms, ret_wait_ms);
    if (st == CQ_OK && !*ret_wait_ms)
        *ret = AUTH_YES;
    return st;
}

static void draw(struct link_texts *ret)
{
    uint8_t code[LINK_CODE_BYTES], secret[LINK_SECRET_BYTES];

    random_bytes(code, sizeof code);
    base64url_format(code, sizeof code, ret->code);
    random_bytes(secret, sizeof secret);
    base64url_format(secret, sizeof secret, ret->secret);
}

static enum cq_status insert(struct pg *db, const struct auth_limits *limits,
                             const struct link_ask *ask, const struct link_texts *texts)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    add_code(&params, span_str(texts->code));
    add_secret(&params, span_str(texts->secret));
    pg_add_text(&params, ask->platform);
    pg_add_text(&params, ask->label);
    pg_add_text(&params, ask->network);
    pg_add_uuid(&params, link_place(limits, ask->from));
    pg_add_i64(&params, ask->now_ms);
    pg_add_i64(&params, ask->now_ms + LINK_TTL_MS);
    return pg_run_once(db, sql_insert, &params, NULL);
}

enum cq_status link_make(struct pg *db, const struct auth_limits *limits,
                         const struct link_ask *ask, enum auth_verdict *ret, int64_t *ret_wait_ms,
                         struct link_texts *ret_texts)
{
    enum cq_status st = pg_script(db, "BEGIN");

    if (st == CQ_OK)
        st = charge(db, limits, ask, ret, ret_wait_ms);
    if (st == CQ_OK && *ret == AUTH_YES) {
        draw(ret_texts);
        st = insert(db, limits, ask, ret_texts);
    }
    if (st != CQ_OK)
        return st; /* pg_ready() rolls back */
    return pg_script(db, *ret == AUTH_YES ? "COMMIT" : "ROLLBACK");
}

/* ---- looked at, and answered ---------------------------------------------------------- */

static const char sql_look[] =
    "UPDATE auth.links SET seen_by = $2 WHERE code_hash = $1 AND expires_at > $3 AND user_id IS "
    "NULL RETURNING platform, label, network, place, expires_at";

static const char sql_approve[] =
    "UPDATE auth.links SET user_id = $4, approved_by = $2, expires_at = CASE WHEN user_id IS NULL "
    "THEN $5 ELSE expires_at END WHERE code_hash = $1 AND expires_at > $3 AND seen_by = $2 AND "
    "coalesce(approved_by, $2) = $2";

static const char sql_refuse[] =
    "DELETE FROM auth.links WHERE code_hash = $1 AND expires_at > $3 AND seen_by = $2";

static const char sql_open[] =
    "SELECT 1 FROM auth.links WHERE code_hash = $1 AND expires_at > $2 AND user_id IS NULL";

static void add_reader(struct pg_params *params, struct cq_span code,
                       const struct link_reader *reader)
{
    pg_params_init(params, PARAMS_BYTES);
    add_code(params, code);
    pg_add_uuid(params, reader->device);
    pg_add_i64(params, reader->now_ms);
}

enum cq_status link_look(struct pg *db, const struct auth_limits *limits, struct cq_span code,
                         const struct link_reader *reader, enum link_verdict *ret,
                         struct link_seen *ret_seen, struct pg_result **ret_rows)
{
    struct pg_params params;
    enum cq_status st;

    add_reader(&params, code, reader);
    st = pg_run_once(db, sql_look, &params, ret_rows);
    if (st != CQ_OK)
        return st;
    *ret = pg_rows(*ret_rows) == 1 ? LINK_YES : LINK_NO;
    if (*ret == LINK_YES)
        *ret_seen = (struct link_seen){
            .platform = pg_bytes(*ret_rows, 0, 0),
            .label = pg_bytes(*ret_rows, 0, 1),
            .network = pg_bytes(*ret_rows, 0, 2),
            .same_address = id_eq(pg_uuid(*ret_rows, 0, 3), link_place(limits, reader->from)),
            .expires_ms = pg_i64(*ret_rows, 0, 4),
        };
    return CQ_OK;
}

/* What an answer that changed no row is about. */
static enum cq_status judge_unanswered(struct pg *db, struct cq_span code,
                                       const struct link_reader *reader, enum link_verdict *ret)
{
    struct pg_params params;
    bool is_open = false;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    add_code(&params, code);
    pg_add_i64(&params, reader->now_ms);
    st = pg_found(db, sql_open, &params, &is_open);
    if (st == CQ_OK)
        *ret = is_open ? LINK_UNSEEN : LINK_NO;
    return st;
}

enum cq_status link_approve(struct pg *db, struct cq_span code, const struct link_reader *reader,
                            enum link_verdict *ret)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    struct pg_params params;
    enum cq_status st;

    add_reader(&params, code, reader);
    pg_add_uuid(&params, reader->user);
    pg_add_i64(&params, reader->now_ms + LINK_CLAIM_MS);
    st = pg_run_once(db, sql_approve, &params, &done);
    *ret = LINK_YES;
    return st != CQ_OK || pg_affected(done) ? st : judge_unanswered(db, code, reader, ret);
}

enum cq_status link_refuse(struct pg *db, struct cq_span code, const struct link_reader *reader,
                           enum link_verdict *ret)
{
    cq_auto(pgresult) struct pg_result *done = NULL;
    struct pg_params params;
    enum cq_status st;

    add_reader(&params, code, reader);
    st = pg_run_once(db, sql_refuse, &params, &done);
    *ret = LINK_YES;
    return st != CQ_OK || pg_affected(done) ? st : judge_unanswered(db, code, reader, ret);
}

/* ---- claimed -------------------------------------------------------------------------- */

static const char sql_state[] =
    "SELECT user_id IS NOT NULL FROM auth.links WHERE secret_hash = $1 AND expires_at > $2";

/* Of two at once one finds the row gone. */
static const char sql_claim[] =
    "DELETE FROM auth.links l USING auth.devices d WHERE l.secret_hash = $1 AND l.expires_at > $2 "
    "AND d.device_id = l.approved_by AND d.user_id = l.user_id AND d.revoked_at IS NULL "
    "RETURNING l.user_id, l.approved_by, l.platform, l.label";

static enum cq_status link_state(struct pg *db, struct pg_params *params, enum link_verdict *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_run(db, sql_state, params, &rows);

    if (st == CQ_OK)
        *ret = pg_rows(rows) == 0 ? LINK_NO : pg_bool(rows, 0, 0) ? LINK_YES : LINK_WAITS;
    return st;
}

enum cq_status link_claim(struct pg *db, struct cq_span secret, int64_t now_ms,
                          enum link_verdict *ret, struct link_claim *ret_claim,
                          struct pg_result **ret_rows)
{
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    add_secret(&params, secret);
    pg_add_i64(&params, now_ms);
    st = link_state(db, &params, ret);
    if (st == CQ_OK && *ret == LINK_YES) {
        st = pg_run(db, sql_claim, &params, ret_rows);
        if (st == CQ_OK && pg_rows(*ret_rows) == 1)
            *ret_claim =
                (struct link_claim){ pg_uuid(*ret_rows, 0, 0), pg_uuid(*ret_rows, 0, 1),
                                     pg_bytes(*ret_rows, 0, 2), pg_bytes(*ret_rows, 0, 3) };
        else
            *ret = LINK_NO;
    }
    pg_params_release(&params);
    return st;
}

/* ---- guessed at ----------------------------------------------------------------------- */

enum cq_status link_missed(struct pg *db, const struct auth_limits *limits, struct cq_id from,
                           int64_t now_ms, int64_t *ret_wait_ms)
{
    return budget_take(db, limits, BUDGET_LINK_MISSES_ADDRESS, budget_key(limits, "address", from),
                       1, 0, now_ms, ret_wait_ms);
}
