/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/accounts.c - logging in, and what a client needs to know.
 */
#include "edge/rest/api/codes.h"
#include "edge/rest/api/conf.h"
#include "edge/rest/api/devices.h"
#include "edge/rest/api/fields.h"
#include "edge/rest/api/login.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "ingest/admission.h"
#include "ingest/validate.h"
#include "lib/base/bucket.h"
#include "lib/base/count.h"
#include "schemas/frame.h"
#include "schemas/limits.h"

/* ---- register and login --------------------------------------------------------------- */

struct code_wish {
    struct cq_span name, phone;
    struct cq_span token; /* {NULL,0}: none */
    char number[PHONE_MAX + 1];
};

static const char phone_rule[] = "phoneNumber: + and 8 to 15 digits";

static const struct json_member register_rows[] = {
    FIELD_NAME(struct code_wish, name),
    JSON_MEMBER("phoneNumber", JSON_TEXT, struct code_wish, phone, .rule = phone_rule),
    JSON_MEMBER("refreshToken", JSON_TEXT, struct code_wish, token, .optional = true,
                .rule = "refreshToken: must be text"),
};
static const struct json_members register_body = JSON_MEMBERS(register_rows);

/* The body of a login is the same without a name. */
static const struct json_members code_body = { register_rows + 1, ARRAY_LEN(register_rows) - 1 };

static enum call_next codes_limited(struct call *call, enum auth_verdict verdict, int64_t wait_ms)
{
    if (verdict == AUTH_LIMITED_ALL) {
        count_add(COUNT_CODES_OVER, 1);
        call_unavailable(
            call,
            "too many codes were sent to everybody together: ask again after Retry-After seconds");
        call->reply.retry_after_s = (int)(wait_ms / 1000) + 1;
        return CALL_REPLY;
    }
    count_add(COUNT_CODES_LIMITED, 1);
    return call_limited(
        call, wait_ms,
        verdict == AUTH_LIMITED
            ? "too many codes for this number: ask again after Retry-After seconds"
            : "too many codes from this address: ask again after Retry-After seconds");
}

/* A refresh token in the request, even an old one, says whose device asks: such a request is not
 * counted among those of strangers. */
static enum cq_status find_proof(struct call *call, struct pg *db, const struct code_wish *wish,
                                 struct cq_id *ret)
{
    struct cq_id user = { 0 }, device = { 0 }, holder = { 0 };
    struct cq_span number = span_str(wish->number);
    enum cq_status st;

    if (!wish->token.p)
        return CQ_OK;
    st = refresh_owner(db, wish->token, &device, &user);
    if (st == CQ_OK)
        st = account_holders(db, call->conf->limits.pepper, &number, 1, &holder);
    if (st == CQ_OK && id_eq(user, holder))
        *ret = device;
    return st;
}

static enum call_next make_challenge(struct call *call, struct pg *db, const struct code_wish *wish,
                                     bool *ret_made)
{
    struct code_ask ask = { .number = wish->number,
                            .name = wish->name,
                            .from = call->request.address,
                            .now_ms = call->request.at_ms };
    char code[CODE_DIGITS + 1];
    enum auth_verdict verdict;
    struct cq_id challenge;
    int64_t wait_ms = 0;
    enum cq_status st = find_proof(call, db, wish, &ask.proof);

    if (st == CQ_OK)
        st = challenge_make(db, &call->conf->limits, &ask, &verdict, &wait_ms, &challenge, code);
    if (st != CQ_OK)
        return call_database(call, st);
    if (verdict != AUTH_YES)
        return codes_limited(call, verdict, wait_ms);
    if (call->conf->codes)
        code_lane_send(call->conf->codes, wish->number, code);
    *ret_made = true;
    buf_add_byte(&call->reply.body, '{');
    out_id(&call->reply.body, "challenge", challenge);
    out_i64(&call->reply.body, "retryAfter", CODE_RETRY_S);
    if (!call->conf->codes) /* development */
        out_text(&call->reply.body, "devCode", span_str(code));
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 200);
}

static enum call_next parse_code(struct call *call, void *asked)
{
    struct code_wish *wish = asked;

    return phone_normalize(wish->phone, wish->number) ? CALL_GO_ON
                                                      : call_bad_request(call, "%s", phone_rule);
}

static enum call_next begin_code(struct call *call, struct pg *db, void *asked)
{
    const struct code_wish *wish = asked;
    bool made = false;
    enum call_next next;
    int wait_s;

    /* Reserve a place in the queue first, so that no quota is charged for a code that cannot be
     * sent. */
    wait_s = call->conf->codes ? code_lane_reserve(call->conf->codes) : 0;
    if (wait_s) {
        count_add(COUNT_CODES_REFUSED, 1);
        call_unavailable(call, "codes cannot be sent now: ask again after Retry-After seconds");
        call->reply.retry_after_s = wait_s;
        return CALL_REPLY;
    }
    next = make_challenge(call, db, wish, &made);
    if (!made && call->conf->codes)
        code_lane_cancel(call->conf->codes);
    return next;
}

