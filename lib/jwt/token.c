/* SPDX-License-Identifier: MIT */
#include "lib/jwt/token.h"

#include "lib/base/auto.h"
#include "lib/base/hash.h"
#include "lib/json/json.h"

#include <jwt.h>
#include <stdlib.h>

enum {
    KEYS_MAX = 8,
    KID_MAX = 32,       /* characters */
    SECRET_MAX = 1024,  /* bytes */
    SEGMENT_MAX = 1024, /* decoded bytes of header or claims */
    LIFE_MAX_S = 86400, /* longest exp - iat */
    CLOCK_SKEW_S = 60,  /* how far ahead of us an issuer's clock may be */
};

static const char ISSUER[] = "chasqui";

struct key {
    char kid[KID_MAX + 1];
    unsigned char secret[SECRET_MAX];
    int secret_n;
};

struct token_keys {
    struct key key[KEYS_MAX];
    size_t n;
};

CQ_DEFINE_AUTO(jwt, jwt_t *, jwt_free)
CQ_DEFINE_AUTO(token_keys, struct token_keys *, token_keys_free)

static bool is_kid_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Length of a leading `kid:` without its colon, or 0. */
static size_t kid_prefix(struct cq_span s)
{
    size_t n = 0;

    while (n < s.n && n < KID_MAX && is_kid_char(s.p[n]))
        n++;
    return n < s.n && s.p[n] == ':' ? n : 0;
}

static const struct key *key_find(const struct token_keys *k, struct cq_span kid)
{
    for (size_t i = 0; i < k->n; i++)
        if (span_eq_str(kid, k->key[i].kid))
            return &k->key[i];
    return NULL;
}

static enum cq_status key_add(struct token_keys *k, struct cq_span kid, struct cq_span secret)
{
    struct key *at = &k->key[k->n];

    if (k->n == KEYS_MAX || secret.n < TOKEN_SECRET_MIN || secret.n > SECRET_MAX ||
        key_find(k, kid))
        return CQ_FATAL;
    memcpy(at->kid, kid.p, kid.n); /* at most KID_MAX, and the rest is zero */
    memcpy(at->secret, secret.p, secret.n);
    at->secret_n = (int)secret.n;
    k->n++;
    return CQ_OK;
}

enum cq_status token_keys_new(const char *secret, struct token_keys **ret)
{
    cq_auto(token_keys) struct token_keys *k = calloc(1, sizeof *k);
    struct cq_span rest = span_str(secret);

    if (!k)
        return CQ_FATAL;
    if (kid_prefix(rest) == 0) {
        if (key_add(k, span_str("0"), rest) != CQ_OK)
            return CQ_FATAL;
        *ret = CQ_TAKE(k);
        return CQ_OK;
    }
    for (;;) {
        const uint8_t *comma = memchr(rest.p, ',', rest.n);
        struct cq_span entry = { rest.p, comma ? (size_t)(comma - rest.p) : rest.n };
        size_t kid_n = kid_prefix(entry);

        if (kid_n == 0 || key_add(k, (struct cq_span){ entry.p, kid_n },
                                  (struct cq_span){ entry.p + kid_n + 1, entry.n - kid_n - 1 }))
            return CQ_FATAL;
        if (!comma)
            break;
        rest = (struct cq_span){ comma + 1, rest.n - entry.n - 1 };
    }
    *ret = CQ_TAKE(k);
    return CQ_OK;
}

void token_keys_free(struct token_keys *k)
{
    if (!k)
        return;
    explicit_bzero(k, sizeof *k);
    free(k);
}

enum cq_status token_sign(const struct token_keys *k, const struct token_claims *c, char *out,
                          size_t out_n)
{
    const struct key *key = &k->key[0];
    cq_auto(jwt) jwt_t *jwt = NULL;
    char *text;
    size_t n;

    if (jwt_new(&jwt) != 0 || jwt_set_alg(jwt, JWT_ALG_HS256, key->secret, key->secret_n) != 0 ||
        jwt_add_header(jwt, "kid", key->kid) != 0 || jwt_add_grant(jwt, "iss", ISSUER) != 0 ||
        jwt_add_grant(jwt, "aud", ISSUER) != 0 ||
        jwt_add_grant(jwt, "sub", id_text(c->user).s) != 0 ||
        jwt_add_grant(jwt, "did", id_text(c->device).s) != 0 ||
        jwt_add_grant_int(jwt, "iat", (long)c->issued_s) != 0 ||
        jwt_add_grant_int(jwt, "exp", (long)c->expires_s) != 0)
        return CQ_FATAL;
    text = jwt_encode_str(jwt);
    if (!text)
        return CQ_FATAL;
    n = strlen(text);
    if (n < out_n)
        memcpy(out, text, n + 1);
    free(text);
    return n < out_n ? CQ_OK : CQ_FATAL;
}

