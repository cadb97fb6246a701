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

/** A SHA-256 that is fed piece by piece. The state may be kept as bytes and taken up later, by
 * another process of the same machine type. */
struct sha256_state {
    uint64_t word[14];
};
void sha256_begin(struct sha256_state *hash);
void sha256_more(struct sha256_state *hash, struct cq_span bytes);
void sha256_end(const struct sha256_state *hash, uint8_t out[32]); /* the state stays as it is */

/** SHA-1, for a checksum that a protocol asks for. It protects nothing. */
void sha1(struct cq_span bytes, uint8_t out[20]);

/** Decode standard base64 with its padding; false when `text` is not that, or when more than `cap`
 * bytes come out. */
CQ_MUST_CHECK bool base64_parse(struct cq_span text, uint8_t *out, size_t cap, size_t *ret_n);

/** HMAC-SHA256 (RFC 2104) of the concatenation of `parts`. */
void hmac_sha256(struct cq_span key, const struct cq_span *parts, size_t parts_n, uint8_t out[32]);

/** Kernel randomness; aborts the process if there is none. */
void random_bytes(void *out, size_t n);

/** Compare without leaking where the first difference is. */
bool bytes_equal_ct(const void *a, const void *b, size_t n);

/** Lower-case hex and a NUL; `out` holds 2n+1. */
void hex_format(const void *bytes, size_t n, char *out);
int hex_digit(uint8_t c); /* its value, in either case; -1: it is none */

/** Exactly `n` bytes, from 2n digits in either case; false for anything else. */
bool hex_parse(struct cq_span text, uint8_t *out, size_t n);

/** base64url without padding (RFC 4648 §5) and a NUL; `out` holds 4*((n+2)/3)+1. Returns its
 * length. */
size_t base64url_format(const void *bytes, size_t n, char *out);

/** Standard base64 with its padding (RFC 4648 §4) and a NUL; `out` holds 4*((n+2)/3)+1. Returns its
 * length. */
size_t base64_format(const void *bytes, size_t n, char *out);

/** Decode base64url without padding; false on any other character or when more than `cap` bytes
 * come out. */
CQ_MUST_CHECK bool base64url_parse(struct cq_span text, uint8_t *out, size_t cap, size_t *ret_n);

/** The hash Kafka's default partitioner uses (murmur2, seed 0x9747b28c), made positive as Java
 * does. */
uint32_t murmur2_positive(const void *key, size_t n);

/** CRC-64-AVRO: the fingerprint of a schema (Avro specification, "Schema Fingerprints"). */
uint64_t fingerprint64(const void *bytes, size_t n);
