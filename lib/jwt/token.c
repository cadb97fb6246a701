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

/* `kid:secret`, or a plain secret whose kid is "0". A colon counts only after a short name. */
static bool parse_key(struct cq_span text, struct token_key *key)
{
    const uint8_t *colon = memchr(text.p, ':', text.n);
    size_t kid_n = colon ? (size_t)(colon - text.p) : 0;

    if (colon && kid_n && kid_n <= KID_MAX) {
        memcpy(key->kid, text.p, kid_n);
        key->kid[kid_n] = '\0';
        text = span_of(colon + 1, text.n - kid_n - 1);
    } else {
        memcpy(key->kid, "0", 2);
    }
    if (text.n < TOKEN_SECRET_MIN || text.n > SECRET_MAX)
        return false;
    memcpy(key->secret, text.p, text.n);
    key->secret_n = text.n;
    return true;
}

enum cq_status token_keys_new(const char *secret, struct token_keys **ret)
{
    struct token_keys *keys = calloc(1, sizeof *keys);
    struct cq_span rest = span_str(secret);
    /* a list begins with a name, which a plain secret with commas in it does not */
    bool list = memchr(secret, ',', rest.n) && memchr(secret, ':', rest.n);
    bool good = keys != NULL;

    while (good && rest.n) {
        const uint8_t *comma = list ? memchr(rest.p, ',', rest.n) : NULL;
        size_t n = comma ? (size_t)(comma - rest.p) : rest.n;

        good = keys->n < KEYS_MAX && parse_key(span_of(rest.p, n), &keys->key[keys->n]);
        for (int i = 0; good && i < keys->n; i++)
            good = strcmp(keys->key[i].kid, keys->key[keys->n].kid) != 0;
        keys->n += good;
        rest = comma ? span_of(comma + 1, rest.n - n - 1) : span_of(NULL, 0);
    }
    if (!good || !keys->n) {
        free(keys);
        return CQ_FATAL;
    }
    *ret = keys;
    return CQ_OK;
}

void token_keys_free(struct token_keys *keys)
{
    free(keys);
}

struct cq_span token_key_secret(const struct token_keys *keys, int i)
{
    return i < keys->n ? span_of(keys->key[i].secret, keys->key[i].secret_n) : span_of(NULL, 0);
}

/* ---- signing -------------------------------------------------------------------------- */

static bool fill(jwt_t *jwt, const struct token_key *key, const struct token_claims *claims)
{
    return jwt_set_alg(jwt, JWT_ALG_HS256, key->secret, (int)key->secret_n) == 0 &&
           jwt_add_header(jwt, "kid", key->kid) == 0 && jwt_add_grant(jwt, "iss", NAME) == 0 &&
           jwt_add_grant(jwt, "aud", NAME) == 0 &&
           jwt_add_grant(jwt, "sub", id_text(claims->user).s) == 0 &&
           jwt_add_grant(jwt, "did", id_text(claims->device).s) == 0 &&
           jwt_add_grant_int(jwt, "iat", (long)claims->issued_s) == 0 &&
           jwt_add_grant_int(jwt, "exp", (long)claims->expires_s) == 0;
}

enum cq_status token_sign(const struct token_keys *keys, const struct token_claims *claims,
                          char *out, size_t out_n)
{
    char *text = NULL;
    jwt_t *jwt = NULL;
    enum cq_status st = CQ_FATAL;

    if (jwt_new(&jwt) == 0 && fill(jwt, &keys->key[0], claims) && (text = jwt_encode_str(jwt)) &&
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
        uint8_t byte = token.p[i];
        bool letter = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                      (byte >= '0' && byte <= '9');

        if (!letter && byte != '-' && byte != '_' &&
            (byte != '.' || (token.p + i != one && token.p + i != two)))
            return false; /* a fourth part, or no base64url */
    }
    ret->header = span_of(token.p, (size_t)(one - token.p));
    ret->payload = span_of(one + 1, (size_t)(two - one - 1));
    return true;
}

/* A part as JSON, with duplicate names refused; NULL when it is not JSON. */
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
    struct cq_span span;

    return json_get_text(object, name, &span) && span_eq_str(span, want);
}

/* The key that the header names; NULL unless the header is exactly one of ours. */
static const struct token_key *header_key(const struct token_keys *keys, struct cq_span part)
{
    static const char *const names[] = { "alg", "typ", "kid", NULL };
    cq_auto(json) struct json *header = open_part(part);

    if (!header || !json_only(header, names) || !text_is(header, "alg", "HS256") ||
        !text_is(header, "typ", "JWT"))
        return NULL;
    for (int i = 0; i < keys->n; i++)
        if (text_is(header, "kid", keys->key[i].kid))
            return &keys->key[i];
    return NULL;
}

static const char *check_claims(struct cq_span part, int64_t now_s, struct token_claims *claims)
{
    static const char *const names[] = { "iss", "aud", "sub", "did", "iat", "exp", NULL };
    cq_auto(json) struct json *payload = open_part(part);

    if (!payload || !json_only(payload, names))
        return "claims";
    if (!text_is(payload, "iss", NAME) || !text_is(payload, "aud", NAME))
        return "iss or aud";
    if (!json_get_id(payload, "sub", &claims->user) ||
        !json_get_id(payload, "did", &claims->device))
        return "sub or did";
    if (!json_get_i64(payload, "iat", &claims->issued_s) ||
        !json_get_i64(payload, "exp", &claims->expires_s))
        return "iat or exp";
    if (claims->issued_s < 0 || claims->issued_s > now_s + 60 ||
        claims->expires_s < claims->issued_s || claims->expires_s - claims->issued_s > 24 * 3600)
        return "times";
    return claims->expires_s > now_s ? NULL : "expired";
}

/* Checked by libjwt, which takes the algorithm from the token: header_key() has pinned it. */
static bool signature_good(const struct token_key *key, const char *token)
{
    jwt_t *jwt = NULL;
    bool good = jwt_decode(&jwt, token, key->secret, (int)key->secret_n) == 0 &&
                jwt_get_alg(jwt) == JWT_ALG_HS256;

    jwt_free(jwt);
    return good;
}

enum cq_status token_check(const struct token_keys *keys, struct cq_span token, int64_t now_s,
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
    if (!(key = header_key(keys, parts.header)))
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
