/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/accounts.c - logging in, who I am.
 */
#include "edge/auth/devices.h"
#include "edge/rest/codes.h"
#include "edge/rest/rest.h"
#include "ingest/ingest.h"
#include "ingest/validate.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "schemas/frame.h"

enum { LOOKUP_MAX = 100 };

/* ---- register and login --------------------------------------------------------------- */

static enum call_next codes_limited(struct call *c, enum auth_verdict verdict, int64_t wait_ms)
{
    if (verdict == AUTH_LIMITED_ALL) {
        count_add(COUNT_CODES_OVER, 1);
        call_unavailable(
            c,
            "too many codes were sent to everybody together: ask again after Retry-After seconds");
        c->retry_after_s = (int)(wait_ms / 1000) + 1;
        return CALL_REPLY;
    }
    count_add(COUNT_CODES_LIMITED, 1);
    return call_limited(
        c, wait_ms,
        verdict == AUTH_LIMITED
            ? "too many codes for this number: ask again after Retry-After seconds"
            : "too many codes from this address: ask again after Retry-After seconds");
}

/* A refresh token in the request, even an old one, says whose device asks: it is not counted with
 * strangers. */
static enum cq_status find_proof(struct call *c, struct pg *db, const char *number,
                                 struct cq_id *ret)
{
    struct cq_id user = { 0 }, device = { 0 };
    struct cq_span token;
    enum cq_status st;

    if (!json_get_text(c->json, "refreshToken", &token))
        return CQ_OK;
    st = refresh_owner(db, token, &device, &user);
    if (st == CQ_OK && id_eq(user, phone_user_id(c->conf->limits.pepper, number, 0)))
        *ret = device;
    return st;
}

static enum call_next make_challenge(struct call *c, struct pg *db, const char *number,
                                     struct cq_span name, bool *ret_made)
{
    struct code_ask ask = {
        .number = number, .name = name, .from = c->client, .now_ms = c->now_ms
    };
    char code[CODE_DIGITS + 1];
    enum auth_verdict verdict;
    struct cq_id challenge;
    int64_t wait_ms = 0;
    enum cq_status st = find_proof(c, db, number, &ask.proof);

    if (st == CQ_OK)
        st = challenge_make(db, &c->conf->limits, &ask, &verdict, &wait_ms, &challenge, code);
    if (st != CQ_OK)
        return call_database(c, st);
    if (verdict != AUTH_YES)
        return codes_limited(c, verdict, wait_ms);
    if (c->conf->codes)
        code_lane_send(c->conf->codes, number, code);
    *ret_made = true;
    buf_add_byte(&c->out, '{');
    out_id(&c->out, "challenge", challenge);
    out_i64(&c->out, "retryAfter", CODE_RETRY_S);
    if (!c->conf->codes) /* development */
        out_text(&c->out, "devCode", span_str(code));
    buf_add_byte(&c->out, '}');
    return call_reply(c, 200);
}

static enum call_next start_challenge(struct call *c, struct pg *db, struct cq_span name)
{
    struct cq_span phone, token;
    char number[PHONE_MAX + 1];
    bool made = false;
    enum call_next next;
    int wait_s;

    if (!json_get_text(c->json, "phoneNumber", &phone) || !phone_normalize(phone, number))
        return call_bad_request(c, "phoneNumber: + and 8 to 15 digits");
    if (json_get(c->json, "refreshToken") && !json_get_text(c->json, "refreshToken", &token))
        return call_bad_request(c, "refreshToken: must be text");
    /* Reserve a place in the queue first, so that no quota is charged for a code that cannot be
     * sent. */
    wait_s = c->conf->codes ? code_lane_reserve(c->conf->codes) : 0;
    if (wait_s) {
        count_add(COUNT_CODES_REFUSED, 1);
        call_unavailable(c, "codes cannot be sent now: ask again after Retry-After seconds");
        c->retry_after_s = wait_s;
        return CALL_REPLY;
    }
    next = make_challenge(c, db, number, name, &made);
    if (!made && c->conf->codes)
        code_lane_cancel(c->conf->codes);
    return next;
}

enum call_next handle_register(struct call *c, struct pg *db)
{
    struct cq_span name;

    if (!json_get_text(c->json, "name", &name) || !display_name_good(name))
        return call_bad_request(c, CALL_NAME_TEXT);
    return start_challenge(c, db, name);
}

enum call_next handle_login(struct call *c, struct pg *db)
{
    return start_challenge(c, db, span_of(NULL, 0));
}

/* ---- verify --------------------------------------------------------------------------- */

struct verified {
    struct cq_id user, device;
    struct cq_span name;
};

