/* SPDX-License-Identifier: MIT */
#include "lib/webpush/seal.h"

#include "lib/base/auto.h"
#include "lib/base/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

enum { SECRET_BYTES = 32, KEY_BYTES = 16, NONCE_BYTES = 12, TAG_BYTES = 16, LAST_RECORD = 2 };

static char curve[] = "prime256v1"; /* OSSL_PARAM takes it without const; it stays as it is */

CQ_DEFINE_AUTO(EVP_PKEY, EVP_PKEY *, EVP_PKEY_free)
CQ_DEFINE_AUTO(EVP_PKEY_CTX, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
CQ_DEFINE_AUTO(EVP_CIPHER_CTX, EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)

/* A public key. NULL: it is no point of the curve, or there is no memory. */
static EVP_PKEY *point_key(const uint8_t point[SEAL_POINT_BYTES])
{
    uint8_t copy[SEAL_POINT_BYTES];
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
                            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy,
                                                              sizeof copy),
                            OSSL_PARAM_END };
    cq_auto(EVP_PKEY_CTX) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;

    memcpy(copy, point, sizeof copy);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
        return NULL;
    return key;
}

/* A pair whose number is known. */
static EVP_PKEY *known_pair(const struct seal_secrets *secrets)
{
    cq_auto(EVP_PKEY_CTX) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *number = BN_bin2bn(secrets->number, sizeof secrets->number, NULL);
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;

    if (ctx && builder && number &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, secrets->point,
                                         sizeof secrets->point) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, number))
        params = OSSL_PARAM_BLD_to_param(builder);
    if (!params || EVP_PKEY_fromdata_init(ctx) <= 0 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) <= 0)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    BN_clear_free(number);
    return key;
}

static bool shared_secret(EVP_PKEY *own, EVP_PKEY *other, uint8_t out[SECRET_BYTES])
{
    cq_auto(EVP_PKEY_CTX) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    size_t n = SECRET_BYTES;

    return ctx && EVP_PKEY_derive_init(ctx) > 0 && EVP_PKEY_derive_set_peer(ctx, other) > 0 &&
           EVP_PKEY_derive(ctx, out, &n) > 0 && n == SECRET_BYTES;
}

/* HKDF (RFC 5869) of up to 32 bytes, whose salt and secret were extracted already: one block. */
static void expand(const uint8_t extracted[32], struct cq_span info, struct cq_span more,
                   struct cq_span last, uint8_t out[32])
{
    static const uint8_t one = 1;
    const struct cq_span parts[] = { info, more, last, { &one, 1 } };

    hmac_sha256(span_of(extracted, 32), parts, ARRAY_LEN(parts), out);
}

struct record_keys {
    uint8_t key[32], nonce[32]; /* of which the first KEY_BYTES and NONCE_BYTES count */
};

/* RFC 8291, 3.4. */
static void derive(const uint8_t secret[SECRET_BYTES], const uint8_t auth[SEAL_AUTH_BYTES],
                   const uint8_t key[SEAL_POINT_BYTES], const struct seal_secrets *own,
                   struct record_keys *ret)
{
    static const char info[] = "WebPush: info", of_key[] = "Content-Encoding: aes128gcm",
                      of_nonce[] = "Content-Encoding: nonce"; /* each with its NUL */
    const struct cq_span none = { NULL, 0 }, shared = span_of(secret, SECRET_BYTES);
    uint8_t first[32], input[32], extracted[32];
    struct cq_span whole = span_of(input, sizeof input);

    hmac_sha256(span_of(auth, SEAL_AUTH_BYTES), &shared, 1, first);
    expand(first, span_of(info, sizeof info), span_of(key, SEAL_POINT_BYTES),
           span_of(own->point, SEAL_POINT_BYTES), input);
    hmac_sha256(span_of(own->salt, SEAL_SALT_BYTES), &whole, 1, extracted);
    expand(extracted, span_of(of_key, sizeof of_key), none, none, ret->key);
    expand(extracted, span_of(of_nonce, sizeof of_nonce), none, none, ret->nonce);
    OPENSSL_cleanse(first, sizeof first);
    OPENSSL_cleanse(input, sizeof input);
    OPENSSL_cleanse(extracted, sizeof extracted);
}

