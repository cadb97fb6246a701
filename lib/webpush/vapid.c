/* SPDX-License-Identifier: MIT */
#include "lib/webpush/vapid.h"

#include "lib/base/auto.h"
#include "lib/base/hash.h"
#include "lib/webpush/seal.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

static const char curve[] = "prime256v1";
enum { CURVE_NAME_MAX = 32 };

CQ_DEFINE_AUTO(EVP_PKEY, EVP_PKEY *, EVP_PKEY_free)
CQ_DEFINE_AUTO(BIO, BIO *, BIO_free_all)

static enum cq_status say_public(EVP_PKEY *key, char ret[VAPID_PUBLIC_MAX])
{
    uint8_t point[SEAL_POINT_BYTES];
    char name[CURVE_NAME_MAX];
    size_t n = 0;

    if (EVP_PKEY_get_group_name(key, name, sizeof name, NULL) <= 0 || strcmp(name, curve) != 0 ||
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &n) <=
            0 ||
        n != sizeof point)
        return CQ_POISON;
    base64url_format(point, sizeof point, ret);
    return CQ_OK;
}

/* A key that is encrypted is none: nobody is there to be asked for its password. */
static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

enum cq_status vapid_public(struct cq_span pem, char ret[VAPID_PUBLIC_MAX])
{
    cq_auto(BIO) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    cq_auto(EVP_PKEY) EVP_PKEY *key =
        bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

    return key ? say_public(key, ret) : CQ_POISON;
}

enum cq_status vapid_make(struct cq_buf *pem, char ret_public[VAPID_PUBLIC_MAX])
{
    cq_auto(EVP_PKEY) EVP_PKEY *key = EVP_EC_gen(curve);
    cq_auto(BIO) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long n;

    if (!key || !bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) <= 0 ||
        say_public(key, ret_public) != CQ_OK)
        return CQ_FATAL;
    n = BIO_get_mem_data(bio, &text);
    buf_add(pem, text, n > 0 ? (size_t)n : 0);
    return pem->failed ? CQ_FATAL : CQ_OK;
}