/* Neither request writes to the log. The one that brings the code back does. */
static const struct write register_write = {
    .asked_bytes = sizeof(struct code_wish),
    .body = &register_body,
    .parse = parse_code,
    .begin = begin_code,
};

static const struct write code_write = {
    .asked_bytes = sizeof(struct code_wish),
    .body = &code_body,
    .parse = parse_code,
    .begin = begin_code,
};

/* ---- verify --------------------------------------------------------------------------- */

struct login_ask {
    struct cq_id challenge;
    struct cq_span code;
    struct login_wish wish;
    struct login login; /* once it is known whose code it is */
    bool is_void;       /* the account was deleted meanwhile */
};

static const struct json_member login_rows[] = {
    JSON_MEMBER("challenge", JSON_ID, struct login_ask, challenge, .rule = LOGIN_CODE_RULE),
    JSON_MEMBER("code", JSON_TEXT, struct login_ask, code, .rule = LOGIN_CODE_RULE),
    JSON_SPREAD_OF(struct login_ask, wish, &login_wish_members),
};
static const struct json_members login_body = JSON_MEMBERS(login_rows);

/* Whose code it is. CALL_GO_ON when it is the right one. */
static enum call_next find_user(struct call *call, struct pg *db, struct login_ask *ask)
{
    char number[PHONE_MAX + 1];
    enum call_next next =
        login_try_code(call, db, ask->challenge, ask->code, number, &ask->login.name);
    enum cq_status st;

    if (next != CALL_GO_ON)
        return next;
    st = account_of(db, call->conf->limits.pepper, number, call->request.at_ms, &ask->login.user,
                    &ask->login.is_new);
    return st == CQ_OK ? CALL_GO_ON : call_database(call, st);
}

static enum call_next begin_login(struct call *call, struct pg *db, void *asked)
{
    struct login_ask *ask = asked;
    enum call_next next = find_user(call, db, ask);

    if (next != CALL_GO_ON)
        return next;
    ask->login.platform = login_platform(&ask->wish);
    ask->login.label = ask->wish.label;
    return login_begin(call, db, &ask->login);
}

static enum call_next login_logged(struct call *call, struct pg *db, void *asked)
{
    struct login_ask *ask = asked;
    bool is_added = false;
    enum call_next next = login_add(call, db, &ask->login, &is_added);

    if (next != CALL_GO_ON || is_added)
        return next;
    ask->is_void = true;
    call->log.submits_n = 0;
    device_submit_end(call, ask->login.user, ask->login.device, "logout");
    return CALL_SUBMIT;
}

static enum call_next login_result(struct call *call, struct pg *db, void *asked)
{
    const struct login_ask *ask = asked;

    return ask->is_void ? login_bad_code(call)
                        : login_tokens(call, db, ask->login.user, ask->login.device);
}

/* Tokens are given out once the view has the account: before that nobody could use them. */
static const struct write login_write = {
    .asked_bytes = sizeof(struct login_ask),
    .body = &login_body,
    .begin = begin_login,
    .logged = login_logged,
    .result = login_result,
    .until = WRITE_PASSED,
    .is_blind = true,
    .late = "logged in, but not visible yet: log in again",
};

/* ---- refresh -------------------------------------------------------------------------- */

struct refresh_ask {
    struct cq_span token;
};

static const struct json_member refresh_rows[] = {
    JSON_MEMBER("refreshToken", JSON_TEXT, struct refresh_ask, token,
                .rule = "refreshToken: text, the last one that this device was given"),
};
static const struct json_members refresh_body = JSON_MEMBERS(refresh_rows);

/* A token that is used twice ends its device, which is a write. Any other request replies at once.
 * */
static enum call_next begin_refresh(struct call *call, struct pg *db, void *asked)
{
    const struct refresh_ask *ask = asked;
    enum refresh_verdict verdict;
    struct cq_id user, device;
    enum cq_status st = refresh_use(db, ask->token, call->request.at_ms, &verdict, &device, &user);

    if (st != CQ_OK)
        return call_database(call, st);
    if (verdict == REFRESH_REUSED) {
        device_submit_end(call, user, device, "reuse");
        return CALL_GO_ON;
    }
    if (verdict == REFRESH_NO)
        return call_error(call, 401, "unauthorized",
                          "refreshToken: unknown or expired; log in again");
    st = place_remember(db, &call->conf->limits, user, call->request.address, call->request.at_ms);
    return st == CQ_OK ? login_tokens(call, db, user, device) : call_database(call, st);
}

static enum call_next refresh_reused(struct call *call, struct pg *db, void *asked)
{
    enum call_next next = device_revoke_submitted(call, db);

    (void)asked;
    return next == CALL_GO_ON
               ? call_error(call, 401, "unauthorized",
                            "refreshToken: used before, so its device was ended; log in again")
               : next;
}

static const struct write refresh_write = {
    .asked_bytes = sizeof(struct refresh_ask),
    .body = &refresh_body,
    .begin = begin_refresh,
    .result = refresh_reused,
    .until = WRITE_LOGGED,
};

/* ---- config --------------------------------------------------------------------------- */

