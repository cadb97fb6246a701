/* SPDX-License-Identifier: MIT */
#include "schemas/schema.h"

#include "lib/base/arena.h"

/* A second owner of jansson.h beside lib/json: this runs in the build's host tool too, and its text
 * is always our own, so none of lib/json's guards against outside bytes are needed here. */
#include <jansson.h>
#include <stdio.h>

enum { SCHEMA_ARENA_MAX = 8 * 1024 * 1024, SCHEMA_MEMBERS_MAX = 1024 };

struct schema_doc {
    struct cq_arena *arena;
    const struct schema *root;
    const struct schema *named[SCHEMA_NAMED_MAX];
    size_t named_n;
    char *err;
    size_t err_n;
};

static const struct schema primitives[] = {
    { .kind = SCHEMA_NULL, .doc = "", .logical = "" },
    { .kind = SCHEMA_BOOLEAN, .doc = "", .logical = "" },
    { .kind = SCHEMA_INT, .doc = "", .logical = "" },
    { .kind = SCHEMA_LONG, .doc = "", .logical = "" },
    { .kind = SCHEMA_STRING, .doc = "", .logical = "" },
    { .kind = SCHEMA_BYTES, .doc = "", .logical = "" },
};
static const char *const kind_words[] = { "null",  "boolean", "int",    "long",  "string", "bytes",
                                          "fixed", "enum",    "record", "array", "union" };

/* Say why and fail: the first reason stays. */
static const struct schema *refuse(struct schema_doc *doc, const char *what, const char *name)
{
    if (doc->err_n && doc->err[0] == '\0')
        snprintf(doc->err, doc->err_n, "%s: %s", what, name);
    return NULL;
}

static void *take(struct schema_doc *doc, size_t n)
{
    void *p = arena_alloc(doc->arena, n);

    if (!p)
        refuse(doc, "too large", "schema");
    return p;
}

static const char *take_text(struct schema_doc *doc, const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = take(doc, n);

    return p ? memcpy(p, s, n) : NULL;
}

static const char *take_member(struct schema_doc *doc, const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));

    return take_text(doc, s ? s : "");
}

/* A name without dots lives in the namespace around it. */
static const char *full_name(struct schema_doc *doc, const char *name, const char *space)
{
    size_t n = strlen(name) + strlen(space) + 2;
    char *p;

    if (strchr(name, '.') || !space[0])
        return take_text(doc, name);
    p = take(doc, n);
    if (p)
        snprintf(p, n, "%s.%s", space, name);
    return p;
}

static const struct schema *find_named(const struct schema_doc *doc, const char *full)
{
    for (size_t i = 0; i < doc->named_n; i++)
        if (strcmp(doc->named[i]->full_name, full) == 0)
            return doc->named[i];
    return NULL;
}

static void put_long(struct cq_buf *buf, int64_t v)
{
    uint64_t z = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);

    for (; z >= 0x80; z >>= 7)
        buf_add_byte(buf, (uint8_t)(z | 0x80));
    buf_add_byte(buf, (uint8_t)z);
}

static bool put_default(struct cq_buf *buf, const struct schema *schema, const json_t *json);

static bool put_default_record(struct cq_buf *buf, const struct schema *schema, const json_t *j)
{
    for (size_t i = 0; i < schema->n; i++) {
        const json_t *v = json_object_get(j, schema->fields[i].name);

        if (v && !put_default(buf, schema->fields[i].type, v))
            return false;
        if (!v && !schema->fields[i].default_json)
            return false;
        if (!v)
            buf_add_span(buf, schema->fields[i].default_bytes);
    }
    return json_is_object(j);
}

static bool put_default_text(struct cq_buf *buf, const struct schema *schema, const json_t *j)
{
    size_t n = json_string_length(j);

    if (!json_is_string(j) || (schema->kind == SCHEMA_FIXED && n != schema->n))
        return false;
    if (schema->kind !=
        SCHEMA_STRING) /* Avro maps code points 0-255 to bytes; we need only the ASCII half */
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)json_string_value(j)[i] > 0x7f)
                return false;
    if (schema->kind != SCHEMA_FIXED)
        put_long(buf, (int64_t)n);
    buf_add(buf, json_string_value(j), n);
    return true;
}

