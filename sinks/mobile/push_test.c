/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/push_test.h"

#include "lib/base/clock.h"

enum { PARAMS_BYTES = 256, REQUEST_MS = 15000, TURN_MS = 100, TTL_S = 300 };

struct asking {
    const struct push_test *t;
    struct push_answer answer; /* of the last request */
    struct provider *provider;
    bool fetching; /* it was for a credential */
    bool done;
};

static void on_answer(void *arg, uint64_t opaque, const struct http_answer *a)
{
    struct asking *x = arg;

    (void)opaque;
    if (!x->fetching)
        x->provider->ops->answer(a, &x->answer);
    else if (x->provider->ops->fetched(x->provider, a, clock_wall_ms(), &x->answer) == CQ_OK)
        x->answer.verdict = PUSH_TAKEN;
    x->done = true;
}

/* One request and its answer, in x->answer. */
static enum cq_status ask(struct asking *x, struct http_pool *pool, const struct http_request *r,
                          bool fetching)
{
    enum cq_status st = http_pool_post(pool, r);

    x->fetching = fetching;
    x->done = false;
    while (st == CQ_OK && !x->done)
        st = http_pool_turn(pool, NULL, 0, TURN_MS);
    return st;
}

static const char *what_now(enum push_verdict v)
{
    static const char *const texts[] = {
        [PUSH_TAKEN] = "taken",
        [PUSH_DEAD] = "this token is dead: the app has to register anew",
        [PUSH_FOREIGN] = "not a token of this project, app or environment",
        [PUSH_UNREACHED] =
            "the project cannot reach this platform: its certificate or key is missing there",
        [PUSH_REFUSED] = "refused; the next one may be taken",
        [PUSH_LATER] = "this device gets too many: later",
        [PUSH_SLOWER] = "the quota is used up: later",
        [PUSH_DOWN] = "no answer, or the service is in trouble: later",
        [PUSH_CREDENTIAL] = "the access token was refused; is the clock right?",
        [PUSH_MISCONFIGURED] = "misconfigured: pushes wait until this is mended",
    };

    _Static_assert(ARRAY_LEN(texts) == PUSH_VERDICT_N, "a text for each verdict");
    return texts[v];
}

static bool say(const struct push_test *t, const struct push_answer *a)
{
    fprintf(t->out, "    %s", what_now(a->verdict));
    if (a->status)
        fprintf(t->out, " (HTTP %d)", a->status);
    fprintf(t->out, "%s%s\n", *a->words ? ": " : "", a->words);
    return a->verdict == PUSH_TAKEN;
}

static bool send_one(const struct push_test *t, struct provider *p, const struct push_address *to)
{
    struct asking x = { .t = t, .provider = p };
    struct push_content c = { .chat_id = t->user,
                              .message_id = id_random(),
                              .text = span_str("This is a test."),
                              .sender = span_str("Chasqui"),
                              .ttl_s = TTL_S };
    const struct provider_push push = { &c, to, c.message_id,
                                        clock_wall_ms() + (int64_t)TTL_S * 1000, !t->send };
    struct http_pool *pool = NULL;
    struct http_request request;
    const char *why = "out of memory";
    bool good = false;
    enum cq_status st = http_pool_new(&(struct http_pool_conf){ .max = 1,
                                                                .connections = 1,
                                                                .timeout_ms = REQUEST_MS,
                                                                .ca_file = t->ca_file,
                                                                .done = on_answer,
                                                                .arg = &x },
                                      &pool);

    if (st == CQ_OK && p->ops->credential(p, clock_wall_ms(), &request) == PROVIDER_FETCH) {
        st = ask(&x, pool, &request, true);
        if (st == CQ_OK && x.answer.verdict != PUSH_TAKEN)
            goto end;
    }
    if (st == CQ_OK)
        st = p->ops->request(p, &push, &request, &why);
    if (st != CQ_OK) {
        fprintf(t->out, "    %s\n", why);
        http_pool_free(pool);
        return false;
    }
    st = ask(&x, pool, &request, false);
end:
    good = st == CQ_OK && say(t, &x.answer);
    http_pool_free(pool);
    return good;
}

static bool test_row(const struct push_test *t, const struct pg_result *rows, int i)
{
    static const char *const kinds[] = { "FCM token", "FCM installation id", "APNs" };
    static const char *const privacies[] = { "full", "name", "none" };
    const struct push_address to = {
        .kind = (enum push_kind)pg_i64(rows, i, 1),
        .token = pg_bytes(rows, i, 2),
        .app = pg_bytes(rows, i, 3),
        .environment = (enum push_environment)pg_i64(rows, i, 4),
        .locale = pg_bytes(rows, i, 5),
        .privacy = (enum push_privacy)pg_i64(rows, i, 6),
        .mode = pg_i64(rows, i, 7) ? PUSH_MODE_DATA : PUSH_MODE_NOTIFICATION,
    };
    struct provider *p = to.kind == PUSH_KIND_APNS ? t->apns : t->fcm;

    _Static_assert(ARRAY_LEN(kinds) == PUSH_KIND_N, "a word for each PushKind");
    _Static_assert(ARRAY_LEN(privacies) == PUSH_PRIVACY_N, "a word for each PushPrivacy");
    if ((unsigned)to.kind >= PUSH_KIND_N || (unsigned)to.privacy >= PUSH_PRIVACY_N)
        return false;
    fprintf(t->out, "device %s: %s of %zu bytes%s%s, privacy %s\n", id_text(pg_uuid(rows, i, 0)).s,
            kinds[to.kind], to.token.n,
            to.environment == PUSH_ENVIRONMENT_SANDBOX ? ", sandbox" : "",
            to.kind == PUSH_KIND_APNS   ? ""
            : to.mode == PUSH_MODE_DATA ? ", data"
                                        : ", notification",
            privacies[to.privacy]);
    if (!p) {
        fprintf(t->out, "    its provider is not configured, or wrongly\n");
        return false;
    }
    if (to.kind == PUSH_KIND_APNS && !t->send) {
        fprintf(t->out, "    not asked: Apple has no dry run (--send wakes the phone)\n");
        return true;
    }
    return send_one(t, p, &to);
}

enum cq_status push_test_run(const struct push_test *t)
{
    static const char sql[] = "SELECT device_id, kind, token, app, environment, locale, privacy, "
                              "mode FROM view.push_targets "
                              "WHERE user_id = $1 ORDER BY registered_at";
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    bool good = true;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, t->user);
    st = pg_ready(t->db, NULL);
    if (st == CQ_OK)
        st = pg_run(t->db, sql, &p, &rows);
    pg_params_release(&p);
    if (st != CQ_OK)
        return st;
    if (!pg_rows(rows))
        fputs("no device of this user has registered for pushes\n", t->out);
    for (int i = 0; i < pg_rows(rows); i++)
        good = test_row(t, rows, i) && good;
    return good && pg_rows(rows) ? CQ_OK : CQ_POISON;
}
