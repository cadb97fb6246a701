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

static void on_answer(void *arg, uint64_t opaque, const struct http_answer *answer)
{
    struct asking *asking = arg;

    (void)opaque;
    if (!asking->fetching)
        asking->provider->ops->answer(answer, &asking->answer);
    else if (asking->provider->ops->fetched(asking->provider, answer, clock_wall_ms(),
                                            &asking->answer) == CQ_OK)
        asking->answer.verdict = PUSH_TAKEN;
    asking->done = true;
}

/* One request and its answer, in x->answer. */
static enum cq_status ask(struct asking *asking, struct http_pool *pool,
                          const struct http_request *request, bool fetching)
{
    enum cq_status st = http_pool_post(pool, request);

    asking->fetching = fetching;
    asking->done = false;
    while (st == CQ_OK && !asking->done)
        st = http_pool_turn(pool, NULL, 0, TURN_MS);
    return st;
}

static const char *what_now(enum push_verdict verdict)
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
    return texts[verdict];
}

static bool say(const struct push_test *test, const struct push_answer *answer)
{
    fprintf(test->out, "    %s", what_now(answer->verdict));
    if (answer->status)
        fprintf(test->out, " (HTTP %d)", answer->status);
    fprintf(test->out, "%s%s\n", *answer->words ? ": " : "", answer->words);
    return answer->verdict == PUSH_TAKEN;
}

static bool send_one(const struct push_test *test, const struct push_test_provider *asked,
                     const struct push_address *to)
{
    struct provider *provider = asked->provider;
    struct asking asking = { .t = test, .provider = provider };
    struct push_content content = { .chat_id = test->user,
                                    .message_id = id_random(),
                                    .text = span_str("This is a test."),
                                    .sender = span_str("Chasqui"),
                                    .ttl_s = TTL_S };
    const struct provider_push push = { &content, to, content.message_id,
                                        clock_wall_ms() + (int64_t)TTL_S * 1000, !test->send };
    struct http_pool *pool = NULL;
    struct http_request request;
    const char *why = "out of memory";
    bool good = false;
    enum cq_status st = http_pool_new(&(struct http_pool_conf){ .max = 1,
                                                                .connections = 1,
                                                                .timeout_ms = REQUEST_MS,
                                                                .ca_file = test->ca_file,
                                                                .outside = asked->outside,
                                                                .private_too = test->private_too,
                                                                .done = on_answer,
                                                                .arg = &asking },
                                      &pool);

    if (st == CQ_OK &&
        provider->ops->credential(provider, clock_wall_ms(), &request) == PROVIDER_FETCH) {
        st = ask(&asking, pool, &request, true);
        if (st == CQ_OK && asking.answer.verdict != PUSH_TAKEN)
            goto end;
    }
    if (st == CQ_OK)
        st = provider->ops->request(provider, &push, &request, &why);
    if (st != CQ_OK) {
        fprintf(test->out, "    %s\n", why);
        http_pool_free(pool);
        return false;
    }
    st = ask(&asking, pool, &request, false);
end:
    good = st == CQ_OK && say(test, &asking.answer);
    http_pool_free(pool);
    return good;
}

static const struct push_test_provider *who_serves(const struct push_test *test,
                                                   enum push_kind kind)
{
    static const struct push_test_provider nobody;

    for (int i = 0; i < PUSH_TEST_PROVIDERS_MAX; i++)
        if (test->asked[i].kinds & 1u << kind)
            return &test->asked[i];
    return &nobody;
}

static bool test_row(const struct push_test *test, const struct pg_result *rows, int i)
{
    static const char *const kinds[] = { "FCM token", "FCM installation id", "APNs", "browser" };
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
    const struct push_test_provider *asked;
    bool has_dry_run = to.kind == PUSH_KIND_FCM_TOKEN || to.kind == PUSH_KIND_FCM_FID;

    _Static_assert(ARRAY_LEN(kinds) == PUSH_KIND_N, "a word for each PushKind");
    _Static_assert(ARRAY_LEN(privacies) == PUSH_PRIVACY_N, "a word for each PushPrivacy");
    if ((unsigned)to.kind >= PUSH_KIND_N || (unsigned)to.privacy >= PUSH_PRIVACY_N)
        return false;
    fprintf(test->out, "device %s: %s of %zu bytes%s%s, privacy %s\n",
            id_text(pg_uuid(rows, i, 0)).s, kinds[to.kind], to.token.n,
            to.environment == PUSH_ENVIRONMENT_SANDBOX ? ", sandbox" : "",
            to.kind == PUSH_KIND_APNS   ? ""
            : to.mode == PUSH_MODE_DATA ? ", data"
                                        : ", notification",
            privacies[to.privacy]);
    asked = who_serves(test, to.kind);
    if (!asked->provider) {
        fprintf(test->out, "    its provider is not configured, or wrongly\n");
        return false;
    }
    if (!has_dry_run && !test->send) {
        fprintf(test->out, "    not asked: %s no dry run (--send wakes the device)\n",
                to.kind == PUSH_KIND_APNS ? "Apple has" : "browsers have");
        return true;
    }
    return send_one(test, asked, &to);
}

enum cq_status push_test_run(const struct push_test *test)
{
    static const char sql[] = "SELECT device_id, kind, token, app, environment, locale, privacy, "
                              "mode FROM view.push_targets "
                              "WHERE user_id = $1 ORDER BY registered_at";
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    bool good = true;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, test->user);
    st = pg_ready(test->db, NULL);
    if (st == CQ_OK)
        st = pg_run(test->db, sql, &params, &rows);
    pg_params_release(&params);
    if (st != CQ_OK)
        return st;
    if (!pg_rows(rows))
        fputs("no device of this user has registered for pushes\n", test->out);
    for (int i = 0; i < pg_rows(rows); i++)
        good = test_row(test, rows, i) && good;
    return good && pg_rows(rows) ? CQ_OK : CQ_POISON;
}
