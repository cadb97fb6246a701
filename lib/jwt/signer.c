/* SPDX-License-Identifier: MIT */
#include "lib/jwt/signer.h"

#include <jwt.h>
#include <stdlib.h>
#include <string.h>

struct jwt_signer {
    jwt_alg_t alg;
    char *kid; /* owned */
    size_t pem_n;
    uint8_t pem[JWT_KEY_MAX];
};

static bool fill(const struct jwt_signer *s, jwt_t *jwt, const struct jwt_claim *claims, size_t n)
{
    bool good = jwt_set_alg(jwt, s->alg, s->pem, (int)s->pem_n) == 0 &&
                jwt_add_header(jwt, "kid", s->kid) == 0;

    for (size_t i = 0; good && i < n; i++)
        good =
            (claims[i].text ? jwt_add_grant(jwt, claims[i].name, claims[i].text)
                            : jwt_add_grant_int(jwt, claims[i].name, (long)claims[i].number)) == 0;
    return good;
}

enum cq_status jwt_signer_sign(const struct jwt_signer *s, const struct jwt_claim *claims,
                               size_t claims_n, char *out, size_t out_n)
{
    char *text = NULL;
    jwt_t *jwt = NULL;
    enum cq_status st = CQ_FATAL;

    if (jwt_new(&jwt) == 0 && fill(s, jwt, claims, claims_n) && (text = jwt_encode_str(jwt)) &&
        strlen(text) < out_n) {
        memcpy(out, text, strlen(text) + 1);
        st = CQ_OK;
    }
    free(text);
    jwt_free(jwt);
    return st;
}

/* The library says what it thinks of a key only when it signs with it. */
static bool key_signs(const struct jwt_signer *s)
{
    char out[JWT_SIGNED_MAX];

    return jwt_signer_sign(s, &(struct jwt_claim){ "iss", "trial", 0 }, 1, out, sizeof out) ==
           CQ_OK;
}

enum cq_status jwt_signer_new(enum jwt_signing alg, struct cq_span pem, const char *kid,
                              struct jwt_signer **ret)
{
    cq_auto(jwt_signer) struct jwt_signer *s = calloc(1, sizeof *s);

    if (!s || !pem.n || pem.n > JWT_KEY_MAX)
        return CQ_FATAL;
    s->alg = alg == JWT_SIGNING_ES256 ? JWT_ALG_ES256 : JWT_ALG_RS256;
    s->kid = strdup(kid);
    memcpy(s->pem, pem.p, pem.n);
    s->pem_n = pem.n;
    if (!s->kid || !key_signs(s))
        return CQ_FATAL;
    *ret = CQ_TAKE(s);
    return CQ_OK;
}

void jwt_signer_free(struct jwt_signer *s)
{
    if (!s)
        return;
    explicit_bzero(s->pem, sizeof s->pem);
    free(s->kid);
    free(s);
}
