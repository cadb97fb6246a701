/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/identity.c - my number, and the end of my account. Either takes a code to the present
 * number besides the session: whoever has a device of mine in hand for a minute, or a token of it, can
 * do neither.
 */
#include "edge/auth/accounts.h"
#include "edge/rest/api/login.h"
#include "edge/rest/api/me.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"

#include <string.h>

struct proof_ask {
    struct cq_id challenge;
    struct cq_span code;
};

static const struct json_member proof_rows[] = {
    JSON_MEMBER("challenge", JSON_ID, struct proof_ask, challenge, .rule = LOGIN_CODE_RULE),
    JSON_MEMBER("code", JSON_TEXT, struct proof_ask, code, .rule = LOGIN_CODE_RULE),
};
static const struct json_members proof_body = JSON_MEMBERS(proof_rows);

/* The number that the code was sent to. CALL_GO_ON when it is the right one. */
static enum call_next prove(struct call *call, struct pg *db, const struct proof_ask *ask,
                            char ret_number[PHONE_MAX + 1])
{
    struct cq_span name;

    return login_try_code(call, db, ask->challenge, ask->code, ret_number, &name);
}

/* The account ends here, with its row in schema auth. That its devices end, that what it shows goes and
 * that it leaves its groups follows from that row (edge/rest/leaver.h), whoever dies meanwhile. */
static enum call_next begin_delete(struct call *call, struct pg *db, void *asked)
{
    enum account_change change = ACCOUNT_GONE;
    char number[PHONE_MAX + 1];
    enum call_next next = prove(call, db, asked, number);
    enum cq_status st;

    if (next != CALL_GO_ON)
        return next;
    st = account_delete(db, call->request.who.user, number, call->request.at_ms, &change);
    if (st != CQ_OK)
        return call_database(call, st);
    return change == ACCOUNT_CHANGED ? write_done(call, 200) : login_bad_code(call);
}

static const struct write delete_write = {
    .asked_bytes = sizeof(struct proof_ask),
    .body = &proof_body,
    .begin = begin_delete,
};

#define OLD_CODE_RULE "oldChallenge and oldCode: both are required, of a code to the present number"

struct number_ask {
    struct proof_ask new, old;
};

static const struct json_member number_rows[] = {
    JSON_MEMBER("challenge", JSON_ID, struct number_ask, new.challenge, .rule = LOGIN_CODE_RULE),
    JSON_MEMBER("code", JSON_TEXT, struct number_ask, new.code, .rule = LOGIN_CODE_RULE),
    JSON_MEMBER("oldChallenge", JSON_ID, struct number_ask, old.challenge, .rule = OLD_CODE_RULE),
    JSON_MEMBER("oldCode", JSON_TEXT, struct number_ask, old.code, .rule = OLD_CODE_RULE),
};
static const struct json_members number_body = JSON_MEMBERS(number_rows);

/* The code to the present number comes first: without it nothing is learnt of the other. */
static enum call_next begin_number(struct call *call, struct pg *db, void *asked)
{
    const struct number_ask *ask = asked;
    enum account_change change = ACCOUNT_GONE;
    char number[PHONE_MAX + 1], old[PHONE_MAX + 1], present[PHONE_MAX + 1];
    enum call_next next = prove(call, db, &ask->old, old);
    enum cq_status st;

    if (next != CALL_GO_ON)
        return next;
    st = account_number(db, call->request.who.user, present);
    if (st != CQ_OK)
        return call_database(call, st);
    if (strcmp(old, present) != 0)
        return login_bad_code(call);
    next = prove(call, db, &ask->new, number);
    if (next != CALL_GO_ON)
        return next;
    st = account_renumber(db, call->request.who.user, old, number, &change);
    if (st != CQ_OK)
        return call_database(call, st);
    switch (change) {
    case ACCOUNT_CHANGED:
        return me_reply(call, db);
    case ACCOUNT_TAKEN:
        return call_error(call, 409, "number_taken",
                          "an account has this number: log in to it, and delete it, first");
    case ACCOUNT_GONE:
        break;
    }
    return call_error(call, 401, "unauthorized", "this account was deleted");
}

/* The number is in no log, and all devices are told by asking who they are. */
static const struct write number_write = {
    .asked_bytes = sizeof(struct number_ask),
    .body = &number_body,
    .begin = begin_number,
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "DELETE", "/api/me", true, write_run, "delete my account", 0, &delete_write },
    { "PUT", "/api/me/number", true, write_run, "another number of mine", 0, &number_write },
};

const struct routes identity_routes = { rows, ARRAY_LEN(rows) };