static void out_file_limits(struct call *call)
{
    const struct media_conf *conf = &call->conf->media;

    out_i64(&call->reply.body, "partBytes", media_piece_most(conf));
    out_key(&call->reply.body, "fileBytes");
    buf_add_byte(&call->reply.body, '{');
    for (int t = MESSAGE_TYPE_TEXT + 1; t < MESSAGE_TYPE_N; t++)
        out_i64(&call->reply.body, message_type_word((enum message_type)t), conf->max_bytes[t]);
    buf_add_byte(&call->reply.body, '}');
}

/* What one user may send. A client that keeps to it is never told `slow_down` or `rate_limited`. */
static void out_rates(struct call *call)
{
    struct cq_buf *out = &call->reply.body;
    int64_t rate = call->conf->rate_per_minute;
    int64_t receipts = admit_frames_per_minute(rate), searches = admit_searches_per_minute(rate);

    out_i64(out, "messagesPerMinute", rate);
    out_i64(out, "messagesAtOnce", bucket_burst(rate, ADMIT_FANOUT_BURST_SECONDS));
    out_i64(out, "messagesInFlight", ADMIT_IN_FLIGHT_MAX);
    out_i64(out, "receiptsPerMinute", receipts);
    out_i64(out, "receiptsAtOnce", bucket_burst(receipts, ADMIT_RECEIPTS_BURST_SECONDS));
    out_i64(out, "requestsPerMinute", rate);
    out_i64(out, "requestsAtOnce", bucket_burst(rate, ADMIT_REQUESTS_BURST_SECONDS));
    out_i64(out, "searchesPerMinute", searches);
    out_i64(out, "searchesAtOnce", bucket_burst(searches, ADMIT_REQUESTS_BURST_SECONDS));
    out_i64(out, "sockets", ADMIT_SOCKETS_MAX);
    out_i64(out, "signalsPerMinute", ADMIT_SIGNALS_PER_MINUTE);
    out_i64(out, "signalsAtOnce", ADMIT_SIGNALS_BURST);
    out_i64(out, "looks", ADMIT_LOOKS_MAX);
}

static enum call_next handle_config(struct call *call, struct pg *db)
{
    (void)db;
    buf_add_byte(&call->reply.body, '{');
    out_text(&call->reply.body, "wsUrl", span_str(call->conf->ws_url));
    out_text(&call->reply.body, "codeDriver", span_str(call->conf->code_driver));
    out_text(&call->reply.body, "version", span_str(CHASQUI_VERSION));
    out_words(&call->reply.body, "capabilities", frame_capabilities.v, frame_capabilities.n);
    if (call->conf->vapid_public[0])
        out_text(&call->reply.body, "webPushKey", span_str(call->conf->vapid_public));
    out_key(&call->reply.body, "limits");
    buf_add_byte(&call->reply.body, '{');
    out_i64(&call->reply.body, "contentBytes", LIMIT_CONTENT_BYTES);
    out_i64(&call->reply.body, "mentions", LIMIT_MESSAGE_SENT_MENTIONS);
    out_i64(&call->reply.body, "clientIdChars", LIMIT_CLIENT_ID_BYTES);
    out_i64(&call->reply.body, "groupMembers", LIMIT_GROUP_MEMBERS);
    out_i64(&call->reply.body, "nameChars", LIMIT_NAME_CHARS);
    out_i64(&call->reply.body, "editMinutes", LIMIT_EDIT_MINUTES);
    out_i64(&call->reply.body, "deleteHours", LIMIT_DELETE_HOURS);
    out_i64(&call->reply.body, "blocks", LIMIT_BLOCKS);
    out_i64(&call->reply.body, "pins", LIMIT_PINS);
    out_i64(&call->reply.body, "marks", LIMIT_MARKS);
    out_i64(&call->reply.body, "draftBytes", LIMIT_DRAFT_BYTES);
    out_i64(&call->reply.body, "pinnedMessages", LIMIT_PINNED);
    out_i64(&call->reply.body, "starred", LIMIT_STARRED);
    out_i64(&call->reply.body, "invites", LIMIT_INVITES);
    out_i64(&call->reply.body, "pollOptions", LIMIT_POLL_OPTIONS);
    out_i64(&call->reply.body, "pollOptionChars", LIMIT_POLL_OPTION_CHARS);
    out_i64(&call->reply.body, "questionBytes", LIMIT_QUESTION_BYTES);
    out_rates(call);
    if (call->conf->media.store.where[0])
        out_file_limits(call);
    buf_add_str(&call->reply.body, "}}");
    return call_reply(call, 200);
}

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "POST", "/api/register", false, write_run, "send a code; the name is set when it is used",
      ROUTE_LOGIN, &register_write },
    { "POST", "/api/login", false, write_run, "send a code", ROUTE_LOGIN, &code_write },
    { "POST", "/api/verify", false, write_run, "use the code: tokens", ROUTE_LOGIN, &login_write },
    { "POST", "/api/token/refresh", false, write_run, "a new pair of tokens", ROUTE_LOGIN,
      &refresh_write },
    { "GET", "/api/config", false, handle_config, "what a client needs to know", 0, NULL },
};

const struct routes accounts_routes = { rows, ARRAY_LEN(rows) };
