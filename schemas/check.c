/* SPDX-License-Identifier: MIT */
/* The bounds walk that comes before avro-c, which trusts every length and count it reads. */
#include "schemas/codec.h"
#include "schemas/schema.h"

struct walk {
    const uint8_t *p;
    const uint8_t *end;
};

static const char *walk_long(struct walk *walk, int64_t *ret)
{
    uint64_t zigzag = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        uint64_t byte;

        if (walk->p == walk->end)
            return "cut short";
        byte = *walk->p++;
        if (shift == 63 && byte > 1)
            break;
        zigzag |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
            return NULL;
        }
    }
    return "number too long";
}

static const char *walk_skip(struct walk *walk, int64_t n)
{
    if (n < 0 || n > walk->end - walk->p)
        return "length beyond the end";
    walk->p += n;
    return NULL;
}

static const char *walk_type(struct walk *walk, const struct schema *schema, int depth);

static const char *walk_array(struct walk *walk, const struct schema *schema, int depth)
{
    int64_t min = (int64_t)schema_min_bytes(schema->items), left = CODEC_ARRAY_MAX, n, size;
    const uint8_t *block_end;
    const char *why;

    if (min == 0)
        return "items of no bytes";
    for (;;) {
        block_end = NULL;
        if ((why = walk_long(walk, &n)))
            return why;
        if (n == 0)
            return NULL;
        if (n < -left || n > left)
            return "array too long";
        if (n < 0) {
            if ((why = walk_long(walk, &size)))
                return why;
            if (size < 0 || size > walk->end - walk->p)
                return "block beyond the end";
            block_end = walk->p + size;
            n = -n;
        }
        if (n > (walk->end - walk->p) / min)
            return "array too long";
        left -= n;
        for (; n; n--)
            if ((why = walk_type(walk, schema->items, depth + 1)))
                return why;
        if (block_end && walk->p != block_end)
            return "block has another size";
    }
}

static const char *walk_plain(struct walk *walk, const struct schema *schema)
{
    const char *why = NULL;
    int64_t value;

    if (schema->kind == SCHEMA_NULL)
        return NULL;
    if (schema->kind == SCHEMA_FIXED)
        return walk_skip(walk, (int64_t)schema->n);
    if (schema->kind == SCHEMA_BOOLEAN)
        return walk->p == walk->end ? "cut short" : *walk->p++ > 1 ? "bad boolean" : NULL;
    if ((why = walk_long(walk, &value)))
        return why;
    if (schema->kind == SCHEMA_INT && value != (int32_t)value)
        return "int out of range";
    if (schema->kind == SCHEMA_ENUM && (value < 0 || value >= (int64_t)schema->n))
        return "enum out of range";
    if (schema->kind == SCHEMA_STRING || schema->kind == SCHEMA_BYTES)
        return walk_skip(walk, value);
    return NULL;
}

static const char *walk_type(struct walk *walk, const struct schema *schema, int depth)
{
    const char *why = NULL;
    int64_t value;

    if (depth > SCHEMA_DEPTH_MAX)
        return "nested too deeply";
    switch (schema->kind) {
    case SCHEMA_RECORD:
        for (size_t i = 0; i < schema->n && !why; i++)
            why = walk_type(walk, schema->fields[i].type, depth + 1);
        return why;
    case SCHEMA_ARRAY:
        return walk_array(walk, schema, depth);
    case SCHEMA_UNION:
        if ((why = walk_long(walk, &value)))
            return why;
        if (value < 0 || value >= (int64_t)schema->n)
            return "union index out of range";
        return walk_type(walk, schema->branches[value], depth + 1);
    case SCHEMA_NULL:
    case SCHEMA_BOOLEAN:
    case SCHEMA_INT:
    case SCHEMA_LONG:
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
    case SCHEMA_FIXED:
    case SCHEMA_ENUM:
        return walk_plain(walk, schema);
    }
    return "unknown kind of schema";
}

const char *schema_check(const struct schema *schema, struct cq_span body)
{
    struct walk walk = { body.p, body.p + body.n };
    const char *why = walk_type(&walk, schema, 0);

    return why || walk.p == walk.end ? why : "bytes after the end";
}
