/* SPDX-License-Identifier: MIT */
#include "lib/jwt/token.h"

#include "lib/base/hash.h"
#include "lib/json/json.h"

#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYS_MAX = 4, KID_MAX = 32, SECRET_MAX = 1024, PART_MAX = 1536 };

static const char NAME[] = "chasqui"; /* iss and aud */

struct token_key {
    char kid[KID_MAX + 1];
    uint8_t secret[SECRET_MAX];
    size_t secret_n;
};

struct token_keys {
    struct token_key key[KEYS_MAX];
    int n;
};

/* `kid:secret`, or a plain secret of kid "0". A colon counts only after a short name. */
static bool parse_key(struct cq_span text, struct token_key *k)
{
    const uint8_t *colon = memchr(text.p, ':', text.n);
    size_t kid_n = colon ? (size_t)(colon - text.p) : 0;

    if (colon && kid_n && kid_n <= KID_MAX) {
        memcpy(k->kid, text.p, kid_n);
        k->kid[kid_n] = '\0';
        text = span_of(colon + 1, text.n - kid_n - 1);
    } else {
        memcpy(k->kid, "0", 2);
    }
    if (text.n < TOKEN_SECRET_MIN || text.n > SECRET_MAX)
        return false;
    memcpy(k->secret, text.p, text.n);
    k->secret_n = text.n;
    return true;
}

enum cq_status token_keys_new(const char *secret, struct token_keys **ret)
{
    struct token_keys *k = calloc(1, sizeof *k);
    struct cq_span rest = span_str(secret);
    /* a list is told from a plain secret with commas by its first name */
    bool list = memchr(secret, ',', rest.n) && memchr(secret, ':', rest.n);
    bool good = k != NULL;

    while (good && rest.n) {
        const uint8_t *comma = list ? memchr(rest.p, ',', rest.n) : NULL;
        size_t n = comma ? (size_t)(comma - rest.p) : rest.n;

        good = k->n < KEYS_MAX && parse_key(span_of(rest.p, n), &k->key[k->n]);
        for (int i = 0; good && i < k->n; i++)
            good = strcmp(k->key[i].kid, k->key[k->n].kid) != 0;
        k->n += good;
        rest = comma ? span_of(comma + 1, rest.n - n - 1) : span_of(NULL, 0);
    }
    if (!good || !k->n) {
        free(k);
        return CQ_FATAL;
    }
    *ret = k;
    return CQ_OK;
}

void token_keys_free(struct token_keys *k)
{
    free(k);
}

/* ---- signing -------------------------------------------------------------------------- */

static bool fill(jwt_t *jwt, const struct token_key *key, const struct token_claims *c)
{
    return jwt_set_alg(jwt, JWT_ALG_HS256, key->secret, (int)key->secret_n) == 0 &&
           jwt_add_header(jwt, "kid", key->kid) == 0 && jwt_add_grant(jwt, "iss", NAME) == 0 &&
           jwt_add_grant(jwt, "aud", NAME) == 0 &&
           jwt_add_grant(jwt, "sub", id_text(c->user).s) == 0 &&
           jwt_add_grant(jwt, "did", id_text(c->device).s) == 0 &&
           jwt_add_grant_int(jwt, "iat", (long)c->issued_s) == 0 &&
           jwt_add_grant_int(jwt, "exp", (long)c->expires_s) == 0;
}

enum cq_status token_sign(const struct token_keys *k, const struct token_claims *c, char *out,
                          size_t out_n)
{
    char *text = NULL;
    jwt_t *jwt = NULL;
    enum cq_status st = CQ_FATAL;

    if (jwt_new(&jwt) == 0 && fill(jwt, &k->key[0], c) && (text = jwt_encode_str(jwt)) &&
        strlen(text) < out_n) {
        memcpy(out, text, strlen(text) + 1);
        st = CQ_OK;
    }
    free(text);
    jwt_free(jwt);
    return st;
}

/* ---- checking ------------------------------------------------------------------------- */

struct parts {
    struct cq_span header, payload; /* base64url */
};

