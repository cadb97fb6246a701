/* SPDX-License-Identifier: MIT */
/* The bounds walk that comes before avro-c, which trusts every length and count it reads. */
#include "schemas/codec.h"
#include "schemas/schema.h"

struct walk {
    const uint8_t *p;
    const uint8_t *end;
};

static const char *walk_long(struct walk *w, int64_t *ret)
{
    uint64_t z = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        uint64_t c;

        if (w->p == w->end)
            return "cut short";
        c = *w->p++;
        if (shift == 63 && c > 1)
            break;
        z |= (c & 0x7f) << shift;
        if (c < 0x80) {
            *ret = (int64_t)(z >> 1) ^ -(int64_t)(z & 1);
            return NULL;
        }
    }
    return "number too long";
}

static const char *walk_skip(struct walk *w, int64_t n)
{
    if (n < 0 || n > w->end - w->p)
        return "length beyond the end";
    w->p += n;
    return NULL;
}

static const char *walk_type(struct walk *w, const struct schema *s, int depth);

static const char *walk_array(struct walk *w, const struct schema *s, int depth)
{
    int64_t min = (int64_t)schema_min_bytes(s->items), left = CODEC_ARRAY_MAX, n, size;
    const uint8_t *block_end;
    const char *why;

    if (min == 0)
        return "items of no bytes";
    for (;;) {
        block_end = NULL;
        if ((why = walk_long(w, &n)))
            return why;
        if (n == 0)
            return NULL;
        if (n < -left || n > left)
            return "array too long";
        if (n < 0) {
            if ((why = walk_long(w, &size)))
                return why;
            if (size < 0 || size > w->end - w->p)
                return "block beyond the end";
            block_end = w->p + size;
            n = -n;
        }
        if (n > (w->end - w->p) / min)
            return "array too long";
        left -= n;
        for (; n; n--)
            if ((why = walk_type(w, s->items, depth + 1)))
                return why;
        if (block_end && w->p != block_end)
            return "block has another size";
    }
}

static const char *walk_plain(struct walk *w, const struct schema *s)
{
    const char *why = NULL;
    int64_t v;

    if (s->kind == SCHEMA_NULL)
        return NULL;
    if (s->kind == SCHEMA_FIXED)
        return walk_skip(w, (int64_t)s->n);
    if (s->kind == SCHEMA_BOOLEAN)
        return w->p == w->end ? "cut short" : *w->p++ > 1 ? "bad boolean" : NULL;
    if ((why = walk_long(w, &v)))
        return why;
    if (s->kind == SCHEMA_INT && v != (int32_t)v)
        return "int out of range";
    if (s->kind == SCHEMA_ENUM && (v < 0 || v >= (int64_t)s->n))
        return "enum out of range";
    if (s->kind == SCHEMA_STRING || s->kind == SCHEMA_BYTES)
        return walk_skip(w, v);
    return NULL;
}

static const char *walk_type(struct walk *w, const struct schema *s, int depth)
{
    const char *why = NULL;
    int64_t v;

    if (depth > SCHEMA_DEPTH_MAX)
        return "nested too deeply";
    switch (s->kind) {
    case SCHEMA_RECORD:
        for (size_t i = 0; i < s->n && !why; i++)
            why = walk_type(w, s->fields[i].type, depth + 1);
        return why;
    case SCHEMA_ARRAY:
        return walk_array(w, s, depth);
    case SCHEMA_UNION:
        if ((why = walk_long(w, &v)))
            return why;
        if (v < 0 || v >= (int64_t)s->n)
            return "union index out of range";
        return walk_type(w, s->branches[v], depth + 1);
    case SCHEMA_NULL:
    case SCHEMA_BOOLEAN:
    case SCHEMA_INT:
    case SCHEMA_LONG:
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
    case SCHEMA_FIXED:
    case SCHEMA_ENUM:
        return walk_plain(w, s);
    }
    return "unknown kind of schema";
}

const char *schema_check(const struct schema *s, struct cq_span body)
{
    struct walk w = { body.p, body.p + body.n };
    const char *why = walk_type(&w, s, 0);

    return why || w.p == w.end ? why : "bytes after the end";
}
