/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/apns.c - Apple: HTTP/2 with a token that we sign ourselves, one for all requests.
 */
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/jwt/signer.h"
#include "sinks/mobile/provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_MAX = 16 * 1024,
    NAME_MAX_N = 10, /* characters of a key's and a team's name */
    TOPICS_MAX = 8,
    TOPIC_MAX = 155,
    RENEW_MS = 50 * 60 * 1000, /* Apple refuses tokens of more than an hour … */
    YOUNG_MS = 20 * 60 * 1000, /* … and more than one new token within 20 minutes */
};

struct apns {
    struct provider provider;
    struct jwt_signer *signer; /* owned */
    char team[NAME_MAX_N + 1];
    char topics[TOPICS_MAX][TOPIC_MAX + 1];
    int topics_n;
    char base[PUSH_ENVIRONMENT_N][256];
    int64_t made_ms; /* 0: there is no token */
    char bearer[JWT_SIGNED_MAX + 32];
    char url[PROVIDER_URL_MAX];
    char header[PROVIDER_HEADERS_MAX][256];
    const char *headers[PROVIDER_HEADERS_MAX];
    struct cq_buf body;
};

static enum provider_state apns_credential(struct provider *provider, int64_t now_ms,
                                           struct http_request *ret)
{
    struct apns *apns = (struct apns *)provider;
    const struct jwt_claim claims[] = { { "iss", apns->team, 0 }, { "iat", NULL, now_ms / 1000 } };
    char token[JWT_SIGNED_MAX];

    (void)ret;
    if (apns->made_ms && now_ms - apns->made_ms < RENEW_MS && now_ms >= apns->made_ms)
        return PROVIDER_READY;
    if (jwt_signer_sign(apns->signer, claims, ARRAY_LEN(claims), token, sizeof token) == CQ_OK) {
        snprintf(apns->bearer, sizeof apns->bearer, "authorization: bearer %s", token);
        apns->made_ms = now_ms;
        provider->credential_no++;
    }
    return PROVIDER_READY; /* with the old one when it cannot be signed: Apple will say so */
}

static enum cq_status apns_fetched(struct provider *provider, const struct http_answer *answer,
                                   int64_t now_ms, struct push_answer *ret)
{
    (void)provider;
    (void)answer;
    (void)now_ms;
    (void)ret;
    return CQ_FATAL; /* nothing is ever fetched */
}

static bool apns_refused(struct provider *provider, int64_t now_ms)
{
    struct apns *apns = (struct apns *)provider;

    if (apns->made_ms && now_ms - apns->made_ms < YOUNG_MS)
        return false; /* a new token was refused: a clock is wrong, here or there */
    apns->made_ms = 0;
    return true;
}

static const char *topic_of(const struct apns *apns, struct cq_span app)
{
    if (!app.n)
        return apns->topics[0];
    for (int i = 0; i < apns->topics_n; i++)
        if (span_eq_str(app, apns->topics[i]))
            return apns->topics[i];
    return NULL;
}

static enum cq_status apns_request(struct provider *provider, const struct provider_push *push,
                                   struct http_request *ret, const char **ret_why)
{
    struct apns *apns = (struct apns *)provider;
    const char *topic = topic_of(apns, push->to->app);
    const char **headers = apns->headers;
    int n = 0;

    *ret_why = "this app is not in APNS_TOPIC";
    if (!topic)
        return CQ_POISON;
    buf_clear(&apns->body);
    payload_apns(push->content, push->to, &apns->body);
    snprintf(apns->header[0], sizeof apns->header[0], "apns-topic: %s", topic);
    snprintf(apns->header[1], sizeof apns->header[1], "apns-id: %s", id_text(push->id).s);
    snprintf(apns->header[2], sizeof apns->header[2], "apns-expiration: %lld",
             (long long)(push->expires_ms / 1000));
    snprintf(apns->header[3], sizeof apns->header[3], "apns-collapse-id: %s",
             id_text(push->content->chat_id).s);
    headers[n++] = apns->bearer;
    for (int i = 0; i < 4; i++)
        headers[n++] = apns->header[i];
    headers[n++] = push->content->silent ? "apns-push-type: background" : "apns-push-type: alert";
    headers[n++] = push->content->silent ? "apns-priority: 5" : "apns-priority: 10";
    headers[n++] = "content-type: application/json";
    headers[n] = NULL;
    snprintf(apns->url, sizeof apns->url, "%s/3/device/%.*s", apns->base[push->to->environment],
             SPAN_FMT(push->to->token));
    *ret_why = "too large";
    if (apns->body.failed)
        return CQ_POISON;
    *ret = (struct http_request){ .url = apns->url,
                                  .headers = headers,
                                  .body = buf_span(&apns->body) };
    return CQ_OK;
}

