/* SPDX-License-Identifier: MIT */
/* Schemas as JSON again, and what follows from it. */
#include "schemas/schema.h"

#include "lib/base/hash.h"

static const char *const kind_words[] = { "null",  "boolean", "int",    "long",  "string", "bytes",
                                          "fixed", "enum",    "record", "array", "union" };

struct writing {
    struct cq_buf *out;
    enum schema_form form;
    const struct schema *seen[SCHEMA_NAMED_MAX];
    size_t seen_n;
};

static void write_text(struct cq_buf *out, const char *key, const char *s)
{
    buf_add_str(out, key);
    buf_add_byte(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_add_byte(out, '\\');
        if ((unsigned char)*s < 0x20)
            buf_printf(out, "\\u%04x", *s);
        else
            buf_add_byte(out, (uint8_t)*s);
    }
    buf_add_byte(out, '"');
}

static void write_type(struct writing *w, const struct schema *s);

static void write_field(struct writing *w, const struct schema_field *f)
{
    write_text(w->out, "{\"name\":", f->name);
    buf_add_str(w->out, ",\"type\":");
    write_type(w, f->type);
    if (w->form == SCHEMA_WHOLE && f->one_of[0])
        write_text(w->out, ",\"oneOf\":", f->one_of);
    if (w->form == SCHEMA_WHOLE && f->doc[0])
        write_text(w->out, ",\"doc\":", f->doc);
    if (w->form == SCHEMA_WHOLE && f->default_json) {
        buf_add_str(w->out, ",\"default\":");
        buf_add_str(w->out, f->default_json);
    }
    buf_add_byte(w->out, '}');
}

static void write_named(struct writing *w, const struct schema *s)
{
    for (size_t i = 0; i < w->seen_n; i++)
        if (w->seen[i] == s) {
            write_text(w->out, "", s->full_name);
            return;
        }
    if (w->seen_n < SCHEMA_NAMED_MAX)
        w->seen[w->seen_n++] = s;
    write_text(w->out, "{\"name\":", s->full_name);
    write_text(w->out, ",\"type\":", kind_words[s->kind]);
    if (s->kind == SCHEMA_RECORD) {
        buf_add_str(w->out, ",\"fields\":[");
        for (size_t i = 0; i < s->n; i++) {
            if (i)
                buf_add_byte(w->out, ',');
            write_field(w, &s->fields[i]);
        }
        buf_add_byte(w->out, ']');
    } else if (s->kind == SCHEMA_ENUM) {
        buf_add_str(w->out, ",\"symbols\":[");
        for (size_t i = 0; i < s->n; i++)
            write_text(w->out, i ? "," : "", s->symbols[i]);
        buf_add_byte(w->out, ']');
        if (w->form == SCHEMA_WHOLE && s->default_symbol[0])
            write_text(w->out, ",\"default\":", s->default_symbol);
    } else {
        buf_add_str(w->out, ",\"size\":");
        buf_add_i64(w->out, (int64_t)s->n);
    }
    if (w->form == SCHEMA_WHOLE && s->logical[0])
        write_text(w->out, ",\"logicalType\":", s->logical);
    if (w->form == SCHEMA_WHOLE && s->doc[0])
        write_text(w->out, ",\"doc\":", s->doc);
    buf_add_byte(w->out, '}');
}

static void write_type(struct writing *w, const struct schema *s)
{
    if (s->name) {
        write_named(w, s);
    } else if (s->kind == SCHEMA_ARRAY) {
        buf_add_str(w->out, "{\"type\":\"array\",\"items\":");
        write_type(w, s->items);
        buf_add_byte(w->out, '}');
    } else if (s->kind == SCHEMA_UNION) {
        buf_add_byte(w->out, '[');
        for (size_t i = 0; i < s->n; i++) {
            if (i)
                buf_add_byte(w->out, ',');
            write_type(w, s->branches[i]);
        }
        buf_add_byte(w->out, ']');
    } else if (w->form == SCHEMA_WHOLE && s->logical[0]) {
        write_text(w->out, "{\"type\":", kind_words[s->kind]);
        write_text(w->out, ",\"logicalType\":", s->logical);
        buf_add_byte(w->out, '}');
    } else {
        write_text(w->out, "", kind_words[s->kind]);
    }
}

void schema_write(struct cq_buf *out, const struct schema *s, enum schema_form form)
{
    struct writing w = { .out = out, .form = form };

    write_type(&w, s);
}

uint64_t schema_fingerprint(const struct schema *s)
{
    cq_auto(buf) struct cq_buf b;

    buf_init(&b, SCHEMA_TEXT_MAX);
    schema_write(&b, s, SCHEMA_CANONICAL);
    return fingerprint64(b.p, b.n);
}

uint32_t schema_id(const struct schema *s)
{
    return 0x40000000u | ((uint32_t)schema_fingerprint(s) & 0x3fffffffu);
}

size_t schema_min_bytes(const struct schema *s)
{
    size_t n = 0;

    switch (s->kind) {
    case SCHEMA_NULL:
        return 0;
    case SCHEMA_FIXED:
        return s->n;
    case SCHEMA_RECORD:
        for (size_t i = 0; i < s->n; i++)
            n += schema_min_bytes(s->fields[i].type);
        return n;
    case SCHEMA_UNION:
        n = schema_min_bytes(s->branches[0]);
        for (size_t i = 1; i < s->n; i++)
            if (schema_min_bytes(s->branches[i]) < n)
                n = schema_min_bytes(s->branches[i]);
        return n + 1;
    case SCHEMA_BOOLEAN:
    case SCHEMA_INT:
    case SCHEMA_LONG:
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
    case SCHEMA_ENUM:
    case SCHEMA_ARRAY:
        return 1;
    }
    return 1;
}
