/* SPDX-License-Identifier: MIT */
/*
 * lib/base/hash.h - digests, random bytes and text forms of bytes. The one owner of OpenSSL's
 * digest headers.
 */
#pragma once

#include "lib/base/span.h"
#include "lib/base/status.h"

/** SHA-256 (FIPS 180-4) of the concatenation of `parts`. */
void sha256(const struct cq_span *parts, size_t parts_n, uint8_t out[32]);

/** HMAC-SHA256 (RFC 2104) of the concatenation of `parts`. */
void hmac_sha256(struct cq_span key, const struct cq_span *parts, size_t parts_n, uint8_t out[32]);

/** Kernel randomness; aborts the process if there is none. */
void random_bytes(void *out, size_t n);

/** Compare without leaking where the first difference is. */
bool bytes_equal_ct(const void *a, const void *b, size_t n);

/** Lower-case hex and a NUL; `out` holds 2n+1. */
void hex_format(const void *bytes, size_t n, char *out);
bool hex_parse(struct cq_span text, uint8_t *out, size_t n);

/** base64url without padding (RFC 4648 §5) and a NUL; `out` holds 4*((n+2)/3)+1. Returns its
 * length. */
size_t base64url_format(const void *bytes, size_t n, char *out);

/** Decode base64url without padding; false on any other character or when more than `cap` bytes
 * come out. */
CQ_MUST_CHECK bool base64url_parse(struct cq_span text, uint8_t *out, size_t cap, size_t *ret_n);

/** The hash Kafka's default partitioner uses (murmur2, seed 0x9747b28c), made positive as Java
 * does. */
uint32_t murmur2_positive(const void *key, size_t n);

/** CRC-64-AVRO style 64-bit fingerprint (Avro specification, "Schema Fingerprints"). */
uint64_t fingerprint64(const void *bytes, size_t n);
