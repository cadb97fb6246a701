/* SPDX-License-Identifier: MIT */
#include "security_token.h"

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/http/transfer.h"
#include "lib/json/json.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LIFE_DEFAULT_S = 300,       /* of a token whose answer does not say */
    LIFE_MAX_S = 7 * 24 * 3600, /* so that a wrong number cannot keep one for ever */
    FIELD_MAX = 3 * 1024 + 1,   /* a setting of 1024 bytes, each as %XX */
    PAIR_MAX = 2 * FIELD_MAX,   /* user:password */
    BASIC_MAX = 4 * PAIR_MAX / 3 + 8,
};

/* Written once by token_service_use, before any thread; read-only after that. */
static struct token_service service;

/* The last token, for all clients of the process: each of them asks when it is made. */
static struct {
    pthread_mutex_t lock; /* held during a request, too: all who wait for it want its answer */
    struct bus_token token;
    int64_t renew_ms; /* Unix time from which another one is got; 0: there is none */
} last = { .lock = PTHREAD_MUTEX_INITIALIZER };

void token_service_use(const struct token_service *token_service)
{
    service = *token_service;
}

/* application/x-www-form-urlencoded; `out` holds FIELD_MAX. */
static void form_encode(const char *text, char *out)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    char *end = out + FIELD_MAX;

    for (; *text && out + 4 <= end; text++) {
        if (strchr(plain, *text))
            *out++ = *text;
        else
            out += snprintf(out, 4, "%%%02X", (unsigned char)*text);
    }
    *out = '\0';
}

/* Id and secret are form-encoded before they are joined: RFC 6749 2.3.1. */
static void basic_header(char *out, size_t out_n)
{
    char id[FIELD_MAX], secret[FIELD_MAX], pair[PAIR_MAX], encoded[BASIC_MAX];
    int n;

    form_encode(service.client_id, id);
    form_encode(service.client_secret, secret);
    n = snprintf(pair, sizeof pair, "%s:%s", id, secret);
    base64_format(pair, (size_t)n, encoded);
    snprintf(out, out_n, "authorization: Basic %s", encoded);
}

static enum cq_status read_answer(const struct transfer_reply *reply, int64_t now_ms,
                                  struct bus_token *ret, char *reterr, size_t reterr_n)
{
    cq_auto(json) struct json *root = NULL;
    struct cq_span token;
    int64_t life_s;

    if (reply->status != 200) {
        snprintf(reterr, reterr_n, "the token service answered %d", reply->status);
        return CQ_AGAIN;
    }
    if (json_parse(reply->body, &root, NULL) != CQ_OK ||
        !json_get_text(root, "access_token", &token) || !token.n || token.n >= sizeof ret->text ||
        memchr(token.p, 0, token.n)) {
        snprintf(reterr, reterr_n,
                 "the token service's answer has no access_token of 1 to %zu bytes",
                 sizeof ret->text - 1);
        return CQ_AGAIN;
    }
    if (!json_get_i64(root, "expires_in", &life_s) || life_s <= 0)
        life_s = LIFE_DEFAULT_S;
    if (life_s > LIFE_MAX_S)
        life_s = LIFE_MAX_S;
    memcpy(ret->text, token.p, token.n);
    ret->text[token.n] = '\0';
    ret->until_ms = now_ms + life_s * 1000;
    return CQ_OK;
}

static enum cq_status request_token(struct bus_token *ret, char *reterr, size_t reterr_n)
{
    char basic[BASIC_MAX + 32], scope[FIELD_MAX], body[FIELD_MAX + 64];
    const char *headers[] = { basic, "content-type: application/x-www-form-urlencoded",
                              "accept: application/json" };
    int64_t now_ms = clock_wall_ms();
    struct transfer *transfer = transfer_new();
    struct transfer_request req;
    struct transfer_reply reply;
    enum cq_status st;

    if (!transfer) {
        snprintf(reterr, reterr_n, "no memory for a request to the token service");
        return CQ_AGAIN;
    }
    basic_header(basic, sizeof basic);
    form_encode(service.scope, scope);
    snprintf(body, sizeof body, "grant_type=client_credentials%s%s", *scope ? "&scope=" : "",
             scope);
    req = (struct transfer_request){ .method = "POST",
                                     .url = service.url,
                                     .headers = headers,
                                     .headers_n = ARRAY_LEN(headers),
                                     .body = span_str(body),
                                     .ca_file = *service.ca_file ? service.ca_file : NULL };
    st = transfer_run(transfer, &req, &reply);
    if (st == CQ_OK)
        st = read_answer(&reply, now_ms, ret, reterr, reterr_n);
    else
        snprintf(reterr, reterr_n, "the token service does not answer: %s", transfer_why(transfer));
    transfer_free(transfer);
    return st;
}

/* The library asks when four fifths of a token's life are over: that is another one, always. */
enum cq_status token_service_get(struct bus_token *ret, char *reterr, size_t reterr_n)
{
    enum cq_status st = CQ_OK;

    pthread_mutex_lock(&last.lock);
    if (clock_wall_ms() >= last.renew_ms) {
        int64_t now_ms = clock_wall_ms();

        last.renew_ms = 0;
        st = request_token(&last.token, reterr, reterr_n);
        if (st == CQ_OK)
            last.renew_ms = now_ms + (last.token.until_ms - now_ms) / 2;
    }
    if (st == CQ_OK)
        *ret = last.token;
    pthread_mutex_unlock(&last.lock);
    return st;
}