static bool encrypt(const struct record_keys *keys, struct cq_span plain, size_t padding,
                    struct cq_buf *out)
{
    static const uint8_t zeros[SEAL_PADDED_BYTES], delimiter = LAST_RECORD;
    cq_auto(EVP_CIPHER_CTX) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t *to = buf_reserve(out, plain.n + 1 + padding + TAG_BYTES);
    int n = 0, more = 0, last = 0, end = 0;

    if (!to || !ctx ||
        EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, keys->key, keys->nonce) <= 0 ||
        (plain.n && EVP_EncryptUpdate(ctx, to, &n, plain.p, (int)plain.n) <= 0) ||
        EVP_EncryptUpdate(ctx, to + n, &more, &delimiter, 1) <= 0)
        return false;
    n += more;
    while (padding) {
        size_t step = padding < sizeof zeros ? padding : sizeof zeros;

        if (EVP_EncryptUpdate(ctx, to + n, &last, zeros, (int)step) <= 0)
            return false;
        n += last;
        padding -= step;
    }
    if (EVP_EncryptFinal_ex(ctx, to + n, &end) <= 0 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, to + n) <= 0)
        return false;
    out->n += (size_t)n + TAG_BYTES;
    return true;
}

/* The header of the one record: salt, size, the sender's key (RFC 8188, 2.1). */
static void put_header(const struct seal_secrets *own, struct cq_buf *out)
{
    static const uint8_t size[] = { 0, 0, SEAL_MAX >> 8, SEAL_MAX & 0xFF, SEAL_POINT_BYTES };

    buf_add(out, own->salt, sizeof own->salt);
    buf_add(out, size, sizeof size);
    buf_add(out, own->point, sizeof own->point);
}

static EVP_PKEY *new_pair(struct seal_secrets *ret)
{
    cq_auto(EVP_PKEY) EVP_PKEY *pair = EVP_EC_gen(curve);
    size_t n = 0;

    if (!pair ||
        EVP_PKEY_get_octet_string_param(pair, OSSL_PKEY_PARAM_PUB_KEY, ret->point,
                                        sizeof ret->point, &n) <= 0 ||
        n != sizeof ret->point)
        return NULL;
    random_bytes(ret->salt, sizeof ret->salt);
    return CQ_TAKE(pair);
}

enum cq_status seal_push(const uint8_t key[SEAL_POINT_BYTES], const uint8_t auth[SEAL_AUTH_BYTES],
                         struct cq_span plain, size_t padded, const struct seal_secrets *secrets,
                         struct cq_buf *out)
{
    struct seal_secrets own = { 0 };
    struct record_keys keys;
    uint8_t secret[SECRET_BYTES];
    cq_auto(EVP_PKEY) EVP_PKEY *other = NULL;
    cq_auto(EVP_PKEY) EVP_PKEY *pair = NULL;
    bool good;

    if (plain.n > SEAL_PLAIN_MAX || padded > SEAL_PLAIN_MAX)
        return CQ_POISON;
    other = point_key(key);
    if (!other)
        return CQ_POISON;
    if (secrets)
        own = *secrets;
    pair = secrets ? known_pair(secrets) : new_pair(&own);
    if (!pair)
        return CQ_FATAL;
    if (!shared_secret(pair, other, secret))
        return CQ_POISON;
    derive(secret, auth, key, &own, &keys);
    put_header(&own, out);
    good = encrypt(&keys, plain, padded > plain.n ? padded - plain.n : 0, out) && !out->failed;
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(&keys, sizeof keys);
    return good ? CQ_OK : CQ_FATAL;
}
