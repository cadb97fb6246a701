/* SPDX-License-Identifier: MIT */
/*
 * lib/webpush/seal.h - what a push service carries to a browser, encrypted for that browser alone
 * (RFC 8291, with the one record of RFC 8188's aes128gcm).
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/status.h"

enum {
    SEAL_POINT_BYTES = 65,   /* a public key on P-256, uncompressed */
    SEAL_PRIVATE_BYTES = 32, /* the number that belongs to it */
    SEAL_AUTH_BYTES = 16,
    SEAL_SALT_BYTES = 16,
    SEAL_MAX = 4096,        /* every push service takes a body of this size (RFC 8291, 4) */
    SEAL_PLAIN_MAX = 3993,  /* what is left in it beside header, tag and delimiter */
    SEAL_PADDED_BYTES = 256 /* lengths are rounded up to these: they say less about a text */
};

/** What must be new for each message. */
struct seal_secrets {
    uint8_t point[SEAL_POINT_BYTES], number[SEAL_PRIVATE_BYTES]; /* a pair of keys */
    uint8_t salt[SEAL_SALT_BYTES];
};

/**
 * Append the body for the browser that has `key` and `auth`. `secrets` is NULL but in tests: then
 * they are drawn. `padded` bytes at least, delimiter not counted. CQ_POISON: `key` is no point of
 * P-256, or `plain` has more than SEAL_PLAIN_MAX bytes. CQ_FATAL: no memory.
 */
CQ_MUST_CHECK enum cq_status seal_push(const uint8_t key[SEAL_POINT_BYTES],
                                       const uint8_t auth[SEAL_AUTH_BYTES], struct cq_span plain,
                                       size_t padded, const struct seal_secrets *secrets,
                                       struct cq_buf *out);
