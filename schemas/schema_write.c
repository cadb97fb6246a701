/* SPDX-License-Identifier: MIT */
/* Schemas as JSON again, and what follows from it. */
#include "schemas/schema.h"

#include "lib/base/hash.h"
#include "lib/json/write.h"

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
    out_text(out, key, span_str(s));
}

static void write_type(struct writing *writing, const struct schema *schema);

static void write_field(struct writing *writing, const struct schema_field *field)
{
    buf_add_byte(writing->out, '{');
    write_text(writing->out, "name", field->name);
    out_key(writing->out, "type");
    write_type(writing, field->type);
    if (writing->form == SCHEMA_WHOLE && field->one_of[0])
        write_text(writing->out, "oneOf", field->one_of);
    if (writing->form == SCHEMA_WHOLE && field->doc[0])
        write_text(writing->out, "doc", field->doc);
    if (writing->form == SCHEMA_WHOLE && field->default_json) {
        out_key(writing->out, "default");
        buf_add_str(writing->out, field->default_json);
    }
    buf_add_byte(writing->out, '}');
}

static void write_named(struct writing *writing, const struct schema *schema)
{
    for (size_t i = 0; i < writing->seen_n; i++)
        if (writing->seen[i] == schema) {
            json_put_text(writing->out, span_str(schema->full_name));
            return;
        }
    if (writing->seen_n < SCHEMA_NAMED_MAX)
        writing->seen[writing->seen_n++] = schema;
    buf_add_byte(writing->out, '{');
    write_text(writing->out, "name", schema->full_name);
    write_text(writing->out, "type", kind_words[schema->kind]);
    if (schema->kind == SCHEMA_RECORD) {
        out_key(writing->out, "fields");
        buf_add_byte(writing->out, '[');
        for (size_t i = 0; i < schema->n; i++) {
            if (i)
                buf_add_byte(writing->out, ',');
            write_field(writing, &schema->fields[i]);
        }
        buf_add_byte(writing->out, ']');
    } else if (schema->kind == SCHEMA_ENUM) {
        out_key(writing->out, "symbols");
        buf_add_byte(writing->out, '[');
        for (size_t i = 0; i < schema->n; i++) {
            if (i)
                buf_add_byte(writing->out, ',');
            json_put_text(writing->out, span_str(schema->symbols[i]));
        }
        buf_add_byte(writing->out, ']');
        if (writing->form == SCHEMA_WHOLE && schema->default_symbol[0])
            write_text(writing->out, "default", schema->default_symbol);
    } else {
        out_i64(writing->out, "size", (int64_t)schema->n);
    }
    if (writing->form == SCHEMA_WHOLE && schema->logical[0])
        write_text(writing->out, "logicalType", schema->logical);
    if (writing->form == SCHEMA_WHOLE && schema->doc[0])
        write_text(writing->out, "doc", schema->doc);
    buf_add_byte(writing->out, '}');
}

static void write_type(struct writing *writing, const struct schema *schema)
{
    if (schema->name) {
        write_named(writing, schema);
    } else if (schema->kind == SCHEMA_ARRAY) {
        buf_add_byte(writing->out, '{');
        write_text(writing->out, "type", "array");
        out_key(writing->out, "items");
        write_type(writing, schema->items);
        buf_add_byte(writing->out, '}');
    } else if (schema->kind == SCHEMA_UNION) {
        buf_add_byte(writing->out, '[');
        for (size_t i = 0; i < schema->n; i++) {
            if (i)
                buf_add_byte(writing->out, ',');
            write_type(writing, schema->branches[i]);
        }
        buf_add_byte(writing->out, ']');
    } else if (writing->form == SCHEMA_WHOLE && schema->logical[0]) {
        buf_add_byte(writing->out, '{');
        write_text(writing->out, "type", kind_words[schema->kind]);
        write_text(writing->out, "logicalType", schema->logical);
        buf_add_byte(writing->out, '}');
    } else {
        json_put_text(writing->out, span_str(kind_words[schema->kind]));
    }
}

void schema_write(struct cq_buf *out, const struct schema *schema, enum schema_form form)
{
    struct writing writing = { .out = out, .form = form };

    write_type(&writing, schema);
}

uint64_t schema_fingerprint(const struct schema *schema)
{
    cq_auto(buf) struct cq_buf text = { 0 };

    buf_init(&text, SCHEMA_TEXT_MAX);
    schema_write(&text, schema, SCHEMA_CANONICAL);
    return fingerprint64(text.p, text.n);
}

uint32_t schema_id(const struct schema *schema)
{
    return 0x40000000u | ((uint32_t)schema_fingerprint(schema) & 0x3fffffffu);
}

size_t schema_min_bytes(const struct schema *schema)
{
    size_t n = 0;

    switch (schema->kind) {
    case SCHEMA_NULL:
        return 0;
    case SCHEMA_FIXED:
        return schema->n;
    case SCHEMA_RECORD:
        for (size_t i = 0; i < schema->n; i++)
            n += schema_min_bytes(schema->fields[i].type);
        return n;
    case SCHEMA_UNION:
        n = schema_min_bytes(schema->branches[0]);
        for (size_t i = 1; i < schema->n; i++)
            if (schema_min_bytes(schema->branches[i]) < n)
                n = schema_min_bytes(schema->branches[i]);
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