/* The default `j` of type `s` in Avro binary; false when it does not fit the type. */
static bool put_default(struct cq_buf *buf, const struct schema *schema, const json_t *json)
{
    size_t i;

    switch (schema->kind) {
    case SCHEMA_NULL:
        return json_is_null(json);
    case SCHEMA_BOOLEAN:
        buf_add_byte(buf, json_is_true(json));
        return json_is_boolean(json);
    case SCHEMA_INT:
    case SCHEMA_LONG:
        put_long(buf, json_integer_value(json));
        return json_is_integer(json) &&
               (schema->kind == SCHEMA_LONG ||
                json_integer_value(json) == (int32_t)json_integer_value(json));
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
    case SCHEMA_FIXED:
        return put_default_text(buf, schema, json);
    case SCHEMA_ENUM:
        for (i = 0; i < schema->n; i++)
            if (json_is_string(json) && strcmp(schema->symbols[i], json_string_value(json)) == 0)
                break;
        put_long(buf, (int64_t)i);
        return i < schema->n;
    case SCHEMA_RECORD:
        return put_default_record(buf, schema, json);
    case SCHEMA_ARRAY: /* only the empty one */
        buf_add_byte(buf, 0);
        return json_is_array(json) && json_array_size(json) == 0;
    case SCHEMA_UNION: /* a default belongs to the first branch */
        buf_add_byte(buf, 0);
        return put_default(buf, schema->branches[0], json);
    }
    return false;
}

static bool field_default(struct schema_doc *doc, struct schema_field *field, const json_t *value)
{
    cq_auto(buf) struct cq_buf bytes = { 0 };
    char *json;
    uint8_t *p;

    buf_init(&bytes, SCHEMA_TEXT_MAX);
    if (!value)
        return true;
    if (!put_default(&bytes, field->type, value) || bytes.failed)
        return refuse(doc, "default does not fit its type", field->name);
    json = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    field->default_json = json ? take_text(doc, json) : NULL;
    free(json);
    p = take(doc, bytes.n + 1);
    if (!field->default_json || !p)
        return false;
    if (bytes.n)
        memcpy(p, bytes.p, bytes.n);
    field->default_bytes = span_of(p, bytes.n);
    return true;
}

/* The attributes that say bounds, and of which types. */
static const struct {
    const char *key;
    unsigned kinds; /* bits of enum schema_kind */
    enum { LEAST, MOST, CODE_POINTS, NOT_ZERO, FORM, ALIAS } says;
} bound_words[] = {
    { "minBytes", 1u << SCHEMA_STRING | 1u << SCHEMA_BYTES, LEAST },
    { "maxBytes", 1u << SCHEMA_STRING | 1u << SCHEMA_BYTES, MOST },
    { "maxCodePoints", 1u << SCHEMA_STRING | 1u << SCHEMA_BYTES, CODE_POINTS },
    { "form", 1u << SCHEMA_STRING | 1u << SCHEMA_BYTES, FORM },
    { "alias", 1u << SCHEMA_STRING | 1u << SCHEMA_BYTES, ALIAS },
    { "minItems", 1u << SCHEMA_ARRAY, LEAST },
    { "maxItems", 1u << SCHEMA_ARRAY, MOST },
    { "min", 1u << SCHEMA_INT | 1u << SCHEMA_LONG, LEAST },
    { "max", 1u << SCHEMA_INT | 1u << SCHEMA_LONG, MOST },
    { "notZero", 1u << SCHEMA_FIXED, NOT_ZERO },
};

static bool is_bound_word(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(bound_words); i++)
        if (strcmp(bound_words[i].key, key) == 0)
            return true;
    return strcmp(key, "bounded") == 0;
}

bool schema_is_own_word(const char *key)
{
    return is_bound_word(key) || strcmp(key, "in") == 0 || strcmp(key, "asked") == 0 ||
           strcmp(key, "told") == 0;
}

/* The bounds that object `j` states for a value of `kind`. */
static bool parse_bounds(struct schema_doc *doc, struct schema_bounds *bounds, const json_t *json,
                         enum schema_kind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(bound_words); i++) {
        const char *key = bound_words[i].key;
        const json_t *value = json_object_get(json, key);
        int64_t n = json_integer_value(value);

        if (!value)
            continue;
        if (!(bound_words[i].kinds & 1u << kind))
            return refuse(doc, "no attribute of a type", key);
        bounds->given = true;
        switch (bound_words[i].says) {
        case LEAST:
            bounds->has_least = true;
            bounds->least = n;
            break;
        case MOST:
            bounds->has_most = true;
            bounds->most = n;
            break;
        case CODE_POINTS:
            bounds->code_points = n;
            break;
        case NOT_ZERO:
            bounds->not_zero = json_is_true(value);
            break;
        case FORM:
            bounds->form = take_member(doc, json, key);
            break;
        case ALIAS:
            bounds->alias = take_member(doc, json, key);
            break;
        }
        if (bound_words[i].says <= CODE_POINTS && !json_is_integer(value))
            return refuse(doc, "a limit is a number", key);
    }
    return true;
}

