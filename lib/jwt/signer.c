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

static bool fill(const struct jwt_signer *signer, jwt_t *jwt, const struct jwt_claim *claims,
                 size_t n)
{
    bool good = jwt_set_alg(jwt, signer->alg, signer->pem, (int)signer->pem_n) == 0 &&
                (!*signer->kid || jwt_add_header(jwt, "kid", signer->kid) == 0);

    for (size_t i = 0; good && i < n; i++)
        good =
            (claims[i].text ? jwt_add_grant(jwt, claims[i].name, claims[i].text)
                            : jwt_add_grant_int(jwt, claims[i].name, (long)claims[i].number)) == 0;
    return good;
}

enum cq_status jwt_signer_sign(const struct jwt_signer *signer, const struct jwt_claim *claims,
                               size_t claims_n, char *out, size_t out_n)
{
    char *text = NULL;
    jwt_t *jwt = NULL;
    enum cq_status st = CQ_FATAL;

    if (jwt_new(&jwt) == 0 && fill(signer, jwt, claims, claims_n) && (text = jwt_encode_str(jwt)) &&
        strlen(text) < out_n) {
        memcpy(out, text, strlen(text) + 1);
        st = CQ_OK;
    }
    free(text);
    jwt_free(jwt);
    return st;
}

/* The library finds fault with a key only when it signs with it. */
static bool key_signs(const struct jwt_signer *signer)
{
    char out[JWT_SIGNED_MAX];

    return jwt_signer_sign(signer, &(struct jwt_claim){ "iss", "trial", 0 }, 1, out, sizeof out) ==
           CQ_OK;
}

enum cq_status jwt_signer_new(enum jwt_signing alg, struct cq_span pem, const char *kid,
                              struct jwt_signer **ret)
{
    cq_auto(jwt_signer) struct jwt_signer *signer = calloc(1, sizeof *signer);

    if (!signer || !pem.n || pem.n > JWT_KEY_MAX)
        return CQ_FATAL;
    signer->alg = alg == JWT_SIGNING_ES256 ? JWT_ALG_ES256 : JWT_ALG_RS256;
    signer->kid = strdup(kid);
    memcpy(signer->pem, pem.p, pem.n);
    signer->pem_n = pem.n;
    if (!signer->kid || !key_signs(signer))
        return CQ_FATAL;
    *ret = CQ_TAKE(signer);
    return CQ_OK;
}

void jwt_signer_free(struct jwt_signer *signer)
{
    if (!signer)
        return;
    explicit_bzero(signer->pem, sizeof signer->pem);
    free(signer->kid);
    free(signer);
}
