/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/push.c - how a device can be woken, and which chats may not wake it.
 *
 * A token is one installation of the app: when it is registered, whoever had it before loses it.
 * Who has it is decided by processors/user, in the order of the claims of this token. Only devices
 * that registered with an edge which did not claim are asked of the view here.
 */
#include "edge/rest/rest.h"
#include "ingest/ingest.h"
#include "ingest/validate.h"
#include "schemas/topics.h"

enum { PARAMS_BYTES = 4096, MOVED_MAX = CALL_SUBMITS_MAX - 1 };

/* The index of a word; its list ends with NULL. False when it is none of them. */
static bool parse_word(struct cq_span word, const char *const *list, unsigned *ret)
{
    for (unsigned i = 0; list[i]; i++)
        if (span_eq_str(word, list[i])) {
            *ret = i;
            return true;
        }
    return false;
}

/* A member that is one of the words, or absent: then the first. */
static bool word_of(const struct call *c, const char *name, const char *const *list, unsigned *ret)
{
    struct cq_span word;

    *ret = 0;
    if (!json_get(c->json, name))
        return true;
    return json_get_text(c->json, name, &word) && parse_word(word, list, ret);
}

static struct cq_span text_of(const struct call *c, const char *name)
{
    struct cq_span s;

    return json_get_text(c->json, name, &s) ? s : span_of("", 0);
}

static bool is_text_or_absent(const struct call *c, const char *name)
{
    struct cq_span s;

    return !json_get(c->json, name) || json_get_text(c->json, name, &s);
}

/* Apple's tokens are bytes, whose hex may come in either case. */
static struct cq_span lower(struct call *c, struct cq_span s)
{
    struct cq_span copy = arena_copy(c->arena, s);

    for (size_t i = 0; i < copy.n; i++)
        if (copy.p[i] >= 'A' && copy.p[i] <= 'F')
            ((uint8_t *)copy.p)[i] |= 0x20;
    return copy;
}

static bool parse_address(struct call *c, struct push_address *a, enum call_next *ret)
{
    static const char *const kinds[] = { "fcm_token", "fcm_fid", "apns", NULL };
    static const char *const environments[] = { "production", "sandbox", NULL };
    static const char *const privacies[] = { "full", "name", "none", NULL };
    static const char *const modes[] = { "data", "notification", NULL };
    unsigned kind, environment, privacy, mode;
    const char *field = NULL;

    _Static_assert(ARRAY_LEN(kinds) == PUSH_KIND_N + 1, "a word for each PushKind");
    _Static_assert(ARRAY_LEN(environments) == PUSH_ENVIRONMENT_N + 1,
                   "a word for each PushEnvironment");
    _Static_assert(ARRAY_LEN(privacies) == PUSH_PRIVACY_N + 1, "a word for each PushPrivacy");
    _Static_assert(ARRAY_LEN(modes) == PUSH_MODE_N + 1, "a word for each PushMode");
    if (!parse_word(text_of(c, "kind"), kinds, &kind))
        field = "kind";
    else if (!word_of(c, "environment", environments, &environment))
        field = "environment";
    else if (!word_of(c, "privacy", privacies, &privacy))
        field = "privacy";
    else if (!word_of(c, "mode", modes, &mode))
        field = "mode";
    else if (!is_text_or_absent(c, "app"))
        field = "app";
    else if (!is_text_or_absent(c, "locale"))
        field = "locale";
    if (!field) {
        *a = (struct push_address){
            .kind = (enum push_kind)kind,
            .token = text_of(c, "token"),
            .app = text_of(c, "app"),
            .environment = (enum push_environment)environment,
            .locale = text_of(c, "locale"),
            .privacy = (enum push_privacy)privacy,
            .mode = mode ? PUSH_MODE_NOTIFICATION : PUSH_MODE_DATA,
        };
        if (a->kind == PUSH_KIND_APNS)
            a->token = lower(c, a->token);
        field = validate_push(a);
    }
    if (field)
        *ret = call_bad_request(c, field);
    return !field;
}

/* The first two parameters of what is asked about a token. */
static void begin_with_token(struct pg_params *p, const struct push_address *a)
{
    pg_params_init(p, PARAMS_BYTES);
    pg_add_text(p, a->token);
    pg_add_i32(p, (int32_t)a->kind);
}

/* Whoever has this token without having claimed it, from before there were claims, is told to
 * forget just that registration. */
static enum cq_status submit_moved(struct call *c, struct pg *db, const struct push_address *a)
{
    static const char sql[] =
        "SELECT user_id, device_id, src_offset FROM view.push_targets WHERE token = $1 "
        "AND kind = $2 AND device_id <> $3 AND claim < 0 ORDER BY registered_at LIMIT $4";
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    begin_with_token(&p, a);
    pg_add_uuid(&p, c->who.device);
    pg_add_i64(&p, MOVED_MAX);
    st = pg_run(db, sql, &p, &rows);
    pg_params_release(&p);
    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        struct user_action *gone = call_submit_user(c, pg_uuid(rows, i, 0), pg_uuid(rows, i, 1));