/* A limit under a misspelt name would be none. */
static bool field_keys_known(struct schema_doc *doc, const json_t *json)
{
    static const char *const known[] = { "name", "type", "doc", "default", "oneOf" };
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        bool is_known = is_bound_word(key);

        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            is_known |= strcmp(known[i], key) == 0;
        if (!is_known)
            return refuse(doc, "no attribute of a field", key);
    }
    return true;
}

static const struct schema *parse_type(struct schema_doc *doc, const json_t *json,
                                       const char *space, int depth);

static bool parse_fields(struct schema_doc *doc, struct schema *schema, const json_t *json,
                         const char *space, int depth)
{
    const json_t *fields = json_object_get(json, "fields");
    struct schema_field *field;

    schema->n = json_array_size(fields);
    if (!json_is_array(fields) || schema->n > SCHEMA_MEMBERS_MAX)
        return refuse(doc, "bad fields", schema->name);
    field = take(doc, sizeof *field * (schema->n + 1));
    if (!field)
        return false;
    for (size_t i = 0; i < schema->n; i++) {
        const json_t *jf = json_array_get(fields, i);

        field[i].name = take_member(doc, jf, "name");
        field[i].doc = take_member(doc, jf, "doc");
        field[i].one_of = take_member(doc, jf, "oneOf");
        if (!field[i].name || !field[i].name[0] || !field[i].doc || !field[i].one_of)
            return refuse(doc, "field without a name", schema->name);
        for (size_t before = 0; before < i; before++)
            if (strcmp(field[before].name, field[i].name) == 0)
                return refuse(doc, "field twice", field[i].name);
        field[i].type = parse_type(doc, json_object_get(jf, "type"), space, depth + 1);
        if (!field[i].type || !field_default(doc, &field[i], json_object_get(jf, "default")) ||
            !field_keys_known(doc, jf) ||
            !parse_bounds(doc, &field[i].bounds, jf, schema_value(field[i].type)->kind))
            return refuse(doc, "bad field", field[i].name);
    }
    schema->fields = field;
    return true;
}

static bool parse_symbols(struct schema_doc *doc, struct schema *schema, const json_t *json)
{
    const json_t *symbols = json_object_get(json, "symbols");
    const char **p;

    schema->n = json_array_size(symbols);
    if (schema->n == 0 || schema->n > SCHEMA_MEMBERS_MAX)
        return refuse(doc, "bad symbols", schema->name);
    p = take(doc, sizeof *p * schema->n);
    if (!p)
        return false;
    for (size_t i = 0; i < schema->n; i++) {
        const char *word = json_string_value(json_array_get(symbols, i));

        p[i] = word ? take_text(doc, word) : NULL;
        if (!p[i])
            return refuse(doc, "bad symbol", schema->name);
    }
    schema->symbols = p;
    schema->default_symbol = take_member(doc, json, "default");
    if (!schema->default_symbol)
        return false;
    for (size_t i = 0; i < schema->n; i++)
        if (strcmp(p[i], schema->default_symbol) == 0)
            return true;
    return !schema->default_symbol[0] || refuse(doc, "default is no symbol", schema->name);
}

static const struct schema *parse_named(struct schema_doc *doc, struct schema *schema,
                                        const json_t *json, const char *space, int depth)
{
    const char *own = json_string_value(json_object_get(json, "namespace"));
    const char *name = json_string_value(json_object_get(json, "name"));
    const json_t *size = json_object_get(json, "size");

    if (!name || !name[0])
        return refuse(doc, "no name", kind_words[schema->kind]);
    if (own)
        space = own;
    schema->bounded = json_is_true(json_object_get(json, "bounded"));
    schema->asked = take_member(doc, json, "asked");
    schema->told = take_member(doc, json, "told");
    schema->full_name = full_name(doc, name, space);
    if (!schema->full_name || !schema->asked || !schema->told)
        return NULL;
    schema->name =
        strrchr(schema->full_name, '.') ? strrchr(schema->full_name, '.') + 1 : schema->full_name;
    if (strchr(name, '.')) { /* the name's own namespace rules inside it */
        char *inner = (char *)(uintptr_t)take_text(doc, schema->full_name);

        if (!inner)
            return NULL;
        *strrchr(inner, '.') = '\0';
        space = inner;
    }
    schema->n = schema->kind == SCHEMA_FIXED ? (size_t)json_integer_value(size) : 0;
    if (schema->kind == SCHEMA_FIXED && (schema->n == 0 || schema->n > SCHEMA_TEXT_MAX))
        return refuse(doc, "bad size", name);
    if (schema->kind == SCHEMA_ENUM && !parse_symbols(doc, schema, json))
        return NULL;
    if (schema->kind == SCHEMA_RECORD && !parse_fields(doc, schema, json, space, depth))
        return NULL;
    if (doc->named_n == SCHEMA_NAMED_MAX || find_named(doc, schema->full_name))
        return refuse(doc, "defined twice, or too many named types", name);
    doc->named[doc->named_n++] = schema;
    return schema;
}