static enum cq_status write_tokens(struct call *c, struct pg *db, struct cq_id user,
                                   struct cq_id device)
{
    int64_t now_s = clock_wall_ms() / 1000;
    struct token_claims claims = { user, device, now_s, now_s + ACCESS_TTL_S };
    char access[TOKEN_TEXT_MAX], refresh[REFRESH_TEXT + 1];
    enum cq_status st = token_sign(c->conf->keys, &claims, access, sizeof access);

    if (st == CQ_OK)
        st = refresh_make(db, device, user, c->now_ms, refresh);
    if (st != CQ_OK)
        return st;
    buf_add_byte(&c->out, '{');
    out_id(&c->out, "userId", user);
    out_id(&c->out, "deviceId", device);
    out_text(&c->out, "accessToken", span_str(access));
    out_i64(&c->out, "expiresAt", claims.expires_s * 1000);
    out_text(&c->out, "refreshToken", span_str(refresh));
    buf_add_byte(&c->out, '}');
    return CQ_OK;
}

static struct cq_span platform_of(const struct call *c)
{
    static const char *const known[] = { "web", "android", "ios" };
    struct cq_span s;

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (json_get_text(c->json, "platform", &s) && span_eq_str(s, known[i]))
            return span_str(known[i]);
    return span_str("other");
}

static void submit_login(struct call *c, const struct verified *v, bool is_new,
                         const struct cq_id *evicted, size_t evicted_n)
{
    struct user_action *a;
    struct cq_span label;

    for (size_t i = 0; i < evicted_n; i++) {
        a = call_submit_user(c, v->user, evicted[i]);
        a->action.kind = USER_ACTION_DEVICE_UNLINKED;
        a->action.u.device_unlinked.reason = span_str("too_many_devices");
    }
    if (is_new || v->name.n) {
        a = call_submit_user(c, v->user, v->device);
        a->action.kind = USER_ACTION_USER_SIGNED_UP;
        a->action.u.user_signed_up.name = v->name;
    }
    a = call_submit_user(c, v->user, v->device);
    a->action.kind = USER_ACTION_DEVICE_LINKED;
    a->action.u.device_linked.platform = platform_of(c);
    if (json_get_text(c->json, "label", &label))
        a->action.u.device_linked.label = label;
}

static enum call_next check_code(struct call *c, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct verified *v = ARENA_NEW(c->arena, struct verified);
    char number[PHONE_MAX + 1];
    struct cq_id challenge, evicted[DEVICES_EVICTED_MAX];
    size_t evicted_n = 0;
    struct cq_span code, name, label;
    enum auth_verdict verdict;
    enum cq_status st;
    int64_t wait_ms = 0;
    bool is_new = false;

    if (!v || !json_get_id(c->json, "challenge", &challenge) ||
        !json_get_text(c->json, "code", &code))
        return call_bad_request(c, "challenge and code: both are required");
    if (json_get(c->json, "label") &&
        (!json_get_text(c->json, "label", &label) || !device_label_good(label)))
        return call_bad_request(c,
                                "label: " CALL_NAME_RULE ", 100 characters in 200 bytes at most");
    st = challenge_try(db, &c->conf->limits, challenge, code, c->client, c->now_ms, &verdict,
                       &wait_ms, number, &name, &rows);
    if (st == CQ_OK && verdict == AUTH_LIMITED) {
        count_add(COUNT_GUESSES_REFUSED, 1);
        return call_limited(c, wait_ms, "too many wrong codes: ask for a new one");
    }
    if (st == CQ_OK && verdict != AUTH_YES)
        return call_error(c, 401, "bad_code", "wrong or expired code");
    if (st == CQ_OK) {
        v->name = arena_copy(c->arena, name);
        v->device = id_random();
        st = account_of(db, c->conf->limits.pepper, number, c->now_ms, &v->user, &is_new);
    }
    if (st == CQ_OK)
        st = place_remember(db, &c->conf->limits, v->user, c->client, c->now_ms);
    if (st == CQ_OK)
        st = devices_over(db, v->user, evicted, &evicted_n);
    if (st != CQ_OK)
        return call_database(c, st);
    submit_login(c, v, is_new, evicted, evicted_n);
    c->state = v;
    c->step = 1;
    return CALL_SUBMIT;
}

enum call_next handle_verify(struct call *c, struct pg *db)
{
    const struct verified *v = c->state;
    enum cq_status st;

    switch (c->step) {
    case 0:
        return check_code(c, db);
    case 1: /* the log has it: only now may it end another device */
        st = device_add(db, v->device, v->user, c->now_ms);
        if (st != CQ_OK)
            return call_database(c, st);
        /* the account can be used once the view has it */
        return call_wait_for(c, c->submits_n - 1, 2);
    default:
        if (c->timed_out && !c->in_vain)
            return call_unavailable(c, "logged in, but not visible yet: log in again");
        if (!c->passed && !c->in_vain)
            return call_wait_for(c, c->submits_n - 1, 2);
        st = write_tokens(c, db, v->user, v->device);
        return st == CQ_OK ? call_reply(c, 200) : call_database(c, st);
    }
}