        gone->action.kind = USER_ACTION_PUSH_UNREGISTERED;
        gone->action.u.push_unregistered =
            (struct push_unregistered){ span_str("moved"), a->token,
                                        seq_offset(pg_i64(rows, i, 2)) };
    }
    return st;
}

static enum call_next refuse_other(struct call *c)
{
    return call_error(c, 403, "forbidden", "only the device itself can set how it is woken");
}

static enum call_next set_first(struct call *c, struct pg *db)
{
    struct push_address address;
    struct user_action *a;
    enum call_next next;
    enum cq_status st;

    if (!id_eq(c->path_id[0], c->who.device))
        return refuse_other(c);
    if (!parse_address(c, &address, &next))
        return next;
    st = submit_moved(c, db, &address);
    if (st != CQ_OK)
        return call_database(c, st);
    a = call_submit_user(c, c->who.user, c->who.device);
    a->action.kind = USER_ACTION_PUSH_CLAIMED;
    a->action.u.push_claimed.address = address;
    c->step = 1;
    return CALL_SUBMIT;
}

/* The view has the device with this claim, or whoever claimed the token after it. */
static enum call_next look_at_claim(struct call *c, struct pg *db)
{
    static const char sql[] =
        "SELECT 1 FROM view.push_targets WHERE token = $1 AND kind = $2 AND claim >= $3 LIMIT 1";
    const struct call_submit *s = &c->submits[c->submits_n - 1];
    const struct push_address *a = &s->u.user.action.u.push_claimed.address;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    begin_with_token(&p, a);
    pg_add_i64(&p, s->offset);
    st = pg_run(db, sql, &p, &rows);
    pg_params_release(&p);
    if (st != CQ_OK)
        return call_database(c, st);
    if (pg_rows(rows)) {
        buf_add_str(&c->out, "{}");
        return call_reply(c, 200);
    }
    return c->timed_out ? call_unavailable(c, "stored, but not visible yet: read it again later")
                        : call_look_again(c, 1);
}

enum call_next handle_push_set(struct call *c, struct pg *db)
{
    return c->step ? look_at_claim(c, db) : set_first(c, db);
}

enum call_next handle_push_drop(struct call *c, struct pg *db)
{
    struct user_action *a;

    (void)db;
    if (c->step == 0) {
        if (!id_eq(c->path_id[0], c->who.device))
            return refuse_other(c);
        a = call_submit_user(c, c->who.user, c->who.device);
        a->action.kind = USER_ACTION_PUSH_UNREGISTERED;
        a->action.u.push_unregistered =
            (struct push_unregistered){ span_str("asked"), span_of("", 0), -1 };
        c->step = 1;
        return CALL_SUBMIT;
    }
    buf_add_str(&c->out, "{}");
    return call_reply(c, 200);
}

/* ---- muting --------------------------------------------------------------------------- */

static enum call_next mute(struct call *c, struct pg *db, int64_t until_ms)
{
    struct user_action *a;
    struct chat_view view;
    enum cq_status st;
    bool there;

    switch (c->step) {
    case 0:
        st = view_chat(db, c->path_id[0], c->who.user, &view, &there);
        if (st != CQ_OK)
            return call_database(c, st);
        if (!there || !view.present)
            return call_not_found(c);
        a = call_submit_user(c, c->who.user, c->who.device);
        a->action.kind = USER_ACTION_CHAT_MUTED;
        if (until_ms > INGEST_TIME_MAX_MS)
            until_ms = INGEST_TIME_MAX_MS;
        a->action.u.chat_muted = (struct chat_muted){ c->path_id[0], until_ms };
        c->step = 1;
        return CALL_SUBMIT;
    case 1:
        return call_wait_for(c, 0, 2);
    default:
        if (c->timed_out)
            return call_unavailable(c, "stored, but not visible yet: read it again later");
        if (!c->passed)
            return call_wait_for(c, 0, 2);
        buf_add_str(&c->out, "{}");
        return call_reply(c, 200);
    }
}

enum call_next handle_mute_set(struct call *c, struct pg *db)
{
    int64_t until_ms = 0;

    if (c->step == 0 && (!json_get_i64(c->json, "until", &until_ms) || until_ms <= c->now_ms))
        return call_bad_request(c, "until: a time in the future, in ms since 1970");
    return mute(c, db, until_ms);
}

enum call_next handle_mute_drop(struct call *c, struct pg *db)
{
    return mute(c, db, 0);
}
