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

struct schema_field {
    const char *name;
    const char *doc;          /* "" for none */
    const char *one_of;       /* of the fields with this name exactly one is set; "" for none */
    const char *default_json; /* NULL for none */
    struct cq_span
        default_bytes; /* the default in Avro binary; meaningful when default_json is set */
    const struct schema *type;
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
};

struct schema_doc; /* one parsed text; owns every node, read-only once parsed */

/** CQ_OK with `*ret` owned by the caller, or CQ_POISON with a reason in `reterr`. */
CQ_MUST_CHECK enum cq_status schema_parse(struct cq_span text, struct schema_doc **ret,
                                          char *reterr, size_t reterr_n);
void schema_free(struct schema_doc *d); /* NULL is fine */
CQ_DEFINE_AUTO(schema, struct schema_doc *, schema_free)

/** The top type; borrowed from `d`. */
const struct schema *schema_root(const struct schema_doc *d);

enum schema_form {
    SCHEMA_CANONICAL, /* Avro specification, "Parsing Canonical Form" */
    SCHEMA_WHOLE,     /* with docs, defaults, logical types and oneOf */
};

/** Append `s` as JSON, complete by itself: each named type is spelled out where it is first used.
 */
void schema_write(struct cq_buf *out, const struct schema *s, enum schema_form form);

/** CRC-64-AVRO of the Parsing Canonical Form. */
uint64_t schema_fingerprint(const struct schema *s);

/** The id we embed in each record: 0x40000000 | the fingerprint's low 30 bits. */
uint32_t schema_id(const struct schema *s);

/** Fewest bytes a value of `s` takes in Avro binary. */
size_t schema_min_bytes(const struct schema *s);

/** Whether `s` is ["null", T]. */
static inline bool schema_is_nullable(const struct schema *s)
{
    return s->kind == SCHEMA_UNION && s->n == 2 && s->branches[0]->kind == SCHEMA_NULL;
}

/**
 * Walk `body` (Avro binary without framing) as a value of `s` and check each length, count, block
 * size, enum and union index against the bytes left, before any library sees it. Trailing bytes are
 * refused. Returns NULL when all is well, else a static reason.
 */
CQ_MUST_CHECK const char *schema_check(const struct schema *s, struct cq_span body);
