/* SPDX-License-Identifier: MIT */
/*
 * lib/jwt/signer.h - JWTs signed with a private key, for services that know the public one.
 */
#pragma once

#include "lib/base/auto.h"
#include "lib/base/span.h"
#include "lib/base/status.h"

struct jwt_signer; /* a key; immutable */

enum jwt_signing { JWT_SIGNING_ES256, JWT_SIGNING_RS256 };
enum { JWT_SIGNED_MAX = 4096, JWT_KEY_MAX = 16 * 1024 };

struct jwt_claim {
    const char *name;
    const char *text; /* NULL: the value is `number` */
    int64_t number;
};

/** A private key in PEM (PKCS#8) and its name, "" for none. CQ_FATAL when nothing can be signed with it: it is
 * no PEM, or no key for this algorithm. Owned by caller. */
CQ_MUST_CHECK enum cq_status jwt_signer_new(enum jwt_signing alg, struct cq_span pem,
                                            const char *kid, struct jwt_signer **ret);
void jwt_signer_free(struct jwt_signer *signer); /* NULL is fine; wipes the key */
CQ_DEFINE_AUTO(jwt_signer, struct jwt_signer *, jwt_signer_free)

/** Sign `claims` into `out` (NUL-terminated). Takes one to three ms. Any thread. CQ_FATAL when
 * `out` is too small or without memory. */
CQ_MUST_CHECK enum cq_status jwt_signer_sign(const struct jwt_signer *signer,
                                             const struct jwt_claim *claims, size_t claims_n,
                                             char *out, size_t out_n);
