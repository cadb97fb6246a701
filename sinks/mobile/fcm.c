/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/fcm.c - Google: HTTP v1, with an access token that is fetched with a signed
 * assertion.
 */
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/json/json.h"
#include "lib/jwt/signer.h"
#include "sinks/mobile/provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_MAX = 16 * 1024,
    TOKEN_MAX = 4096,
    ASSERTION_S = 3600,
    EARLY_MS = 5 * 60 * 1000, /* a token is renewed this long before its end */
    FRESH_MS = 60 * 1000,     /* two refused within this time: it is not the token */
    LIFE_DEFAULT_S = 3600,
};

static const char SCOPE[] = "https://www.googleapis.com/auth/firebase.messaging";
/* The audience that Google wants, wherever the token is asked for. */
static const char AUDIENCE[] = "https://oauth2.googleapis.com/token";
static const char GRANT[] =
    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";

struct fcm {
    struct provider provider;
    struct jwt_signer *signer; /* owned */
    char *email, *token_uri;   /* owned */
    char url[PROVIDER_URL_MAX];
    char bearer[PROVIDER_HEADER_MAX]; /* "authorization: Bearer …"; "" for none */
    int64_t until_ms;                 /* of the token */
    int64_t refused_ms; /* when one was dropped because Google did not take it; 0: never */
    struct cq_buf body;
    const char *headers[PROVIDER_HEADERS_MAX];
    char assertion[JWT_SIGNED_MAX];
};

void provider_free(struct provider *provider)
{
    if (provider)
        provider->ops->free(provider);
}

bool provider_key_text(const char *value, const char *begins, struct cq_buf *out)
{
    FILE *file;
    uint8_t *to;
    size_t n;

    if (strncmp(value, begins, strlen(begins)) == 0) {
        buf_add_str(out, value);
        return !out->failed;
    }
    file = fopen(value, "re");
    if (!file)
        return false;
    to = buf_reserve(out, KEY_MAX);
    n = to ? fread(to, 1, KEY_MAX, file) : 0;
    out->n += n;
    if (fclose(file) != 0)
        return false;
    return n > 0 && n < KEY_MAX;
}

static enum provider_state fcm_credential(struct provider *provider, int64_t now_ms,
                                          struct http_request *ret)
{
    static const char *const headers[] = { "content-type: application/x-www-form-urlencoded",
                                           NULL };
    struct fcm *fcm = (struct fcm *)provider;
    const struct jwt_claim claims[] = {
        { "iss", fcm->email, 0 },
        { "scope", SCOPE, 0 },
        { "aud", AUDIENCE, 0 },
        { "iat", NULL, now_ms / 1000 },
        { "exp", NULL, now_ms / 1000 + ASSERTION_S },
    };

    if (fcm->bearer[0] && now_ms < fcm->until_ms)
        return PROVIDER_READY;
    buf_clear(&fcm->body);
    buf_add_str(&fcm->body, GRANT);
    if (jwt_signer_sign(fcm->signer, claims, ARRAY_LEN(claims), fcm->assertion,
                        sizeof fcm->assertion) == CQ_OK)
        buf_add_str(&fcm->body, fcm->assertion); /* base64url and dots: nothing to escape */
    *ret = (struct http_request){ .url = fcm->token_uri,
                                  .headers = headers,
                                  .body = buf_span(&fcm->body) };
    return PROVIDER_FETCH;
}

static enum cq_status fcm_fetched(struct provider *provider, const struct http_answer *answer,
                                  int64_t now_ms, struct push_answer *ret)
{
    struct fcm *fcm = (struct fcm *)provider;
    cq_auto(json) struct json *root = NULL;
    struct cq_span token;
    int64_t life_s = LIFE_DEFAULT_S;

    answer_oauth(answer, ret);
    if (ret->verdict != PUSH_TAKEN)
        return CQ_AGAIN;
    if (json_parse(answer->body, &root, NULL) != CQ_OK ||
        !json_get_text(root, "access_token", &token) || !token.n || token.n > TOKEN_MAX) {
        ret->verdict = PUSH_DOWN;
        snprintf(ret->words, sizeof ret->words, "token endpoint: no access token in its answer");
        return CQ_AGAIN;
    }
    if (!json_get_i64(root, "expires_in", &life_s) || life_s <= 0)
        life_s = LIFE_DEFAULT_S;
    snprintf(fcm->bearer, sizeof fcm->bearer, "authorization: Bearer %.*s", SPAN_FMT(token));
    provider->credential_no++;
    fcm->until_ms = now_ms + life_s * 1000 - EARLY_MS;
    if (fcm->until_ms < now_ms + FRESH_MS)
        fcm->until_ms = now_ms + FRESH_MS;
    return CQ_OK;
}

