/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/webpush.c - browsers: HTTP (RFC 8030) to whatever service a subscription names, with
 * a token that we sign ourselves for each (RFC 8292), and a body that the browser alone can read
 * (RFC 8291).
 */
#include "lib/base/hash.h"
#include "lib/jwt/signer.h"
#include "lib/webpush/seal.h"
#include "lib/webpush/vapid.h"
#include "schemas/subscription.h"
#include "sinks/mobile/provider.h"
#include "sinks/mobile/services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_MAX = 16 * 1024,
    LIFE_S = 12 * 3600, /* of a token; services take at most 24 hours */
    RENEW_MS = 6 * 3600 * 1000,
    TOPIC_BYTES = 24, /* 32 characters: the most that a topic may have */
    LISTS_MAX = 2 * 1024 + 2,
};

_Static_assert((int)SEAL_PLAIN_MAX == (int)PAYLOAD_WEB_MAX, "a text fits its record");
_Static_assert((int)SUBSCRIPTION_ORIGIN_MAX <= (int)SERVICE_NAME_MAX, "the name of a service");
_Static_assert((int)SUBSCRIPTION_POINT_BYTES == (int)SEAL_POINT_BYTES, "a key of a browser");
_Static_assert((int)SUBSCRIPTION_AUTH_BYTES == (int)SEAL_AUTH_BYTES, "a secret of a browser");

/* The token for one service. */
struct pass {
    char origin[SERVICE_NAME_MAX + 1]; /* "": none */
    char bearer[PROVIDER_HEADER_MAX];
    int64_t made_ms, used_no;
    int64_t no; /* its number among all credentials */
};

struct webpush {
    struct provider provider;
    struct jwt_signer *signer; /* owned */
    char public_key[VAPID_PUBLIC_MAX];
    char subject[256];
    char services[LISTS_MAX];
    struct pass passes[SERVICES_MAX];
    int64_t uses, made; /* of passes */
    int64_t now_ms;     /* wall time */
    char url[PROVIDER_URL_MAX];
    char ttl[32], topic[64];
    const char *headers[PROVIDER_HEADERS_MAX];
    struct cq_buf plain, body;
};

/* Each service has its own, made when it is asked for something. */
static enum provider_state webpush_credential(struct provider *provider, int64_t now_ms,
                                              struct http_request *ret)
{
    (void)ret;
    ((struct webpush *)provider)->now_ms = now_ms;
    return PROVIDER_READY;
}

static enum cq_status webpush_fetched(struct provider *provider, const struct http_answer *answer,
                                      int64_t now_ms, struct push_answer *ret)
{
    (void)provider;
    (void)answer;
    (void)now_ms;
    (void)ret;
    return CQ_FATAL; /* nothing is ever fetched */
}

static bool webpush_refused(struct provider *provider, int64_t now_ms)
{
    (void)provider;
    (void)now_ms;
    return false; /* no answer says so (answer_web()) */
}

static bool is_ours(const struct webpush *webpush, const struct push_address *to,
                    struct subscription *ret, bool *ret_known)
{
    return subscription_parse(to->token, ret) &&
           subscription_is_at(ret, webpush->services, ret_known);
}

static bool webpush_service(struct provider *provider, const struct push_address *to,
                            struct cq_span *ret, bool *ret_known)
{
    struct subscription subscription;

    if (!is_ours((struct webpush *)provider, to, &subscription, ret_known))
        return false;
    *ret = subscription.origin;
    return true;
}

/* ---- tokens --------------------------------------------------------------------------- */

static struct pass *find_pass(struct webpush *webpush, struct cq_span origin)
{
    struct pass *oldest = &webpush->passes[0];

    for (int i = 0; i < SERVICES_MAX; i++) {
        struct pass *pass = &webpush->passes[i];

        if (span_eq_str(origin, pass->origin))
            return pass;
        if (pass->used_no < oldest->used_no)
            oldest = pass;
    }
    oldest->made_ms = 0;
    snprintf(oldest->origin, sizeof oldest->origin, "%.*s", SPAN_FMT(origin));
    return oldest;
}

