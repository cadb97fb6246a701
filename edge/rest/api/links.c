/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/links.c - a new device is let in by one that is logged in: it asks, shows its code,
 * is looked at and approved there, and then gets tokens of its own (edge/auth/links.h).
 */
#include "edge/auth/links.h"

#include "edge/rest/api/conf.h"
#include "edge/rest/api/devices.h"
#include "edge/rest/api/login.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"
#include "lib/base/address.h"
#include "lib/base/count.h"

/* Beyond its budget an address is told to wait in place of `reply`. */
static enum call_next missed(struct call *call, struct pg *db,
                             enum call_next (*reply)(struct call *call))
{
    int64_t wait_ms = 0;
    enum cq_status st =
        link_missed(db, &call->conf->limits, call->request.address, call->request.at_ms, &wait_ms);

    if (st != CQ_OK)
        return call_database(call, st);
    if (!wait_ms)
        return reply(call);
    count_add(COUNT_LINK_GUESSES_REFUSED, 1);
    return call_limited(call, wait_ms,
                        "code, secret: too many of no link; ask again after Retry-After seconds");
}

/* ---- asked for ------------------------------------------------------------------------ */

static enum call_next links_limited(struct call *call, enum auth_verdict verdict, int64_t wait_ms)
{
    count_add(COUNT_LINKS_REFUSED, 1);
    if (verdict == AUTH_LIMITED_ADDRESS)
        return call_limited(
            call, wait_ms, "too many links from this address: ask again after Retry-After seconds");
    call_unavailable(call,
                     "too many links of everybody together: ask again after Retry-After seconds");
    call->reply.retry_after_s = (int)(wait_ms / 1000) + 1;
    return CALL_REPLY;
}

/* Both members may be absent, and so may the body. */
static enum call_next parse_link(struct call *call, void *asked)
{
    const struct json *body = call->request.json;

    (void)asked;
    return body && !json_is_object(body) ? call_bad_request(call, "body: an object, or none")
                                         : CALL_GO_ON;
}

static enum call_next begin_link(struct call *call, struct pg *db, void *asked)
{
    const struct login_wish *wish = asked;
    char network[ADDRESS_NETWORK_MAX];
    struct link_ask ask = { .platform = login_platform(wish),
                            .label = wish->label,
                            .from = call->request.address,
                            .now_ms = call->request.at_ms };
    struct cq_buf *body = &call->reply.body;
    enum auth_verdict verdict;
    struct link_texts texts;
    int64_t wait_ms = 0;
    enum cq_status st;

    address_network(call->request.client, network);
    ask.network = span_str(network);
    st = link_make(db, &call->conf->limits, &ask, &verdict, &wait_ms, &texts);
    if (st != CQ_OK)
        return call_database(call, st);
    if (verdict != AUTH_YES)
        return links_limited(call, verdict, wait_ms);
    buf_add_byte(body, '{');
    out_text(body, "code", span_str(texts.code));
    out_text(body, "secret", span_str(texts.secret));
    out_i64(body, "expiresAt", ask.now_ms + LINK_TTL_MS);
    out_i64(body, "retryAfter", LINK_POLL_S);
    buf_add_byte(body, '}');
    return call_reply(call, 200);
}

static const struct write ask_write = {
    .asked_bytes = sizeof(struct login_wish),
    .body = &login_wish_members,
    .parse = parse_link,
    .begin = begin_link,
};

/* ---- looked at, and answered ---------------------------------------------------------- */

struct link_words {
    struct cq_span code;
    bool approve;
};

#define CODE_MEMBER                                         \
    JSON_MEMBER("code", JSON_TEXT, struct link_words, code, \
                .rule = "code: the one that the new device was given")

static const struct json_member look_rows[] = { CODE_MEMBER };
static const struct json_members look_body = JSON_MEMBERS(look_rows);

static const struct json_member answer_rows[] = {
    CODE_MEMBER,
    JSON_MEMBER("approve", JSON_BOOL, struct link_words, approve, .rule = "approve: true or false"),
};
static const struct json_members answer_body = JSON_MEMBERS(answer_rows);

static struct link_reader reader_of(const struct call *call)
{
    return (struct link_reader){ .user = call->request.who.user,
                                 .device = call->request.who.device,
                                 .from = call->request.address,
                                 .now_ms = call->request.at_ms };
}

static enum call_next begin_look(struct call *call, struct pg *db, void *asked)
{
    const struct link_words *ask = asked;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct link_reader reader = reader_of(call);
    struct cq_buf *body = &call->reply.body;
    enum link_verdict verdict;
    struct link_seen seen;
    enum cq_status st =
        link_look(db, &call->conf->limits, ask->code, &reader, &verdict, &seen, &rows);

