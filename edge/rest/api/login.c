/* SPDX-License-Identifier: MIT */
#include "edge/rest/api/login.h"

#include "edge/rest/api/conf.h"
#include "edge/rest/api/devices.h"
#include "edge/rest/api/fields.h"
#include "edge/rest/render/users.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"

static const char *const platforms_v[] = { "web", "android", "ios", "other" };
static const struct json_words platforms = { platforms_v, ARRAY_LEN(platforms_v) };

static const struct json_member wish_rows[] = {
    JSON_MEMBER("label", JSON_TEXT, struct login_wish, label, .optional = true,
                .good = device_label_good,
                .rule = "label: " FIELD_NAME_RULE ", " LIMIT_LABEL_CHARS_TEXT
                        " characters in " LIMIT_LABEL_BYTES_TEXT " bytes at most"),
    JSON_OPTIONAL("platform", JSON_WORD, struct login_wish, platform_word, has_platform,
                  .words = &platforms, .lenient = true),
};
const struct json_members login_wish_members = JSON_MEMBERS(wish_rows);

struct cq_span login_platform(const struct login_wish *wish)
{
    return span_str(wish->has_platform ? platforms_v[wish->platform_word] : "other");
}

enum call_next login_bad_code(struct call *call)
{
    return call_error(call, 401, "bad_code", "code: wrong or expired; ask for a new one");
}

enum call_next login_try_code(struct call *call, struct pg *db, struct cq_id challenge,
                              struct cq_span code, char ret_number[PHONE_MAX + 1],
                              struct cq_span *ret_name)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum auth_verdict verdict = AUTH_NO;
    struct cq_span name;
    int64_t wait_ms = 0;
    enum cq_status st =
        challenge_try(db, &call->conf->limits, challenge, code, call->request.address,
                      call->request.at_ms, &verdict, &wait_ms, ret_number, &name, &rows);

    if (st != CQ_OK)
        return call_database(call, st);
    if (verdict == AUTH_LIMITED) {
        count_add(COUNT_GUESSES_REFUSED, 1);
        return call_limited(call, wait_ms, "code: too many wrong ones; ask for a new one");
    }
    if (verdict != AUTH_YES)
        return login_bad_code(call);
    *ret_name = arena_copy(call->arena, name);
    return CALL_GO_ON;
}

static void submit(struct call *call, const struct login *login)
{
    struct user_action *sent;

    for (size_t i = 0; i < login->evicted_n; i++)
        device_submit_end(call, login->user, login->evicted[i], "too_many_devices");
    if (login->is_new || login->name.n) {
        sent = call_submit_user(call, login->user, login->device);
        sent->action.kind = USER_ACTION_USER_SIGNED_UP;
        sent->action.u.user_signed_up.name = login->name;
    }
    sent = call_submit_user(call, login->user, login->device);
    sent->action.kind = USER_ACTION_DEVICE_LINKED;
    sent->action.u.device_linked.platform = login->platform;
    sent->action.u.device_linked.label = login->label;
}

enum call_next login_begin(struct call *call, struct pg *db, struct login *login)
{
    enum cq_status st;

    login->device = id_random();
    st = place_remember(db, &call->conf->limits, login->user, call->request.address,
                        call->request.at_ms);
    if (st == CQ_OK)
        st = devices_over(db, login->user, login->evicted, &login->evicted_n);
    if (st != CQ_OK)
        return call_database(call, st);
    submit(call, login);
    return CALL_GO_ON;
}

/* A log-in may end an older device of its user, so nothing of it counts before the log has it. */
enum call_next login_add(struct call *call, struct pg *db, const struct login *login,
                         bool *ret_added)
{
    enum cq_status st =
        device_add(db, login->device, login->user, login->by, call->request.at_ms, ret_added);

    return st == CQ_OK ? CALL_GO_ON : call_database(call, st);
}

enum call_next login_tokens(struct call *call, struct pg *db, struct cq_id user,
                            struct cq_id device)
{
    int64_t now_s = clock_wall_ms() / 1000;
    struct token_claims claims = { user, device, now_s, now_s + ACCESS_TTL_S };
    char access[TOKEN_TEXT_MAX], refresh[REFRESH_TEXT + 1];
    struct token_pair pair = { user, device, access, refresh, claims.expires_s * 1000 };
    enum cq_status st = token_sign(call->conf->keys, &claims, access, sizeof access);

    if (st == CQ_OK)
        st = refresh_make(db, device, user, call->request.at_ms, refresh);
    if (st != CQ_OK)
        return call_database(call, st);
    render_tokens(&call->reply.body, &pair);
    return call_reply(call, 200);
}