static bool cut(struct cq_span token, struct parts *ret)
{
    const uint8_t *one = memchr(token.p, '.', token.n), *two;

    if (!one || !(two = memchr(one + 1, '.', token.n - (size_t)(one + 1 - token.p))))
        return false;
    for (size_t i = 0; i < token.n; i++) {
        uint8_t c = token.p[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (!letter && c != '-' && c != '_' &&
            (c != '.' || (token.p + i != one && token.p + i != two)))
            return false; /* a fourth part, or no base64url */
    }
    ret->header = span_of(token.p, (size_t)(one - token.p));
    ret->payload = span_of(one + 1, (size_t)(two - one - 1));
    return true;
}

/* A part as JSON, with duplicate names refused; NULL when it is none. */
static struct json *open_part(struct cq_span part)
{
    uint8_t text[PART_MAX];
    struct json *root = NULL;
    size_t n;

    if (!base64url_parse(part, text, sizeof text, &n) ||
        json_parse(span_of(text, n), &root, NULL) != CQ_OK)
        return NULL;
    return root;
}

static bool text_is(const struct json *object, const char *name, const char *want)
{
    struct cq_span s;

    return json_get_text(object, name, &s) && span_eq_str(s, want);
}

/* The key that the header names; NULL unless the header is exactly one of ours. */
static const struct token_key *header_key(const struct token_keys *k, struct cq_span part)
{
    static const char *const names[] = { "alg", "typ", "kid", NULL };
    cq_auto(json) struct json *h = open_part(part);

    if (!h || !json_only(h, names) || !text_is(h, "alg", "HS256") || !text_is(h, "typ", "JWT"))
        return NULL;
    for (int i = 0; i < k->n; i++)
        if (text_is(h, "kid", k->key[i].kid))
            return &k->key[i];
    return NULL;
}

static const char *check_claims(struct cq_span part, int64_t now_s, struct token_claims *c)
{
    static const char *const names[] = { "iss", "aud", "sub", "did", "iat", "exp", NULL };
    cq_auto(json) struct json *p = open_part(part);

    if (!p || !json_only(p, names))
        return "claims";
    if (!text_is(p, "iss", NAME) || !text_is(p, "aud", NAME))
        return "iss or aud";
    if (!json_get_id(p, "sub", &c->user) || !json_get_id(p, "did", &c->device))
        return "sub or did";
    if (!json_get_i64(p, "iat", &c->issued_s) || !json_get_i64(p, "exp", &c->expires_s))
        return "iat or exp";
    if (c->issued_s < 0 || c->issued_s > now_s + 60 || c->expires_s < c->issued_s ||
        c->expires_s - c->issued_s > 24 * 3600)
        return "times";
    return c->expires_s > now_s ? NULL : "expired";
}

/* The signature, by libjwt, which takes the algorithm from the token: it was pinned before. */
static bool signature_good(const struct token_key *key, const char *token)
{
    jwt_t *jwt = NULL;
    bool good = jwt_decode(&jwt, token, key->secret, (int)key->secret_n) == 0 &&
                jwt_get_alg(jwt) == JWT_ALG_HS256;

    jwt_free(jwt);
    return good;
}

enum cq_status token_check(const struct token_keys *k, struct cq_span token, int64_t now_s,
                           struct token_claims *ret, const char **ret_why)
{
    const char *nobody_asks;
    char text[TOKEN_TEXT_MAX + 1];
    const struct token_key *key;
    struct token_claims claims;
    struct parts parts;

    if (!ret_why)
        ret_why = &nobody_asks;
    *ret_why = "form";
    if (!token.n || token.n > TOKEN_TEXT_MAX || !cut(token, &parts))
        return CQ_POISON;
    *ret_why = "header";
    if (!(key = header_key(k, parts.header)))
        return CQ_POISON;
    memcpy(text, token.p, token.n);
    text[token.n] = '\0';
    *ret_why = "signature";
    if (!signature_good(key, text))
        return CQ_POISON;
    if ((*ret_why = check_claims(parts.payload, now_s, &claims)))
        return CQ_POISON;
    *ret = claims;
    return CQ_OK;
}
