/* SPDX-License-Identifier: MIT */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_CTX: the one digest state that can be kept */
#include "lib/base/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "chasqui: %s failed\n", what);
    abort(); /* without digests or randomness nothing here is safe */
}

static pthread_key_t context_key; /* frees a thread's context when the thread ends */

static void free_context(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void make_context_key(void)
{
    if (pthread_key_create(&context_key, free_context) != 0)
        die("SHA-256");
}

/* One context a thread, made once: fetching an algorithm costs more than hashing 100 bytes. */
static EVP_MD_CTX *digest_context(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Thread_local EVP_MD_CTX *ctx;

    if (!ctx) {
        pthread_once(&once, make_context_key);
        ctx = EVP_MD_CTX_new();
        if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
            die("SHA-256");
        pthread_setspecific(context_key, ctx);
    } else if (EVP_DigestInit_ex(ctx, NULL, NULL) != 1) {
        die("SHA-256");
    }
    return ctx;
}

void sha256(const struct cq_span *parts, size_t parts_n, uint8_t out[32])
{
    EVP_MD_CTX *ctx = digest_context();

    for (size_t i = 0; i < parts_n; i++)
        if (parts[i].n && EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) != 1)
            die("SHA-256");
    if (EVP_DigestFinal_ex(ctx, out, NULL) != 1)
        die("SHA-256");
}

_Static_assert(sizeof(SHA256_CTX) == sizeof(struct sha256_state), "what is kept is all of it");

void sha256_begin(struct sha256_state *hash)
{
    SHA256_CTX ctx;

    memset(&ctx, 0, sizeof ctx);
    SHA256_Init(&ctx);
    memcpy(hash, &ctx, sizeof ctx);
}

void sha256_more(struct sha256_state *hash, struct cq_span bytes)
{
    SHA256_CTX ctx;

    memcpy(&ctx, hash, sizeof ctx);
    if (ctx.num >= SHA256_CBLOCK)
        ctx.num = 0; /* what was kept is no valid state: only the digest will be wrong */
    if (bytes.n)
        SHA256_Update(&ctx, bytes.p, bytes.n);
    memcpy(hash, &ctx, sizeof ctx);
}

void sha256_end(const struct sha256_state *hash, uint8_t out[32])
{
    SHA256_CTX ctx;

    memcpy(&ctx, hash, sizeof ctx);
    if (ctx.num >= SHA256_CBLOCK)
        ctx.num = 0;
    ctx.md_len = SHA256_DIGEST_LENGTH;
    SHA256_Final(out, &ctx);
}

void sha1(struct cq_span bytes, uint8_t out[20])
{
    static const uint8_t nothing[1];

    if (!SHA1(bytes.n ? bytes.p : nothing, bytes.n, out))
        die("SHA-1");
}

void hmac_sha256(struct cq_span key, const struct cq_span *parts, size_t parts_n, uint8_t out[32])
{
    uint8_t block[64] = { 0 }, inner[64], outer[64], digest[32];
    struct cq_span all[10];

    if (parts_n + 1 > ARRAY_LEN(all))
        die("HMAC"); /* our own constant lists are short */
    if (key.n > sizeof block)
        sha256(&key, 1, block);
    else if (key.n)
        memcpy(block, key.p, key.n);
    for (size_t i = 0; i < sizeof block; i++) {
        inner[i] = block[i] ^ 0x36;
        outer[i] = block[i] ^ 0x5C;
    }
    all[0] = span_of(inner, sizeof inner);
    for (size_t i = 0; i < parts_n; i++)
        all[i + 1] = parts[i];
    sha256(all, parts_n + 1, digest);
    sha256((struct cq_span[]){ span_of(outer, sizeof outer), span_of(digest, sizeof digest) }, 2,
           out);
    OPENSSL_cleanse(block, sizeof block);
    OPENSSL_cleanse(inner, sizeof inner);
    OPENSSL_cleanse(outer, sizeof outer);
}

void random_bytes(void *out, size_t n)
{
    uint8_t *p = out;

    while (n) {
        ssize_t got = getrandom(p, n, 0);

        if (got <= 0)
            die("getrandom");
        p += got;
        n -= (size_t)got;
    }
}

bool bytes_equal_ct(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

void hex_format(const void *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = bytes;

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = '\0';
}

int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_parse(struct cq_span text, uint8_t *out, size_t n)
{
    if (text.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(text.p[2 * i]), low = hex_digit(text.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t base64url_format(const void *bytes, size_t n, char *out)
{
    const uint8_t *p = bytes;
    uint32_t bits = 0;
    int have = 0;
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | p[i];
        for (have += 8; have >= 6; have -= 6)
            out[at++] = base64url[bits >> (have - 6) & 63];
    }
    if (have)
        out[at++] = base64url[bits << (6 - have) & 63];
    out[at] = '\0';
    return at;
}

size_t base64_format(const void *bytes, size_t n, char *out)
{
    return (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)n);
}

static int base64url_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_parse(struct cq_span text, uint8_t *out, size_t cap, size_t *ret_n)
{
    uint32_t bits = 0;
    int have = 0;
    size_t at = 0;

    if (text.n % 4 == 1)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        int value = base64url_value(text.p[i]);

        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            if (at == cap)
                return false;
            have -= 8;
            out[at++] = (uint8_t)(bits >> have);
        }
    }
    if (bits & ((1u << have) - 1))
        return false; /* no stray bits at the end: a value has one text only */
    *ret_n = at;
    return true;
}

uint32_t murmur2_positive(const void *key, size_t n)
{
    const uint32_t factor = 0x5bd1e995;
    const uint8_t *p = key;
    uint32_t hash = 0x9747b28c ^ (uint32_t)n;

    for (; n >= 4; p += 4, n -= 4) {
        uint32_t word =
            (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

        word *= factor;
        word ^= word >> 24;
        word *= factor;
        hash *= factor;
        hash ^= word;
    }
    if (n >= 3)
        hash ^= (uint32_t)p[2] << 16;
    if (n >= 2)
        hash ^= (uint32_t)p[1] << 8;
    if (n >= 1) {
        hash ^= p[0];
        hash *= factor;
    }
    hash ^= hash >> 13;
    hash *= factor;
    hash ^= hash >> 15;
    return hash & 0x7fffffff;
}

uint64_t fingerprint64(const void *bytes, size_t n)
{
    const uint64_t empty = 0xc15d213aa4d7a795ull; /* Avro's "EMPTY" */
    const uint8_t *p = bytes;
    uint64_t fp = empty;

    for (size_t i = 0; i < n; i++) {
        uint64_t row = (fp ^ p[i]) & 0xff;

        for (int k = 0; k < 8; k++)
            row = (row >> 1) ^ (empty & -(row & 1));
        fp = (fp >> 8) ^ row;
    }
    return fp;
}

bool base64_parse(struct cq_span text, uint8_t *out, size_t cap, size_t *ret_n)
{
    uint8_t plain[1024];
    size_t n = text.n;

    if (!n || n % 4 || n > sizeof plain)
        return false;
    for (int i = 0; i < 2 && text.p[n - 1] == '='; i++)
        n--;
    for (size_t i = 0; i < n; i++) {
        if (text.p[i] == '-' || text.p[i] == '_')
            return false;
        plain[i] = text.p[i] == '+' ? '-' : text.p[i] == '/' ? '_' : text.p[i];
    }
    return base64url_parse(span_of(plain, n), out, cap, ret_n);
}