/* The header for this service; NULL: it cannot be signed. */
static const char *bearer_for(struct webpush *webpush, struct cq_span origin)
{
    int64_t now_ms = webpush->now_ms;
    struct pass *pass = find_pass(webpush, origin);
    const struct jwt_claim claims[] = {
        { "aud", pass->origin, 0 },
        { "exp", NULL, now_ms / 1000 + LIFE_S },
        { "sub", webpush->subject, 0 },
    };
    char token[JWT_SIGNED_MAX];

    pass->used_no = ++webpush->uses;
    if (!pass->made_ms || now_ms - pass->made_ms >= RENEW_MS || now_ms < pass->made_ms) {
        if (jwt_signer_sign(webpush->signer, claims, ARRAY_LEN(claims), token, sizeof token) !=
            CQ_OK)
            return NULL;
        snprintf(pass->bearer, sizeof pass->bearer, "authorization: vapid t=%s,k=%s", token,
                 webpush->public_key);
        pass->made_ms = now_ms;
        pass->no = ++webpush->made;
    }
    webpush->provider.credential_no = pass->no;
    return pass->bearer;
}

/* ---- requests ------------------------------------------------------------------------- */

/* A push replaces the one before it of the same chat that the browser has not fetched. A service
 * sees of it that two pushes to one browser are of one chat, and not that two browsers share it. */
static void write_topic(struct webpush *webpush, const struct provider_push *push)
{
    const struct cq_span parts[] = {
        span_of(push->content->chat_id.b, sizeof push->content->chat_id.b), push->to->token
    };
    uint8_t hash[32];
    char text[4 * ((TOPIC_BYTES + 2) / 3) + 1];

    sha256(parts, ARRAY_LEN(parts), hash);
    base64url_format(hash, TOPIC_BYTES, text);
    snprintf(webpush->topic, sizeof webpush->topic, "topic: %s", text);
}

static const char *urgency_of(const struct push_content *content)
{
    bool calm = content->silent || content->edited || content->reaction.n || content->added;

    return calm ? "urgency: normal" : "urgency: high";
}

static enum cq_status seal(struct webpush *webpush, const struct provider_push *push,
                           const struct subscription *to, const char **ret_why)
{
    size_t padded;
    enum cq_status st;

    buf_clear(&webpush->plain);
    buf_clear(&webpush->body);
    payload_web(push->content, push->to, &webpush->plain);
    padded = (webpush->plain.n + SEAL_PADDED_BYTES - 1) / SEAL_PADDED_BYTES * SEAL_PADDED_BYTES;
    *ret_why = "too large";
    if (webpush->plain.failed || webpush->plain.n > SEAL_PLAIN_MAX)
        return CQ_POISON;
    st = seal_push(to->key, to->auth, buf_span(&webpush->plain),
                   padded < SEAL_PLAIN_MAX ? padded : SEAL_PLAIN_MAX, NULL, &webpush->body);
    *ret_why = st == CQ_POISON ? "p256dh: no point of P-256" : "it could not be encrypted";
    return st == CQ_OK ? CQ_OK : CQ_POISON;
}

static enum cq_status webpush_request(struct provider *provider, const struct provider_push *push,
                                      struct http_request *ret, const char **ret_why)
{
    struct webpush *webpush = (struct webpush *)provider;
    const char **headers = webpush->headers;
    struct subscription to;
    bool known;
    int n = 0;

