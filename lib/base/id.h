/* SPDX-License-Identifier: MIT */
/*
 * lib/base/id.h - 128-bit ids: UUIDs (RFC 9562), random (version 4) or derived (version 8).
 */
#pragma once

#include "lib/base/span.h"
#include "lib/base/status.h"

enum { CQ_ID_TEXT_LEN = 36 };

struct cq_id {
    uint8_t b[16]; /* network order, as in the text form */
};

static inline bool id_eq(struct cq_id a, struct cq_id b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}

static inline int id_cmp(struct cq_id a, struct cq_id b)
{
    return memcmp(a.b, b.b, sizeof a.b);
}

static inline bool id_is_zero(struct cq_id id)
{
    static const struct cq_id zero;
    return id_eq(id, zero);
}

/** A hash for tables. Ids are uniform already, so it only folds them. */
static inline uint64_t id_hash(struct cq_id id)
{
    uint64_t x, y;
    memcpy(&x, id.b, 8);
    memcpy(&y, id.b + 8, 8);
    return (x ^ (y * 0x9E3779B97F4A7C15ull)) * 0xBF58476D1CE4E5B9ull;
}

/** 36 characters of lower-case text and a NUL into `out`. */
void id_format(struct cq_id id, char out[CQ_ID_TEXT_LEN + 1]);

/** The text form in a struct, so that it can be used in an expression: id_text(id).s */
struct cq_id_text {
    char s[CQ_ID_TEXT_LEN + 1];
};
static inline struct cq_id_text id_text(struct cq_id id)
{
    struct cq_id_text text;
    id_format(id, text.s);
    return text;
}

/** Parse exactly 36 characters, either case. False on anything else; *ret is then untouched. */
CQ_MUST_CHECK bool id_parse(struct cq_span text, struct cq_id *ret);

/** Keep the first of equal ids, in their order at the front; returns how many are kept. It compares
 * each with each: for lists of up to a thousand or so. */
CQ_MUST_CHECK size_t id_distinct(struct cq_id *ids, size_t n);

enum { CQ_PARTS = 1024 };

/** The part an id belongs to, 0 to CQ_PARTS - 1: the hash of Kafka's default partitioner over its
 * text, modulo CQ_PARTS, for ever. It begins every key about a chat in the view. PARTITIONS divides
 * CQ_PARTS, so the partition of an id is its part modulo PARTITIONS: ids of one part stay in one
 * partition, whatever the number of partitions. */
int32_t id_part(struct cq_id id);

/** A random UUID version 4 from the kernel's generator. Aborts if the kernel refuses. */
struct cq_id id_random(void);

/**
 * UUID version 8 whose 122 free bits are the start of SHA-256(domain ‖ 0x00 ‖ parts…), each part
 * preceded by its length as four bytes big-endian, so that no two lists of parts collide by
 * shifting bytes.
 */
struct cq_id id_derive(const char *domain, const struct cq_span *parts, size_t parts_n);

/** Turn the first 16 bytes of a digest into a UUID version 8. */
struct cq_id id_from_digest(const uint8_t digest[32]);