    if (st != CQ_OK)
        return call_database(call, st);
    if (verdict != LINK_YES)
        return missed(call, db, call_not_found);
    buf_add_str(body, "{\"link\":{");
    out_text(body, "platform", seen.platform);
    out_text(body, "label", seen.label);
    out_text(body, "network", seen.network);
    out_bool(body, "sameAddress", seen.same_address);
    out_i64(body, "expiresAt", seen.expires_ms);
    buf_add_str(body, "}}");
    return call_reply(call, 200);
}

static enum call_next begin_answer(struct call *call, struct pg *db, void *asked)
{
    const struct link_words *ask = asked;
    struct link_reader reader = reader_of(call);
    enum link_verdict verdict;
    enum cq_status st = ask->approve ? link_approve(db, ask->code, &reader, &verdict)
                                     : link_refuse(db, ask->code, &reader, &verdict);

    if (st != CQ_OK)
        return call_database(call, st);
    switch (verdict) {
    case LINK_YES:
        return write_done(call, 200);
    case LINK_UNSEEN:
        return call_error(call, 409, "conflict",
                          "code: look at its link on this device first, by POST /api/links/look");
    case LINK_WAITS:
    case LINK_NO:
        break;
    }
    return missed(call, db, call_not_found);
}

static const struct write look_write = {
    .asked_bytes = sizeof(struct link_words),
    .body = &look_body,
    .begin = begin_look,
};

static const struct write answer_write = {
    .asked_bytes = sizeof(struct link_words),
    .body = &answer_body,
    .begin = begin_answer,
};

/* ---- claimed -------------------------------------------------------------------------- */

struct claim_ask {
    struct cq_span secret;
    struct login login;
    bool is_void; /* the device that approved it was ended before this one counted */
};

static const struct json_member claim_rows[] = {
    JSON_MEMBER("secret", JSON_TEXT, struct claim_ask, secret,
                .rule = "secret: text, the one that POST /api/links gave"),
};
static const struct json_members claim_body = JSON_MEMBERS(claim_rows);

static enum call_next no_link(struct call *call)
{
    return call_error(call, 401, "bad_code",
                      "secret: of no link, or it is expired, refused or used; ask for a new one");
}

static enum call_next not_yet(struct call *call)
{
    buf_add_byte(&call->reply.body, '{');
    out_i64(&call->reply.body, "retryAfter", LINK_POLL_S);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 202);
}

static enum call_next begin_claim(struct call *call, struct pg *db, void *asked)
{
    struct claim_ask *ask = asked;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum link_verdict verdict;
    struct link_claim claim;
    enum cq_status st = link_claim(db, ask->secret, call->request.at_ms, &verdict, &claim, &rows);

    if (st != CQ_OK)
        return call_database(call, st);
    if (verdict == LINK_WAITS)
        return not_yet(call);
    if (verdict != LINK_YES)
        return missed(call, db, no_link);
    ask->login = (struct login){ .user = claim.user,
                                 .by = claim.by,
                                 .platform = arena_copy(call->arena, claim.platform),
                                 .label = arena_copy(call->arena, claim.label) };
    return login_begin(call, db, &ask->login);
}

static enum call_next claim_logged(struct call *call, struct pg *db, void *asked)
{
    struct claim_ask *ask = asked;
    bool is_added = false;
    enum call_next next = login_add(call, db, &ask->login, &is_added);

    if (next != CALL_GO_ON || is_added)
        return next;
    ask->is_void = true;
    call->log.submits_n = 0;
    device_submit_end(call, ask->login.user, ask->login.device, "logout");
    return CALL_SUBMIT;
}

static enum call_next claim_result(struct call *call, struct pg *db, void *asked)
{
    const struct claim_ask *ask = asked;

    return ask->is_void ? no_link(call)
                        : login_tokens(call, db, ask->login.user, ask->login.device);
}

/* As with a log-in by a code: tokens are given out once the view has the device. */
static const struct write claim_write = {
    .asked_bytes = sizeof(struct claim_ask),
    .body = &claim_body,
    .begin = begin_claim,
    .logged = claim_logged,
    .result = claim_result,
    .until = WRITE_PASSED,
    .is_blind = true,
    .late = "linked, but not visible yet: ask for a new link",
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "POST", "/api/links", false, write_run, "ask another device of one's own to let this one in",
      ROUTE_LOGIN, &ask_write },
    { "POST", "/api/links/look", true, write_run, "which device asks", 0, &look_write },
    { "POST", "/api/links/answer", true, write_run, "approve or refuse it", 0, &answer_write },
    { "POST", "/api/links/claim", false, write_run, "tokens, once it is approved", ROUTE_LOGIN,
      &claim_write },
};

const struct routes links_routes = { rows, ARRAY_LEN(rows) };