    *ret_why = "WEBPUSH_SERVICES does not name its push service";
    if (!is_ours(webpush, push->to, &to, &known))
        return CQ_POISON;
    *ret_why = "registered for alerts only";
    if (push->content->silent && push->to->mode == PUSH_MODE_NOTIFICATION)
        return CQ_POISON;
    if (seal(webpush, push, &to, ret_why) != CQ_OK)
        return CQ_POISON;
    write_topic(webpush, push);
    snprintf(webpush->url, sizeof webpush->url, "%.*s", SPAN_FMT(to.endpoint));
    snprintf(webpush->ttl, sizeof webpush->ttl, "ttl: %lld", (long long)push->content->ttl_s);
    *ret_why = "nothing could be signed for its push service";
    headers[n++] = bearer_for(webpush, to.origin);
    if (!headers[0])
        return CQ_POISON;
    headers[n++] = webpush->ttl;
    headers[n++] = webpush->topic;
    headers[n++] = urgency_of(push->content);
    headers[n++] = "content-encoding: aes128gcm";
    headers[n++] = "content-type: application/octet-stream";
    headers[n] = NULL;
    *ret = (struct http_request){ .url = webpush->url,
                                  .headers = headers,
                                  .body = buf_span(&webpush->body) };
    return CQ_OK;
}

static void webpush_free(struct provider *provider)
{
    struct webpush *webpush = (struct webpush *)provider;

    jwt_signer_free(webpush->signer);
    buf_release(&webpush->plain);
    buf_release(&webpush->body);
    explicit_bzero(webpush->passes, sizeof webpush->passes);
    free(webpush);
}

static const struct provider_ops webpush_ops = {
    .name = "web",
    .id = PUSH_PROVIDER_WEB,
    .credential = webpush_credential,
    .fetched = webpush_fetched,
    .refused = webpush_refused,
    .request = webpush_request,
    .service = webpush_service,
    .answer = answer_web,
    .free = webpush_free,
};

/* ---- configuration -------------------------------------------------------------------- */

static const char *read_key(struct webpush *webpush, const struct webpush_conf *conf)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf pem = { 0 };
    const char *why = NULL;

    buf_init(&pem, KEY_MAX + 1);
    if (!provider_key_text(conf->key, "-----BEGIN", &pem))
        return "VAPID_KEY: the file cannot be read";
    if (vapid_public(buf_span(&pem), webpush->public_key) != CQ_OK ||
        jwt_signer_new(JWT_SIGNING_ES256, buf_span(&pem), "", &webpush->signer) != CQ_OK)
        why = "VAPID_KEY: no private key on P-256 in PEM (chasqui admin vapid-key makes one)";
    else if (strcmp(webpush->public_key, conf->public_key) != 0)
        why = "VAPID_PUBLIC_KEY: not the public half of VAPID_KEY";
    explicit_bzero(pem.p, pem.n);
    return why;
}

static const char *read_conf(struct webpush *webpush, const struct webpush_conf *conf)
{
    struct cq_span rest, item;

    snprintf(webpush->subject, sizeof webpush->subject, "%s", conf->subject);
    if (!*conf->subject)
        return "VAPID_SUBJECT: mailto: and an address, or a URL of https, is required beside "
               "VAPID_KEY";
    snprintf(webpush->services, sizeof webpush->services, "%s,%s", conf->services, conf->more);
    for (rest = span_str(webpush->services); span_next_item(&rest, &item);)
        if (item.n && !subscription_service_good(item))
            return "WEBPUSH_SERVICES, WEBPUSH_MORE: hosts in lower case, *. and what hosts end "
                   "with, or origins of https";
    webpush->provider.fingerprint = murmur2_positive(conf->public_key, strlen(conf->public_key));
    return read_key(webpush, conf);
}

enum cq_status webpush_new(const struct webpush_conf *conf, struct provider **ret, char *reterr,
                           size_t reterr_n)
{
    struct webpush *webpush;
    const char *why;

    if (!*conf->key) {
        *ret = NULL;
        return CQ_OK;
    }
    webpush = calloc(1, sizeof *webpush);
    if (!webpush)
        return CQ_FATAL;
    webpush->provider.ops = &webpush_ops;
    buf_init(&webpush->plain, PAYLOAD_WEB_MAX);
    buf_init(&webpush->body, SEAL_MAX);
    why = read_conf(webpush, conf);
    if (why) {
        snprintf(reterr, reterr_n, "%s", why);
        webpush_free(&webpush->provider);
        return CQ_FATAL;
    }
    *ret = &webpush->provider;
    return CQ_OK;
}
