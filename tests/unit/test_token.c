/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"

#include "lib/base/hash.h"
#include "lib/jwt/token.h"

#include <stdlib.h>

enum { NOW = 1000000 };

static const char SECRET[] = "a secret of at least thirty-two bytes";
static const char HEADER[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"0\"}";
static const char CLAIMS[] =
    "{\"iss\":\"chasqui\",\"aud\":\"chasqui\",\"sub\":\"11111111-1111-4111-8111-111111111111\","
    "\"did\":\"22222222-2222-4222-8222-222222222222\",\"iat\":999990,\"exp\":1000900}";

/* A token made by hand, signed with HMAC-SHA256 whatever its header says. */
static const char *forge(const char *header, const char *claims, const char *secret)
{
    static char token[8192];
    uint8_t mac[32];
    size_t n = base64url_format(header, strlen(header), token);
    struct cq_span signed_part;

    token[n++] = '.';
    n += base64url_format(claims, strlen(claims), token + n);
    signed_part = span_of(token, n);
    hmac_sha256(span_str(secret), &signed_part, 1, mac);
    token[n++] = '.';
    base64url_format(mac, sizeof mac, token + n);
    return token;
}

static const char *verdict(const char *token)
{
    struct token_keys *keys = NULL;
    struct token_claims claims;
    const char *why = NULL;
    enum cq_status st = token_keys_new(SECRET, &keys);

    if (st == CQ_OK)
        st = token_check(keys, span_str(token), NOW, &claims, &why);
    token_keys_free(keys);
    return st == CQ_OK ? "good" : why;
}

TEST(a_token_by_hand_is_accepted_so_the_refusals_mean_something)
{
    CHECK_STR(verdict(forge(HEADER, CLAIMS, SECRET)), "good");
}

TEST(the_reason_need_not_be_asked_for)
{
    struct token_keys *keys = NULL;
    struct token_claims claims;

    CHECK_EQ(token_keys_new(SECRET, &keys), CQ_OK);
    CHECK_EQ(token_check(keys, span_str("no token"), 0, &claims, NULL), CQ_POISON);
    token_keys_free(keys);
}

TEST(t6_t7_t11_headers_other_than_ours_are_refused)
{
    static const char *const rows[] = {
        "{\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"0\"}",
        "{\"alg\":\"HS384\",\"typ\":\"JWT\",\"kid\":\"0\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"kid\":\"0\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"0\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"1\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"../../etc/passwd\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"kid\":\"0\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"0\",\"crit\":[\"x\"]}",
        "{\"alg\":\"HS256\",\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"0\"}",
        "[]",
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_STR(verdict(forge(rows[i], CLAIMS, SECRET)), "header");
}

#define ID                                                                                \
    "\"sub\":\"11111111-1111-4111-8111-111111111111\",\"did\":\"22222222-2222-4222-8222-" \
    "222222222222\""
#define WHO "\"iss\":\"chasqui\",\"aud\":\"chasqui\","

TEST(t9_t10_claims_are_all_pinned)
{
    static const struct {
        const char *claims, *why;
    } rows[] = {
        { "{" WHO ID ",\"iat\":999990}", "iat or exp" },
        { "{" WHO ID ",\"iat\":999990,\"exp\":\"1000900\"}", "iat or exp" },
        { "{" WHO ID ",\"iat\":999990,\"exp\":1000900.5}", "iat or exp" },
        { "{" WHO ID ",\"iat\":999990,\"exp\":-5}", "times" },
        { "{" WHO ID ",\"iat\":999000,\"exp\":1000000}", "expired" },
        { "{" WHO ID ",\"iat\":1000061,\"exp\":1000900}", "times" },
        { "{" WHO ID ",\"iat\":999990,\"exp\":1086391}", "times" },
        { "{\"iss\":\"other\",\"aud\":\"chasqui\"," ID ",\"iat\":999990,\"exp\":1000900}",
          "iss or aud" },
        { "{\"iss\":\"chasqui\",\"aud\":[\"chasqui\"]," ID ",\"iat\":999990,\"exp\":1000900}",
          "iss or aud" },
        { "{" WHO "\"sub\":\"alice\",\"did\":\"22222222-2222-4222-8222-222222222222\",\"iat\":"
          "999990,\"exp\":1000900}",
          "sub or did" },
        { "{" WHO ID
          ",\"sub\":\"33333333-3333-4333-8333-333333333333\",\"iat\":999990,\"exp\":1000900}",
          "claims" },
        { "{" WHO ID ",\"iat\":999990,\"exp\":1000900,\"nbf\":1000500}", "claims" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_STR(verdict(forge(HEADER, rows[i].claims, SECRET)), rows[i].why);
}

TEST(t10_signatures_and_form)
{
    char token[8192];
    size_t n;

    CHECK_STR(verdict(forge(HEADER, CLAIMS, "another secret of thirty-two bytes.....")),
              "signature");
    n = (size_t)snprintf(token, sizeof token, "%s", forge(HEADER, CLAIMS, SECRET));
    token[n - 1] = token[n - 1] == 'A' ? 'Q' : 'A';
    CHECK_STR(verdict(token), "signature");
    snprintf(token, sizeof token, "%s.x", forge(HEADER, CLAIMS, SECRET));
    CHECK_STR(verdict(token), "form");
    snprintf(token, sizeof token, "%s=", forge(HEADER, CLAIMS, SECRET));
    CHECK_STR(verdict(token), "form");
    memset(token, 'A', sizeof token - 1);
    token[sizeof token - 1] = '\0';
    CHECK_STR(verdict(token), "form");
    CHECK_STR(verdict(""), "form");
    CHECK_STR(verdict("a.b"), "form");
}

TEST(t11_what_we_sign_we_accept_and_keys_rotate)
{
    struct token_claims claims = { .user = { { 1 } },
                                   .device = { { 2 } },
                                   .issued_s = NOW - 10,
                                   .expires_s = NOW + 800 },
                        back;
    struct token_keys *old = NULL, *both = NULL, *fresh = NULL;
    char token[TOKEN_TEXT_MAX];
    const char *why = NULL;

    CHECK_EQ(token_keys_new("k0:the old secret, of thirty-two bytes..", &old),
             CQ_FATAL); /* a comma parts keys */
    CHECK_EQ(token_keys_new("k0:the-old-secret-of-thirty-two-bytes...", &old), CQ_OK);
    CHECK_EQ(
        token_keys_new(
            "k1:the-new-secret-of-thirty-two-bytes...,k0:the-old-secret-of-thirty-two-bytes...",
            &both),
        CQ_OK);
    CHECK_EQ(token_keys_new("k1:the-new-secret-of-thirty-two-bytes...", &fresh), CQ_OK);
    CHECK_EQ(token_sign(old, &claims, token, sizeof token), CQ_OK);
    CHECK_EQ(token_check(both, span_str(token), NOW, &back, &why), CQ_OK);
    CHECK(id_eq(back.user, claims.user) && id_eq(back.device, claims.device));
    CHECK_EQ(back.expires_s, claims.expires_s);
    CHECK_EQ(token_check(fresh, span_str(token), NOW, &back, &why), CQ_POISON);
    CHECK_EQ(token_sign(both, &claims, token, sizeof token), CQ_OK);
    CHECK_EQ(token_check(fresh, span_str(token), NOW, &back, &why), CQ_OK);
    CHECK_EQ(token_sign(both, &claims, token, 20), CQ_FATAL); /* no room */
    token_keys_free(old);
    token_keys_free(both);
    token_keys_free(fresh);
}

TEST(t8_short_secrets_are_no_secrets)
{
    struct token_keys *keys = NULL;

    CHECK_EQ(token_keys_new("", &keys), CQ_FATAL);
    CHECK_EQ(token_keys_new("thirty-one bytes are too few...", &keys), CQ_FATAL);
    CHECK_EQ(token_keys_new("k1:short,k0:the-old-secret-of-thirty-two-bytes...", &keys), CQ_FATAL);
    CHECK_EQ(
        token_keys_new(
            "k1:the-new-secret-of-thirty-two-bytes...,k1:the-old-secret-of-thirty-two-bytes...",
            &keys),
        CQ_FATAL);
}
