/* SPDX-License-Identifier: MIT */
#include "lib/base/hash.h"
#include "lib/jwt/token.h"
#include "tests/unit/test.h"

#include <stdio.h>

#define SECRET "0123456789abcdef0123456789abcdef"
#define SECRET_B "fedcba9876543210fedcba9876543210"
#define USER "11111111-1111-8111-8111-111111111111"
#define DEVICE "22222222-2222-4222-8222-222222222222"
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"0\"}"
#define WHO "\"iss\":\"chasqui\",\"aud\":\"chasqui\",\"sub\":\"" USER "\",\"did\":\"" DEVICE "\""
#define CLAIMS "{" WHO ",\"iat\":1000,\"exp\":1900}"

enum { NOW = 1500 };

/* A token made by hand: header and claims as given, signed with HMAC-SHA256 under `secret`. */
static struct cq_span make(const char *header, const char *claims, const char *secret)
{
    static char token[16384];
    struct cq_span body;
    uint8_t mac[32];
    size_t n;

    n = base64url_format(header, strlen(header), token);
    token[n++] = '.';
    n += base64url_format(claims, strlen(claims), token + n);
    body = (struct cq_span){ (const uint8_t *)token, n };
    hmac_sha256(span_str(secret), &body, 1, mac);
    token[n++] = '.';
    n += base64url_format(mac, sizeof mac, token + n);
    return (struct cq_span){ (const uint8_t *)token, n };
}

static struct token_keys *keys(const char *secret)
{
    struct token_keys *k = NULL;

    return token_keys_new(secret, &k) == CQ_OK ? k : NULL;
}

TEST(sign_and_check)
{
    struct token_keys *k = keys(SECRET);
    struct token_claims in = { .issued_s = 1000, .expires_s = 1900 }, out = { 0 };
    char text[TOKEN_TEXT_MAX], small[20];

    CHECK(k != NULL);
    CHECK(id_parse(span_str(USER), &in.user) && id_parse(span_str(DEVICE), &in.device));
    CHECK_EQ(token_sign(k, &in, text, sizeof text), CQ_OK);
    CHECK_EQ(token_check(k, span_str(text), NOW, &out, NULL), CQ_OK);
    CHECK(id_eq(in.user, out.user) && id_eq(in.device, out.device));
    CHECK_EQ(out.issued_s, 1000);
    CHECK_EQ(out.expires_s, 1900);
    CHECK_EQ(token_sign(k, &in, small, sizeof small), CQ_FATAL);
    token_keys_free(k);
}

TEST(a_token_made_by_hand_passes)
{
    struct token_keys *k = keys(SECRET);
    struct token_claims out;
    const char *why = "";

    CHECK(k != NULL);
    CHECK_EQ(token_check(k, make(HEADER, CLAIMS, SECRET), NOW, &out, &why), CQ_OK);
    CHECK_STR(id_text(out.user).s, USER);
    CHECK_STR(id_text(out.device).s, DEVICE);
    token_keys_free(k);
}

TEST(refuses_headers)
{
    static const char *const rows[] = {
        "{\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"0\"}",
        "{\"alg\":\"HS384\",\"typ\":\"JWT\",\"kid\":\"0\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"kid\":\"0\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"0\"}",
        "{\"alg\":\"hs256\",\"typ\":\"JWT\",\"kid\":\"0\"}",
        "{\"alg\":[\"HS256\"],\"typ\":\"JWT\",\"kid\":\"0\"}",
        "{\"alg\":\"HS256\",\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"0\"}",
        "{\"typ\":\"JWT\",\"kid\":\"0\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"kid\":\"0\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"0\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"1\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"../../0\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":0}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"0\",\"crit\":[\"exp\"]}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"0\",\"jku\":\"http://x\"}",
        "[]",
        "x",
    };
    struct token_keys *k = keys(SECRET);

    CHECK(k != NULL);
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        struct token_claims out;
        const char *why = "";

        CHECK_EQ_ROW(rows[r], token_check(k, make(rows[r], CLAIMS, SECRET), NOW, &out, &why),
                     CQ_POISON);
        CHECK_STR(why, "header");
    }
    token_keys_free(k);
}

