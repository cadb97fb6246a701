/* SPDX-License-Identifier: MIT */
/*
 * schemas/schema.h - our subset of Avro schemas as a tree: record, fixed, enum, string, bytes, int,
 * long, boolean, null, array, union and references to named types. Recursion is refused: a name can
 * be used only after its definition ended. The text is always one of ours (a file at build time,
 * embedded text at run time), never something that came over a wire.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/span.h"
#include "lib/base/status.h"

enum schema_kind {
    SCHEMA_NULL,
    SCHEMA_BOOLEAN,
    SCHEMA_INT,
    SCHEMA_LONG,
    SCHEMA_STRING,
    SCHEMA_BYTES,
    SCHEMA_FIXED,
    SCHEMA_ENUM,
    SCHEMA_RECORD,
    SCHEMA_ARRAY,
    SCHEMA_UNION,
};

enum {
    SCHEMA_TEXT_MAX = 256 * 1024, /* bytes of JSON in one schema */
    SCHEMA_NAMED_MAX = 128,       /* named types in one schema */
    SCHEMA_DEPTH_MAX = 16,        /* types inside types */
};

/* What a value may be beside its type: bytes of a text, items of an array, or the number. Readers
 * know nothing of it (docs/decisions/029-limits-in-schemas.md). */
struct schema_bounds {
    bool given; /* there are any */
    bool has_least, has_most;
    int64_t least, most;
    int64_t code_points; /* of a text, at most; 0: as many as its bytes hold */
    bool not_zero;       /* of a fixed */
    const char *form;    /* of a text; NULL for none */
    const char *alias;   /* the shared plain type that says all this; NULL for none */
};

struct schema_field {
    const char *name;
    const char *doc;          /* "" for none */
    const char *one_of;       /* of the fields with this name exactly one is set; "" for none */
    const char *default_json; /* NULL for none */
    struct cq_span
        default_bytes; /* the default in Avro binary; meaningful when default_json is set */
    const struct schema *type;
    struct schema_bounds bounds; /* its own, which go before those of its type */
};

struct schema {
    enum schema_kind kind;
    const char *name;      /* record, enum, fixed: without namespace; else NULL */
    const char *full_name; /* with namespace */
    const char *doc;       /* "" for none */
    const char *logical;   /* logicalType, "" for none */
    size_t n;              /* fields, symbols, branches; bytes of a fixed */
    const struct schema_field *fields;
    const char *const *symbols;
    const char *default_symbol;           /* of an enum: read for symbols unknown; "" for none */
    const struct schema *const *branches; /* of a union */
    const struct schema *items;           /* of an array */
    bool bounded;      /* of a record: each text and each list in it has a maximum */
    const char *asked; /* of a record: the frame of clients that asks for it; "" for none */
    const char *told;  /* of a record: the frame that tells it; "" for none */
    struct schema_bounds bounds;
};

struct schema_doc; /* one parsed text; owns every node, read-only once parsed */

/** CQ_OK with `*ret` owned by the caller, or CQ_POISON with a reason in `reterr`. */
CQ_MUST_CHECK enum cq_status schema_parse(struct cq_span text, struct schema_doc **ret,
                                          char *reterr, size_t reterr_n);
void schema_free(struct schema_doc *doc); /* NULL is fine */
CQ_DEFINE_AUTO(schema, struct schema_doc *, schema_free)

/** Whether `key` is an attribute that only our own tools read: a bound, or how a shared type is
 * used (schemas/expand.h). */
bool schema_is_own_word(const char *key);

/** The top type; borrowed from `doc`. */
const struct schema *schema_root(const struct schema_doc *doc);

enum schema_form {
    SCHEMA_CANONICAL, /* Avro specification, "Parsing Canonical Form" */
    SCHEMA_WHOLE,     /* with docs, defaults, logical types and oneOf */
};

/** Append `schema` as JSON, complete by itself: each named type is spelled out where it is first
 * used.
 */
void schema_write(struct cq_buf *out, const struct schema *schema, enum schema_form form);

/** CRC-64-AVRO of the Parsing Canonical Form. */
uint64_t schema_fingerprint(const struct schema *schema);

/** The id we embed in each record: 0x40000000 | the fingerprint's low 30 bits. */
uint32_t schema_id(const struct schema *schema);

/** Fewest bytes a value of `schema` takes in Avro binary. */
size_t schema_min_bytes(const struct schema *schema);

/** Whether `s` is ["null", T]. */
static inline bool schema_is_nullable(const struct schema *schema)
{
    return schema->kind == SCHEMA_UNION && schema->n == 2 &&
           schema->branches[0]->kind == SCHEMA_NULL;
}

/** `s`, or T of ["null", T]. */
static inline const struct schema *schema_value(const struct schema *schema)
{
    return schema_is_nullable(schema) ? schema->branches[1] : schema;
}

/**
 * Walk `body` (Avro binary without framing) as a value of `schema` and check each length, count,
 * block size, enum and union index against the bytes left, before any library sees it. Trailing
 * bytes are refused. Returns NULL when all is well, else a static reason.
 */
CQ_MUST_CHECK const char *schema_check(const struct schema *schema, struct cq_span body);
