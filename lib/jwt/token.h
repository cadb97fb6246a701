/* SPDX-License-Identifier: MIT */
/*
 * lib/jwt/token.h - access tokens: HS256 JWTs (RFC 7519) with every claim pinned. The one owner of
 * jwt.h, which checks signatures only.
 */
#pragma once

#include "lib/base/id.h"
#include "lib/base/span.h"
#include "lib/base/status.h"

struct token_keys; /* parsed JWT_SECRET; immutable after start */

enum { TOKEN_TEXT_MAX = 2048, TOKEN_SECRET_MIN = 32 };

struct token_claims {
    struct cq_id user;   /* sub */
    struct cq_id device; /* did */
    int64_t issued_s;    /* iat */
    int64_t expires_s;   /* exp */
};

/** `secret`: plain (kid "0") or `kid1:secret,kid0:secret`. CQ_FATAL when a secret is shorter than
 * TOKEN_SECRET_MIN. Owned by caller. */
CQ_MUST_CHECK enum cq_status token_keys_new(const char *secret, struct token_keys **ret);
void token_keys_free(struct token_keys *keys);

/** Secret `i`, of which the first signs; {NULL,0}: there are no more. For lib/jwt alone. Borrowed. */
struct cq_span token_key_secret(const struct token_keys *keys, int i);

/** Sign with the first key into `out` (NUL-terminated). CQ_FATAL when `out` is too small. */
CQ_MUST_CHECK enum cq_status token_sign(const struct token_keys *keys,
                                        const struct token_claims *claims, char *out, size_t out_n);

/** CQ_OK: signature, alg, kid, typ, iss, aud, sub, did and integer iat and exp are all right at
 * `now_s`. CQ_POISON otherwise, with a static reason for the log in *ret_why (may be NULL). Any
 * thread. */
CQ_MUST_CHECK enum cq_status token_check(const struct token_keys *keys, struct cq_span token,
                                         int64_t now_s, struct token_claims *ret,
                                         const char **ret_why);
