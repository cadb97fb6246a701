/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/push.c - how a device can be woken, and which chats may not wake it.
 *
 * A token is one installation of the app: when it is registered, whoever had it before loses it.
 * Who has it is decided by processors/user, in the order of the claims of this token. Only devices
 * that registered with an edge which did not claim are asked of the view here.
 */
#include "edge/rest/view/push.h"
#include "edge/rest/api/chats.h"
#include "edge/rest/api/conf.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/view/chats.h"
#include "ingest/ingest.h"
#include "ingest/validate.h"
#include "schemas/subscription.h"

static const char late[] = "stored, but not visible yet: read it again later";

enum { MOVED_MAX = CALL_SUBMITS_MAX - 1 };

/* A token of Apple's is bytes in hex. Both cases mean the same token, so it is kept in lower case.
 * */
static struct cq_span lower(struct call *call, struct cq_span span)
{
    struct cq_span copy = arena_copy(call->arena, span);

    for (size_t i = 0; i < copy.n; i++)
        if (copy.p[i] >= 'A' && copy.p[i] <= 'F')
            ((uint8_t *)copy.p)[i] |= 0x20;
    return copy;
}

struct keys_ask {
    struct cq_span p256dh, auth;
};

/* PushSubscription.toJSON() of a browser. */
struct subscription_ask {
    struct cq_span endpoint;
    struct keys_ask keys;
};

struct push_ask {
    struct push_address address;
    struct subscription_ask subscription;
    bool has_mode, has_subscription;
};

#define ADDRESS(name, kind, field, ...) \
    JSON_MEMBER(name, kind, struct push_ask, address.field, ##__VA_ARGS__)

static const struct json_words kinds = { push_kind_words, PUSH_KIND_N };
static const struct json_words environments = { push_environment_words, PUSH_ENVIRONMENT_N };
static const struct json_words privacies = { push_privacy_words, PUSH_PRIVACY_N };
static const struct json_words modes = { push_mode_words, PUSH_MODE_N };

static const char subscription_rule[] =
    "subscription: endpoint, and keys with p256dh and auth, as the browser gives them";

static const struct json_member key_rows[] = {
    JSON_MEMBER("p256dh", JSON_TEXT, struct keys_ask, p256dh, .rule = subscription_rule),
    JSON_MEMBER("auth", JSON_TEXT, struct keys_ask, auth, .rule = subscription_rule),
};
static const struct json_members keys_body = JSON_MEMBERS(key_rows);

static const struct json_member subscription_rows[] = {
    JSON_MEMBER("endpoint", JSON_TEXT, struct subscription_ask, endpoint,
                .rule = subscription_rule),
    JSON_MEMBER("keys", JSON_OBJECT, struct subscription_ask, keys, .items = &keys_body,
                .rule = subscription_rule),
};
static const struct json_members subscription_body = JSON_MEMBERS(subscription_rows);

static const struct json_member address_rows[] = {
    ADDRESS("kind", JSON_WORD, kind, .words = &kinds,
            .rule = "kind: fcm_token, fcm_fid, apns or web"),
    ADDRESS("environment", JSON_WORD, environment, .optional = true, .words = &environments,
            .rule = "environment: production or sandbox"),
    ADDRESS("privacy", JSON_WORD, privacy, .optional = true, .words = &privacies,
            .rule = "privacy: full, name or none"),
    JSON_OPTIONAL("mode", JSON_WORD, struct push_ask, address.mode, has_mode, .words = &modes,
                  .rule = "mode: data or notification"),
    ADDRESS("app", JSON_TEXT, app, .optional = true, .rule = "app: must be text"),
    ADDRESS("locale", JSON_TEXT, locale, .optional = true, .rule = "locale: must be text"),
    ADDRESS("token", JSON_TEXT, token, .optional = true, .rule = "token: must be text"),
    JSON_OPTIONAL("subscription", JSON_OBJECT, struct push_ask, subscription, has_subscription,
                  .items = &subscription_body, .rule = subscription_rule),
};
static const struct json_members address_body = JSON_MEMBERS(address_rows);

/* A browser's is kept as one text. Its address was chosen by the client: it has to be at a push
 * service that is listed. Returns NULL, or what is wrong. */
static const char *take_subscription(struct call *call, struct push_ask *ask)
{
    const struct subscription_ask *from = &ask->subscription;
    const struct api_conf *conf = call->conf;
    struct subscription subscription;
    struct cq_buf text;
    bool exact;

    if (!conf->vapid_public[0])
        return "kind: no pushes to browsers here: /api/config has no webPushKey";
    if (!ask->has_subscription || ask->address.token.n)
        return subscription_rule;
    buf_init(&text, from->endpoint.n + from->keys.p256dh.n + from->keys.auth.n + 2);
    subscription_write(from->endpoint, from->keys.p256dh, from->keys.auth, &text);
    ask->address.token = arena_copy(call->arena, buf_span(&text));
    buf_release(&text);
    if (subscription_parse(ask->address.token, &subscription) &&
        !subscription_is_at(&subscription, conf->push_services, &exact))
        return "endpoint: not at a push service that is listed here";
    return NULL; /* what it must be like says validate_push() */
}

static enum call_next parse_address(struct call *call, void *asked)
{
    struct push_ask *ask = asked;
    const char *why = NULL;

    if (!ask->has_mode)
        ask->address.mode = PUSH_MODE_DATA;
    if (ask->address.kind == PUSH_KIND_APNS)
        ask->address.token = lower(call, ask->address.token);
    if (ask->address.kind == PUSH_KIND_WEB)
        why = take_subscription(call, ask);
    else if (ask->has_subscription)
        why = "subscription: with kind web only";
    if (!why)
        why = validate_push(&ask->address);
    return why ? call_bad_request(call, "%s", why) : CALL_GO_ON;
}

/* A device that registered this token before there were claims has no claim to lose. It is told to
 * forget just that registration. */
static enum cq_status submit_moved(struct call *call, struct pg *db,
                                   const struct push_address *address)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st =
        view_push_unclaimed(db, address, call->request.who.device, MOVED_MAX, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        struct push_target_row row = push_target_at(rows, i);
        struct user_action *gone = call_submit_user(call, row.user, row.device);

        gone->action.kind = USER_ACTION_PUSH_UNREGISTERED;
        gone->action.u.push_unregistered =
            (struct push_unregistered){ span_str("moved"), address->token, row.offset };
    }
    return st;
}