/* ---- refresh -------------------------------------------------------------------------- */

enum call_next handle_refresh(struct call *c, struct pg *db)
{
    enum refresh_verdict verdict;
    struct cq_id user, device;
    struct cq_span token;
    enum cq_status st;

    if (c->step == 1) {
        st = device_revoke(db, c->submits[0].u.user.device_id, c->now_ms);
        return st == CQ_OK
                   ? call_error(c, 401, "unauthorized",
                                "refreshToken: used before, so its device was ended; log in again")
                   : call_database(c, st);
    }
    if (!json_get_text(c->json, "refreshToken", &token))
        return call_bad_request(c, "refreshToken: required");
    st = refresh_use(db, token, c->now_ms, &verdict, &device, &user);
    if (st != CQ_OK)
        return call_database(c, st);
    if (verdict == REFRESH_REUSED)
        return unlink_device(c, user, device, "reuse");
    if (verdict == REFRESH_NO)
        return call_error(c, 401, "unauthorized", "refreshToken: unknown or expired; log in again");
    st = place_remember(db, &c->conf->limits, user, c->client, c->now_ms);
    if (st == CQ_OK)
        st = write_tokens(c, db, user, device);
    return st == CQ_OK ? call_reply(c, 200) : call_database(c, st);
}

/* ---- me ------------------------------------------------------------------------------- */

static enum call_next reply_me(struct call *c, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    char number[PHONE_MAX + 1];
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, c->who.user);
    st = pg_run(db, "SELECT name FROM view.users WHERE user_id = $1", &p, &rows);
    pg_params_release(&p);
    if (st == CQ_OK)
        st = account_number(db, c->who.user, number);
    if (st != CQ_OK)
        return call_database(c, st);
    buf_add_byte(&c->out, '{');
    out_id(&c->out, "userId", c->who.user);
    out_text(&c->out, "name", pg_rows(rows) ? pg_bytes(rows, 0, 0) : span_str(""));
    out_text(&c->out, "phoneNumber", span_str(number));
    out_id(&c->out, "deviceId", c->who.device);
    buf_add_byte(&c->out, '}');
    return call_reply(c, 200);
}

enum call_next handle_me(struct call *c, struct pg *db)
{
    return reply_me(c, db);
}

enum call_next handle_me_edit(struct call *c, struct pg *db)
{
    struct user_action *a;
    struct cq_span name;

    switch (c->step) {
    case 0:
        if (!json_get_text(c->json, "name", &name) || !display_name_good(name))
            return call_bad_request(c, CALL_NAME_TEXT);
        a = call_submit_user(c, c->who.user, c->who.device);
        a->action.kind = USER_ACTION_PROFILE_EDITED;
        a->action.u.profile_edited.name = name;
        c->step = 1;
        return CALL_SUBMIT;
    case 1:
        return call_wait_for(c, 0, 2);
    default:
        if (c->timed_out)
            return call_unavailable(c, "stored, but not visible yet: read it again later");
        return c->passed ? reply_me(c, db) : call_wait_for(c, 0, 2);
    }
}

/* ---- config --------------------------------------------------------------------------- */

static void out_file_limits(struct call *c)
{
    const struct media_conf *m = &c->conf->media;

    out_i64(&c->out, "partBytes", media_piece_most(m));
    out_key(&c->out, "fileBytes");
    buf_add_byte(&c->out, '{');
    for (int t = MESSAGE_TYPE_TEXT + 1; t < MESSAGE_TYPE_N; t++)
        out_i64(&c->out, message_type_word((enum message_type)t), m->max_bytes[t]);
    buf_add_byte(&c->out, '}');
}

enum call_next handle_config(struct call *c, struct pg *db)
{
    (void)db;
    buf_add_byte(&c->out, '{');
    out_text(&c->out, "wsUrl", span_str(c->conf->ws_url));
    out_text(&c->out, "codeDriver", span_str(c->conf->code_driver));
    out_text(&c->out, "version", span_str(CHASQUI_VERSION));
    out_key(&c->out, "limits");
    buf_add_byte(&c->out, '{');
    out_i64(&c->out, "contentBytes", LIMIT_CONTENT_BYTES);
    out_i64(&c->out, "clientIdChars", LIMIT_CLIENT_ID_BYTES);
    out_i64(&c->out, "groupMembers", LIMIT_GROUP_MEMBERS);
    out_i64(&c->out, "nameChars", LIMIT_NAME_CHARS);
    if (c->conf->media.store.where[0])
        out_file_limits(c);
    buf_add_str(&c->out, "}}");
    return call_reply(c, 200);
}