TEST(refuses_claims)
{
    static const struct {
        const char *claims, *why;
    } rows[] = {
        { "{" WHO ",\"iat\":1000}", "exp" },
        { "{" WHO ",\"iat\":1000,\"exp\":\"1900\"}", "exp" },
        { "{" WHO ",\"iat\":1000,\"exp\":1900.5}", "exp" },
        { "{" WHO ",\"iat\":1000,\"exp\":-1900}", "exp" },
        { "{" WHO ",\"iat\":1000,\"exp\":null}", "exp" },
        { "{" WHO ",\"iat\":1000,\"exp\":900}", "exp" },
        { "{" WHO ",\"iat\":1000,\"exp\":87401}", "exp" },
        { "{" WHO ",\"iat\":1000,\"exp\":9223372036854775807}", "exp" },
        { "{" WHO ",\"iat\":1000,\"exp\":1500}", "expired" },
        { "{" WHO ",\"iat\":100,\"exp\":200}", "expired" },
        { "{" WHO ",\"exp\":1900}", "iat" },
        { "{" WHO ",\"iat\":\"1000\",\"exp\":1900}", "iat" },
        { "{" WHO ",\"iat\":1561,\"exp\":1900}", "iat" },
        { "{" WHO ",\"iat\":-1,\"exp\":1900}", "iat" },
        { "{" WHO ",\"iat\":-9223372036854775808,\"exp\":1900}", "iat" },
        { "{" WHO ",\"iat\":1000,\"exp\":1900,\"exp\":1901}", "claims" },
        { "{" WHO ",\"iat\":1000,\"exp\":1900,\"sub\":\"" USER "\"}", "claims" },
        { "{" WHO ",\"iat\":1000,\"exp\":1900,\"nbf\":99999}", "claims" },
        { "{\"iss\":\"evil\",\"aud\":\"chasqui\",\"sub\":\"" USER "\",\"did\":\"" DEVICE
          "\",\"iat\":1000,\"exp\":1900}",
          "iss" },
        { "{\"iss\":\"chasqui\",\"aud\":\"other\",\"sub\":\"" USER "\",\"did\":\"" DEVICE
          "\",\"iat\":1000,\"exp\":1900}",
          "aud" },
        { "{\"iss\":\"chasqui\",\"aud\":[\"chasqui\"],\"sub\":\"" USER "\",\"did\":\"" DEVICE
          "\",\"iat\":1000,\"exp\":1900}",
          "aud" },
        { "{\"iss\":\"chasqui\",\"aud\":\"chasqui\",\"sub\":\"me\",\"did\":\"" DEVICE
          "\",\"iat\":1000,\"exp\":1900}",
          "sub" },
        { "{\"iss\":\"chasqui\",\"aud\":\"chasqui\",\"sub\":\"" USER
          "\",\"iat\":1000,\"exp\":1900}",
          "did" },
        { "[]", "claims" },
        { "{}", "iss" },
        { "", "form" },
    };
    struct token_keys *k = keys(SECRET);

    CHECK(k != NULL);
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        struct token_claims out;
        const char *why = "";
        struct cq_span t = make(HEADER, rows[r].claims, SECRET);

        CHECK_EQ_ROW(rows[r].claims, token_check(k, t, NOW, &out, &why), CQ_POISON);
        CHECK_STR(why, rows[r].why);
    }
    token_keys_free(k);
}