/* ---- registering ---------------------------------------------------------------------- */

static enum call_next admit_device(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    (void)asked;
    return id_eq(call->request.path_id[0], call->request.who.device)
               ? CALL_GO_ON
               : call_error(call, 403, "forbidden",
                            "only the device itself can set how it is woken");
}

static enum call_next begin_claim(struct call *call, struct pg *db, void *asked)
{
    const struct push_address *address = asked;
    struct user_action *sent;
    enum cq_status st = submit_moved(call, db, address);

    if (st != CQ_OK)
        return call_database(call, st);
    sent = call_submit_user(call, call->request.who.user, call->request.who.device);
    sent->action.kind = USER_ACTION_PUSH_CLAIMED;
    sent->action.u.push_claimed.address = *address;
    return CALL_GO_ON;
}

static enum call_next claim_result(struct call *call, struct pg *db, void *asked)
{
    bool is_shown = false;
    enum cq_status st =
        view_push_claimed(db, asked, call->log.submits[call->log.submits_n - 1].offset, &is_shown);

    if (st != CQ_OK)
        return call_database(call, st);
    return is_shown ? write_done(call, 200) : CALL_GO_ON;
}

static const struct write set_write = {
    .asked_bytes = sizeof(struct push_ask),
    .admit = admit_device,
    .body = &address_body,
    .parse = parse_address,
    .begin = begin_claim,
    .result = claim_result,
    .until = WRITE_TOLD,
    .late = late,
};

static enum call_next begin_drop(struct call *call, struct pg *db, void *asked)
{
    struct user_action *sent =
        call_submit_user(call, call->request.who.user, call->request.who.device);

    (void)db;
    (void)asked;
    sent->action.kind = USER_ACTION_PUSH_UNREGISTERED;
    sent->action.u.push_unregistered =
        (struct push_unregistered){ span_str("asked"), span_of("", 0), -1 };
    return CALL_GO_ON;
}

static enum call_next done(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    (void)asked;
    return write_done(call, 200);
}

static const struct write drop_write = {
    .admit = admit_device,
    .begin = begin_drop,
    .result = done,
    .until = WRITE_LOGGED,
};

/* ---- muting --------------------------------------------------------------------------- */

struct mute_ask {
    int64_t until_ms; /* 0: the mute is over */
};

static const char until_rule[] = "until: a time in the future, in ms since 1970";

static const struct json_member mute_rows[] = {
    JSON_MEMBER("until", JSON_NUMBER, struct mute_ask, until_ms, .least = INT64_MIN,
                .most = INT64_MAX, .rule = until_rule),
};
static const struct json_members mute_body = JSON_MEMBERS(mute_rows);

static enum call_next parse_mute(struct call *call, void *asked)
{
    struct mute_ask *ask = asked;

    if (ask->until_ms <= call->request.at_ms)
        return call_bad_request(call, "%s", until_rule);
    if (ask->until_ms > INGEST_TIME_MAX_MS)
        ask->until_ms = INGEST_TIME_MAX_MS;
    return CALL_GO_ON;
}

static enum call_next begin_mute(struct call *call, struct pg *db, void *asked)
{
    const struct mute_ask *ask = asked;
    struct user_action *sent;
    struct chat_view view;
    enum call_next next = chat_admit(call, db, call->request.path_id[0], &view);

    if (next != CALL_GO_ON)
        return next;
    sent = call_submit_user(call, call->request.who.user, call->request.who.device);
    sent->action.kind = USER_ACTION_CHAT_MUTED;
    sent->action.u.chat_muted = (struct chat_muted){ view.id, ask->until_ms };
    return CALL_GO_ON;
}

static const struct write mute_write = {
    .asked_bytes = sizeof(struct mute_ask),
    .body = &mute_body,
    .parse = parse_mute,
    .begin = begin_mute,
    .result = done,
    .until = WRITE_PASSED,
    .late = late,
};

static const struct write unmute_write = {
    .asked_bytes = sizeof(struct mute_ask),
    .begin = begin_mute,
    .result = done,
    .until = WRITE_PASSED,
    .late = late,
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "PUT", "/api/devices/{}/push", true, write_run, "how this device can be woken", 0,
      &set_write },
    { "DELETE", "/api/devices/{}/push", true, write_run, "this device is not to be woken", 0,
      &drop_write },
    { "PUT", "/api/chats/{}/mute", true, write_run, "no pushes from a chat for a while", 0,
      &mute_write },
    { "DELETE", "/api/chats/{}/mute", true, write_run, "pushes from a chat again", 0,
      &unmute_write },
};

const struct routes push_routes = { rows, ARRAY_LEN(rows) };