static bool fcm_refused(struct provider *provider, int64_t now_ms)
{
    struct fcm *fcm = (struct fcm *)provider;

    bool fresh = fcm->refused_ms && now_ms - fcm->refused_ms < FRESH_MS;

    if (!fcm->bearer[0])
        return true; /* dropped already, for another push */
    /* whatever is wrong, this one is dead: the next try is made with another one */
    fcm->refused_ms = now_ms;
    fcm->bearer[0] = '\0';
    return !fresh;
}

static enum cq_status fcm_request(struct provider *provider, const struct provider_push *push,
                                  struct http_request *ret, const char **ret_why)
{
    struct fcm *fcm = (struct fcm *)provider;

    fcm->headers[0] = fcm->bearer;
    fcm->headers[1] = "content-type: application/json";
    fcm->headers[2] = NULL;
    buf_clear(&fcm->body);
    payload_fcm(push->content, push->to, push->dry_run, &fcm->body);
    *ret_why = "too large";
    if (fcm->body.failed)
        return CQ_POISON;
    *ret = (struct http_request){ .url = fcm->url,
                                  .headers = fcm->headers,
                                  .body = buf_span(&fcm->body) };
    return CQ_OK;
}

static void fcm_free(struct provider *provider)
{
    struct fcm *fcm = (struct fcm *)provider;

    jwt_signer_free(fcm->signer);
    free(fcm->email);
    free(fcm->token_uri);
    buf_release(&fcm->body);
    explicit_bzero(fcm->bearer, sizeof fcm->bearer);
    free(fcm);
}

static const struct provider_ops fcm_ops = {
    .name = "fcm",
    .id = PUSH_PROVIDER_FCM,
    .credential = fcm_credential,
    .fetched = fcm_fetched,
    .refused = fcm_refused,
    .request = fcm_request,
    .answer = answer_fcm,
    .free = fcm_free,
};

static char *text_copy(struct cq_span span)
{
    return strndup((const char *)span.p, span.n);
}

/* The account's fields; NULL, or what is wrong with it. */
static const char *read_account(struct fcm *fcm, const struct fcm_conf *conf, struct cq_span text)
{
    cq_auto(json) struct json *root = NULL;
    struct cq_span type, project, email, key, key_id, uri;
    char kid[256];

    if (json_parse(text, &root, NULL) != CQ_OK)
        return "no JSON";
    if (!json_get_text(root, "type", &type) || !span_eq_str(type, "service_account"))
        return "no service account";
    if (!json_get_text(root, "project_id", &project) ||
        !json_get_text(root, "client_email", &email) || !json_get_text(root, "private_key", &key) ||
        !json_get_text(root, "private_key_id", &key_id) || !json_get_text(root, "token_uri", &uri))
        return "a service account has project_id, client_email, private_key, private_key_id, "
               "token_uri";
    snprintf(kid, sizeof kid, "%.*s", SPAN_FMT(key_id));
    if (jwt_signer_new(JWT_SIGNING_RS256, key, kid, &fcm->signer) != CQ_OK)
        return "its private_key signs nothing";
    fcm->email = text_copy(email);
    fcm->token_uri = text_copy(uri);
    snprintf(fcm->url, sizeof fcm->url, "%s/v1/projects/%.*s/messages:send", conf->base_url,
             SPAN_FMT(project));
    if (!fcm->email || !fcm->token_uri)
        return "no memory";
    fcm->provider.fingerprint = murmur2_positive(fcm->url, strlen(fcm->url)) ^
                                murmur2_positive(fcm->email, strlen(fcm->email));
    return NULL;
}

enum cq_status fcm_new(const struct fcm_conf *conf, struct provider **ret, char *reterr,
                       size_t reterr_n)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf text = { 0 };
    struct fcm *fcm;
    const char *why;

    buf_init(&text, KEY_MAX + 1);
    if (!*conf->key) {
        *ret = NULL;
        return CQ_OK;
    }
    if (!provider_key_text(conf->key, "{", &text)) {
        bool path = strchr(conf->key, '/') != NULL;

        snprintf(reterr, reterr_n, "%s",
                 path ? "FCM_SERVER_KEY: the file cannot be read"
                      : "legacy FCM key: API shut down 2024-07-22; supply a service account");
        return path ? CQ_FATAL : CQ_POISON;
    }
    fcm = calloc(1, sizeof *fcm);
    if (!fcm)
        return CQ_FATAL;
    fcm->provider.ops = &fcm_ops;
    buf_init(&fcm->body, HTTP_ANSWER_MAX);
    why = read_account(fcm, conf, buf_span(&text));
    explicit_bzero(text.p, text.n);
    if (why) {
        snprintf(reterr, reterr_n, "FCM_SERVER_KEY: %s", why);
        fcm_free(&fcm->provider);
        return CQ_FATAL;
    }
    *ret = &fcm->provider;
    return CQ_OK;
}