static const struct schema *parse_union(struct schema_doc *doc, const json_t *json,
                                        const char *space, int depth)
{
    struct schema *s = take(doc, sizeof *s);
    size_t n = json_array_size(json);
    const struct schema **p;

    if (!s || n == 0 || n > SCHEMA_MEMBERS_MAX)
        return refuse(doc, "bad union", space);
    p = take(doc, sizeof *p * n);
    if (!p)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        p[i] = parse_type(doc, json_array_get(json, i), space, depth + 1);
        if (!p[i])
            return NULL;
        if (p[i]->kind == SCHEMA_UNION)
            return refuse(doc, "union in a union", space);
    }
    *s = (struct schema){ .kind = SCHEMA_UNION, .doc = "", .logical = "", .n = n, .branches = p };
    return s;
}

static const struct schema *parse_word(struct schema_doc *doc, const char *word, const char *space)
{
    const struct schema *schema;
    const char *full;

    for (size_t i = 0; i < ARRAY_LEN(primitives); i++)
        if (strcmp(kind_words[i], word) == 0)
            return &primitives[i];
    full = full_name(doc, word, space);
    schema = full ? find_named(doc, full) : NULL;
    return schema ? schema : refuse(doc, "unknown type (define it before its use)", word);
}

/* {"type": "long", "logicalType": …}, {"type": "string", "maxBytes": …} */
static const struct schema *parse_annotated(struct schema_doc *doc, struct schema *schema,
                                            const json_t *j, const char *word, const char *space)
{
    const struct schema *plain = parse_word(doc, word, space);

    if (!plain || !parse_bounds(doc, &schema->bounds, j, plain->kind))
        return NULL;
    if (plain->name || (!schema->logical[0] && !schema->bounds.given))
        return plain;
    schema->kind = plain->kind;
    schema->doc = "";
    return schema;
}

static const struct schema *parse_type(struct schema_doc *doc, const json_t *json,
                                       const char *space, int depth)
{
    const char *word =
        json_string_value(json_is_object(json) ? json_object_get(json, "type") : json);
    struct schema *schema;

    if (depth > SCHEMA_DEPTH_MAX)
        return refuse(doc, "nested too deeply", space);
    if (json_is_array(json))
        return parse_union(doc, json, space, depth);
    if (!word)
        return refuse(doc, "no type in", space);
    if (json_is_string(json))
        return parse_word(doc, word, space);
    schema = take(doc, sizeof *schema);
    if (!schema)
        return NULL;
    schema->doc = take_member(doc, json, "doc");
    schema->logical = take_member(doc, json, "logicalType");
    if (!schema->doc || !schema->logical)
        return NULL;
    for (schema->kind = SCHEMA_FIXED; schema->kind <= SCHEMA_RECORD; schema->kind++)
        if (strcmp(kind_words[schema->kind], word) == 0)
            return parse_named(doc, schema, json, space, depth);
    if (strcmp(word, "array") == 0) {
        schema->items = parse_type(doc, json_object_get(json, "items"), space, depth + 1);
        return schema->items && parse_bounds(doc, &schema->bounds, json, SCHEMA_ARRAY) ? schema
                                                                                       : NULL;
    }
    return parse_annotated(doc, schema, json, word, space);
}

enum cq_status schema_parse(struct cq_span text, struct schema_doc **ret, char *reterr,
                            size_t reterr_n)
{
    struct schema_doc *doc = calloc(1, sizeof *doc);
    json_error_t why;
    json_t *json;

    if (!doc)
        return CQ_POISON;
    *doc = (struct schema_doc){ .arena = arena_new(SCHEMA_ARENA_MAX),
                                .err = reterr,
                                .err_n = reterr_n };
    if (reterr_n)
        reterr[0] = '\0';
    json = text.n <= SCHEMA_TEXT_MAX ? json_loadb((const char *)text.p, text.n,
                                                  JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why)
                                     : NULL;
    if (!json || !doc->arena)
        refuse(doc, "no JSON", text.n <= SCHEMA_TEXT_MAX ? why.text : "too long");
    else
        doc->root = parse_type(doc, json, "", 0);
    json_decref(json);
    if (!doc->root) {
        schema_free(doc);
        return CQ_POISON;
    }
    doc->err = NULL;
    doc->err_n = 0;
    *ret = doc;
    return CQ_OK;
}

void schema_free(struct schema_doc *doc)
{
    if (!doc)
        return;
    arena_free(doc->arena);
    free(doc);
}

const struct schema *schema_root(const struct schema_doc *doc)
{
    return doc->root;
}