/* ---- checking ----------------------------------------------------------------------------------
 */

static bool is_base64url(struct cq_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_kid_char(s.p[i])) /* the same alphabet */
            return false;
    return s.n > 0;
}

/* Cut `token` at its dots into exactly three parts of base64url. */
static bool split(struct cq_span token, struct cq_span part[3])
{
    for (int i = 0; i < 3; i++) {
        const uint8_t *dot = memchr(token.p, '.', token.n);

        if (!dot != (i == 2))
            return false;
        part[i] = (struct cq_span){ token.p, dot ? (size_t)(dot - token.p) : token.n };
        if (!is_base64url(part[i]))
            return false;
        if (dot)
            token = (struct cq_span){ dot + 1, token.n - part[i].n - 1 };
    }
    return true;
}

/* Decode one part as a JSON object; its duplicate members are refused there. Owned by caller; NULL
 * if it is none. */
static struct json *part_parse(struct cq_span part)
{
    uint8_t bytes[SEGMENT_MAX];
    struct json *root = NULL;
    size_t n;

    if (!base64url_parse(part, bytes, sizeof bytes, &n) ||
        json_parse((struct cq_span){ bytes, n }, &root, NULL) != CQ_OK)
        return NULL;
    return root;
}

static bool text_is(const struct json *v, const char *name, const char *want)
{
    struct cq_span got;

    return json_get_text(v, name, &got) && span_eq_str(got, want);
}

/* The key that an acceptable header names, or NULL. Exactly {alg, typ, kid}: so no `crit`, no
 * `jwk`, no other alg. */
static const struct key *header_key(const struct token_keys *k, struct cq_span part)
{
    static const char *const names[] = { "alg", "typ", "kid", NULL };
    cq_auto(json) struct json *header = part_parse(part);
    struct cq_span kid;

    if (!header || !json_only(header, names) || !text_is(header, "alg", "HS256") ||
        !text_is(header, "typ", "JWT") || !json_get_text(header, "kid", &kid))
        return NULL;
    return key_find(k, kid);
}

/* libjwt follows the algorithm that the token names, so this comes after header_key() has pinned
 * it. */
static bool signature_is_right(const struct key *key, struct cq_span token)
{
    cq_auto(jwt) jwt_t *jwt = NULL;
    char text[TOKEN_TEXT_MAX + 1];

    memcpy(text, token.p, token.n);
    text[token.n] = '\0';
    return jwt_decode(&jwt, text, key->secret, key->secret_n) == 0 &&
           jwt_get_alg(jwt) == JWT_ALG_HS256;
}

static const char *claims_fault(struct cq_span part, int64_t now_s, struct token_claims *ret)
{
    static const char *const names[] = { "iss", "aud", "sub", "did", "iat", "exp", NULL };
    cq_auto(json) struct json *v = part_parse(part);
    struct token_claims c;

    if (!v || !json_only(v, names))
        return "claims";
    if (!text_is(v, "iss", ISSUER))
        return "iss";
    if (!text_is(v, "aud", ISSUER))
        return "aud";
    if (!json_get_id(v, "sub", &c.user))
        return "sub";
    if (!json_get_id(v, "did", &c.device))
        return "did";
    if (!json_get_i64(v, "iat", &c.issued_s) || c.issued_s < 0 || c.issued_s > now_s + CLOCK_SKEW_S)
        return "iat";
    if (!json_get_i64(v, "exp", &c.expires_s) || c.expires_s <= c.issued_s ||
        c.expires_s - c.issued_s > LIFE_MAX_S)
        return "exp";
    if (c.expires_s <= now_s)
        return "expired";
    *ret = c;
    return NULL;
}

static enum cq_status refuse(const char **ret_why, const char *why)
{
    if (ret_why)
        *ret_why = why;
    return CQ_POISON;
}

enum cq_status token_check(const struct token_keys *k, struct cq_span token, int64_t now_s,
                           struct token_claims *ret, const char **ret_why)
{
    struct cq_span part[3];
    const struct key *key;
    const char *fault;

    if (token.n == 0 || token.n > TOKEN_TEXT_MAX || !split(token, part))
        return refuse(ret_why, "form");
    key = header_key(k, part[0]);
    if (!key)
        return refuse(ret_why, "header");
    if (!signature_is_right(key, token))
        return refuse(ret_why, "signature");
    fault = claims_fault(part[1], now_s, ret);
    return fault ? refuse(ret_why, fault) : CQ_OK;
}