TEST(refuses_forms)
{
    struct token_keys *k = keys(SECRET);
    struct token_claims out;
    const char *why = "";
    struct cq_span good = make(HEADER, CLAIMS, SECRET);
    char text[2048], other[4096];

    CHECK(k != NULL);
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(good));
    snprintf(other, sizeof other, "%s.e30", text);
    CHECK_EQ(token_check(k, span_str(other), NOW, &out, &why), CQ_POISON);
    snprintf(other, sizeof other, "%s=", text);
    CHECK_EQ(token_check(k, span_str(other), NOW, &out, &why), CQ_POISON);
    snprintf(other, sizeof other, " %s", text);
    CHECK_EQ(token_check(k, span_str(other), NOW, &out, &why), CQ_POISON);
    snprintf(other, sizeof other, "%s", text);
    strrchr(other, '.')[1] = '\0'; /* an empty signature */
    CHECK_EQ(token_check(k, span_str(other), NOW, &out, &why), CQ_POISON);
    *strrchr(other, '.') = '\0'; /* two parts */
    CHECK_EQ(token_check(k, span_str(other), NOW, &out, &why), CQ_POISON);
    CHECK_STR(why, "form");
    CHECK_EQ(token_check(k, span_str(""), NOW, &out, &why), CQ_POISON);
    CHECK_EQ(token_check(k, (struct cq_span){ (uint8_t *)text, strlen(text) + 1 }, NOW, &out, &why),
             CQ_POISON); /* its NUL is a byte like another */
    memset(other, 'a', sizeof other);
    CHECK_EQ(
        token_check(k, (struct cq_span){ (uint8_t *)other, TOKEN_TEXT_MAX + 1 }, NOW, &out, &why),
        CQ_POISON);
    CHECK_STR(why, "form");
    token_keys_free(k);
}

TEST(refuses_signatures)
{
    struct token_keys *k = keys(SECRET);
    struct token_claims out;
    const char *why = "";
    struct cq_span t;
    char text[4096];
    char *sig;

    CHECK(k != NULL);
    CHECK_EQ(token_check(k, make(HEADER, CLAIMS, SECRET_B), NOW, &out, &why), CQ_POISON);
    CHECK_STR(why, "signature");
    CHECK_EQ(token_check(k, make(HEADER, CLAIMS, ""), NOW, &out, &why), CQ_POISON);
    t = make(HEADER, CLAIMS, SECRET);
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(t));
    sig = strrchr(text, '.') + 1;
    sig[0] = sig[0] == 'A' ? 'B' : 'A';
    CHECK_EQ(token_check(k, span_str(text), NOW, &out, &why), CQ_POISON);
    CHECK_STR(why, "signature");
    token_keys_free(k);
}

TEST(keys_rotate)
{
    struct token_keys *both = keys("k2:" SECRET_B ",k1:" SECRET);
    struct token_keys *old = keys("k1:" SECRET);
    struct token_claims in = { .issued_s = 1000, .expires_s = 1900 }, out;
    char text[TOKEN_TEXT_MAX];

    CHECK(both != NULL && old != NULL);
    CHECK_EQ(token_sign(old, &in, text, sizeof text), CQ_OK);
    CHECK_EQ(token_check(both, span_str(text), NOW, &out, NULL), CQ_OK);
    CHECK_EQ(token_sign(both, &in, text, sizeof text), CQ_OK); /* the first key signs */
    CHECK_EQ(token_check(both, span_str(text), NOW, &out, NULL), CQ_OK);
    CHECK_EQ(token_check(old, span_str(text), NOW, &out, NULL), CQ_POISON);
    token_keys_free(both);
    token_keys_free(old);
}

TEST(weak_keys_are_refused)
{
    CHECK(keys("") == NULL);
    CHECK(keys("short") == NULL);
    CHECK(keys("k1:short") == NULL);
    CHECK(keys("k1:" SECRET ",k0:short") == NULL);
    CHECK(keys("k1:" SECRET ",") == NULL);
    CHECK(keys("k1:" SECRET ",k1:" SECRET_B) == NULL);
    CHECK(keys("k1:" SECRET "," SECRET_B) == NULL);
}