static void apns_free(struct provider *provider)
{
    struct apns *apns = (struct apns *)provider;

    jwt_signer_free(apns->signer);
    buf_release(&apns->body);
    explicit_bzero(apns->bearer, sizeof apns->bearer);
    free(apns);
}

static const struct provider_ops apns_ops = {
    .name = "apns",
    .id = PUSH_PROVIDER_APNS,
    .credential = apns_credential,
    .fetched = apns_fetched,
    .refused = apns_refused,
    .request = apns_request,
    .answer = answer_apns,
    .free = apns_free,
};

/* "com.a,com.b" */
static bool read_topics(struct apns *apns, const char *list)
{
    while (*list) {
        size_t n = strcspn(list, ",");

        if (!n || n > TOPIC_MAX || apns->topics_n == TOPICS_MAX)
            return false;
        memcpy(apns->topics[apns->topics_n], list, n);
        apns->topics[apns->topics_n++][n] = '\0';
        list += n + (list[n] == ',');
    }
    return apns->topics_n > 0;
}

static const char *read_conf(struct apns *apns, const struct apns_conf *conf)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf pem = { 0 };
    enum cq_status st;

    buf_init(&pem, KEY_MAX + 1);
    if (strlen(conf->key_id) != NAME_MAX_N)
        return "APNS_KEY_ID: ten characters, as Apple shows beside the key";
    if (strlen(conf->team_id) != NAME_MAX_N)
        return "APNS_TEAM_ID: ten characters, as Apple shows beside the team";
    if (!read_topics(apns, conf->topics))
        return "APNS_TOPIC: the app's bundle id, or several with commas";
    if (!provider_key_text(conf->key, "-----BEGIN", &pem))
        return "APNS_KEY: the file cannot be read";
    st = jwt_signer_new(JWT_SIGNING_ES256, buf_span(&pem), conf->key_id, &apns->signer);
    explicit_bzero(pem.p, pem.n);
    if (st != CQ_OK)
        return "APNS_KEY: nothing can be signed with it (a .p8 as Apple gives it is wanted)";
    snprintf(apns->team, sizeof apns->team, "%s", conf->team_id);
    snprintf(apns->base[PUSH_ENVIRONMENT_PRODUCTION], sizeof apns->base[0], "%s", conf->base_url);
    snprintf(apns->base[PUSH_ENVIRONMENT_SANDBOX], sizeof apns->base[0], "%s", conf->sandbox_url);
    apns->provider.fingerprint = murmur2_positive(conf->topics, strlen(conf->topics)) ^
                                 murmur2_positive(conf->key_id, NAME_MAX_N) * 3 ^
                                 murmur2_positive(conf->team_id, NAME_MAX_N) * 5 ^
                                 murmur2_positive(conf->base_url, strlen(conf->base_url)) * 7;
    return NULL;
}

enum cq_status apns_new(const struct apns_conf *conf, struct provider **ret, char *reterr,
                        size_t reterr_n)
{
    struct apns *apns;
    const char *why;

    if (!*conf->key) {
        *ret = NULL;
        return CQ_OK;
    }
    apns = calloc(1, sizeof *apns);
    if (!apns)
        return CQ_FATAL;
    apns->provider.ops = &apns_ops;
    buf_init(&apns->body, HTTP_ANSWER_MAX);
    why = read_conf(apns, conf);
    if (why) {
        snprintf(reterr, reterr_n, "%s", why);
        apns_free(&apns->provider);
        return CQ_FATAL;
    }
    *ret = &apns->provider;
    return CQ_OK;
}
