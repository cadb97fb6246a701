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
static const struct schema *refuse(struct schema_doc *d, const char *what, const char *name)
{
    if (d->err_n && d->err[0] == '\0')
        snprintf(d->err, d->err_n, "%s: %s", what, name);
    return NULL;
}

static void *take(struct schema_doc *d, size_t n)
{
    void *p = arena_alloc(d->arena, n);

    if (!p)
        refuse(d, "too large", "schema");
    return p;
}

static const char *take_text(struct schema_doc *d, const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = take(d, n);

    return p ? memcpy(p, s, n) : NULL;
}

static const char *take_member(struct schema_doc *d, const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));

    return take_text(d, s ? s : "");
}

/* A name without dots lives in the namespace around it. */
static const char *full_name(struct schema_doc *d, const char *name, const char *space)
{
    size_t n = strlen(name) + strlen(space) + 2;
    char *p;

    if (strchr(name, '.') || !space[0])
        return take_text(d, name);
    p = take(d, n);
    if (p)
        snprintf(p, n, "%s.%s", space, name);
    return p;
}

static const struct schema *find_named(const struct schema_doc *d, const char *full)
{
    for (size_t i = 0; i < d->named_n; i++)
        if (strcmp(d->named[i]->full_name, full) == 0)
            return d->named[i];
    return NULL;
}

static void put_long(struct cq_buf *b, int64_t v)
{
    uint64_t z = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);

    for (; z >= 0x80; z >>= 7)
        buf_add_byte(b, (uint8_t)(z | 0x80));
    buf_add_byte(b, (uint8_t)z);
}

static bool put_default(struct cq_buf *b, const struct schema *s, const json_t *j);

static bool put_default_record(struct cq_buf *b, const struct schema *s, const json_t *j)
{
    for (size_t i = 0; i < s->n; i++) {
        const json_t *v = json_object_get(j, s->fields[i].name);

        if (v && !put_default(b, s->fields[i].type, v))
            return false;
        if (!v && !s->fields[i].default_json)
            return false;
        if (!v)
            buf_add_span(b, s->fields[i].default_bytes);
    }
    return json_is_object(j);
}

static bool put_default_text(struct cq_buf *b, const struct schema *s, const json_t *j)
{
    size_t n = json_string_length(j);

    if (!json_is_string(j) || (s->kind == SCHEMA_FIXED && n != s->n))
        return false;
    if (s->kind !=
        SCHEMA_STRING) /* Avro maps code points 0-255 to bytes; we need only the ASCII half */
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)json_string_value(j)[i] > 0x7f)
                return false;
    if (s->kind != SCHEMA_FIXED)
        put_long(b, (int64_t)n);
    buf_add(b, json_string_value(j), n);
    return true;
}

/* The default `j` of type `s` in Avro binary; false when it does not fit the type. */
static bool put_default(struct cq_buf *b, const struct schema *s, const json_t *j)
{
    size_t i;

    switch (s->kind) {
    case SCHEMA_NULL:
        return json_is_null(j);
    case SCHEMA_BOOLEAN:
        buf_add_byte(b, json_is_true(j));
        return json_is_boolean(j);
    case SCHEMA_INT:
    case SCHEMA_LONG:
        put_long(b, json_integer_value(j));
        return json_is_integer(j) &&
               (s->kind == SCHEMA_LONG || json_integer_value(j) == (int32_t)json_integer_value(j));
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
    case SCHEMA_FIXED:
        return put_default_text(b, s, j);
    case SCHEMA_ENUM:
        for (i = 0; i < s->n; i++)
            if (json_is_string(j) && strcmp(s->symbols[i], json_string_value(j)) == 0)
                break;
        put_long(b, (int64_t)i);
        return i < s->n;
    case SCHEMA_RECORD:
        return put_default_record(b, s, j);
    case SCHEMA_ARRAY: /* only the empty one */
        buf_add_byte(b, 0);
        return json_is_array(j) && json_array_size(j) == 0;
    case SCHEMA_UNION: /* a default belongs to the first branch */
        buf_add_byte(b, 0);
        return put_default(b, s->branches[0], j);
    }
    return false;
}

static bool field_default(struct schema_doc *d, struct schema_field *f, const json_t *j)
{
    cq_auto(buf) struct cq_buf b;
    char *json;
    uint8_t *p;

    buf_init(&b, SCHEMA_TEXT_MAX);
    if (!j)
        return true;
    if (!put_default(&b, f->type, j) || b.failed)
        return refuse(d, "default does not fit its type", f->name);
    json = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
    f->default_json = json ? take_text(d, json) : NULL;
    free(json);
    p = take(d, b.n + 1);
    if (!f->default_json || !p)
        return false;
    if (b.n)
        memcpy(p, b.p, b.n);
    f->default_bytes = span_of(p, b.n);
    return true;
}

static const struct schema *parse_type(struct schema_doc *d, const json_t *j, const char *space,
                                       int depth);

static bool parse_fields(struct schema_doc *d, struct schema *s, const json_t *j, const char *space,
                         int depth)
{
    const json_t *fields = json_object_get(j, "fields");
    struct schema_field *f;

    s->n = json_array_size(fields);
    if (!json_is_array(fields) || s->n > SCHEMA_MEMBERS_MAX)
        return refuse(d, "bad fields", s->name);
    f = take(d, sizeof *f * (s->n + 1));
    if (!f)
        return false;
    for (size_t i = 0; i < s->n; i++) {
        const json_t *jf = json_array_get(fields, i);

        f[i].name = take_member(d, jf, "name");
        f[i].doc = take_member(d, jf, "doc");
        f[i].one_of = take_member(d, jf, "oneOf");
        if (!f[i].name || !f[i].name[0] || !f[i].doc || !f[i].one_of)
            return refuse(d, "field without a name", s->name);
        for (size_t k = 0; k < i; k++)
            if (strcmp(f[k].name, f[i].name) == 0)
                return refuse(d, "field twice", f[i].name);
        f[i].type = parse_type(d, json_object_get(jf, "type"), space, depth + 1);
        if (!f[i].type || !field_default(d, &f[i], json_object_get(jf, "default")))
            return refuse(d, "bad field", f[i].name);
    }
    s->fields = f;
    return true;
}

static bool parse_symbols(struct schema_doc *d, struct schema *s, const json_t *j)
{
    const json_t *symbols = json_object_get(j, "symbols");
    const char **p;

    s->n = json_array_size(symbols);
    if (s->n == 0 || s->n > SCHEMA_MEMBERS_MAX)
        return refuse(d, "bad symbols", s->name);
    p = take(d, sizeof *p * s->n);
    if (!p)
        return false;
    for (size_t i = 0; i < s->n; i++) {
        const char *word = json_string_value(json_array_get(symbols, i));

        p[i] = word ? take_text(d, word) : NULL;
        if (!p[i])
            return refuse(d, "bad symbol", s->name);
    }
    s->symbols = p;
    s->default_symbol = take_member(d, j, "default");
    if (!s->default_symbol)
        return false;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(p[i], s->default_symbol) == 0)
            return true;
    return !s->default_symbol[0] || refuse(d, "default is no symbol", s->name);
}

static const struct schema *parse_named(struct schema_doc *d, struct schema *s, const json_t *j,
                                        const char *space, int depth)
{
    const char *own = json_string_value(json_object_get(j, "namespace"));
    const char *name = json_string_value(json_object_get(j, "name"));
    const json_t *size = json_object_get(j, "size");

    if (!name || !name[0])
        return refuse(d, "no name", kind_words[s->kind]);
    if (own)
        space = own;
    s->full_name = full_name(d, name, space);
    if (!s->full_name)
        return NULL;
    s->name = strrchr(s->full_name, '.') ? strrchr(s->full_name, '.') + 1 : s->full_name;
    if (strchr(name, '.')) { /* the name's own namespace rules inside it */
        char *inner = (char *)(uintptr_t)take_text(d, s->full_name);

        if (!inner)
            return NULL;
        *strrchr(inner, '.') = '\0';
        space = inner;
    }
    s->n = s->kind == SCHEMA_FIXED ? (size_t)json_integer_value(size) : 0;
    if (s->kind == SCHEMA_FIXED && (s->n == 0 || s->n > SCHEMA_TEXT_MAX))
        return refuse(d, "bad size", name);
    if (s->kind == SCHEMA_ENUM && !parse_symbols(d, s, j))
        return NULL;
    if (s->kind == SCHEMA_RECORD && !parse_fields(d, s, j, space, depth))
        return NULL;
    if (d->named_n == SCHEMA_NAMED_MAX || find_named(d, s->full_name))
        return refuse(d, "defined twice, or too many named types", name);
    d->named[d->named_n++] = s;
    return s;
}

static const struct schema *parse_union(struct schema_doc *d, const json_t *j, const char *space,
                                        int depth)
{
    struct schema *s = take(d, sizeof *s);
    size_t n = json_array_size(j);
    const struct schema **p;

    if (!s || n == 0 || n > SCHEMA_MEMBERS_MAX)
        return refuse(d, "bad union", space);
    p = take(d, sizeof *p * n);
    if (!p)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        p[i] = parse_type(d, json_array_get(j, i), space, depth + 1);
        if (!p[i])
            return NULL;
        if (p[i]->kind == SCHEMA_UNION)
            return refuse(d, "union in a union", space);
    }
    *s = (struct schema){ .kind = SCHEMA_UNION, .doc = "", .logical = "", .n = n, .branches = p };
    return s;
}

static const struct schema *parse_word(struct schema_doc *d, const char *word, const char *space)
{
    const struct schema *s;
    const char *full;

    for (size_t i = 0; i < ARRAY_LEN(primitives); i++)
        if (strcmp(kind_words[i], word) == 0)
            return &primitives[i];
    full = full_name(d, word, space);
    s = full ? find_named(d, full) : NULL;
    return s ? s : refuse(d, "unknown type (define it before its use)", word);
}

/* {"type": "long", "logicalType": …}; other annotations do not concern us. */
static const struct schema *parse_annotated(struct schema_doc *d, struct schema *s,
                                            const char *word, const char *space)
{
    const struct schema *plain = parse_word(d, word, space);

    if (!plain || plain->name || !s->logical[0])
        return plain;
    s->kind = plain->kind;
    s->doc = "";
    return s;
}

static const struct schema *parse_type(struct schema_doc *d, const json_t *j, const char *space,
                                       int depth)
{
    const char *word = json_string_value(json_is_object(j) ? json_object_get(j, "type") : j);
    struct schema *s;

    if (depth > SCHEMA_DEPTH_MAX)
        return refuse(d, "nested too deeply", space);
    if (json_is_array(j))
        return parse_union(d, j, space, depth);
    if (!word)
        return refuse(d, "no type in", space);
    if (json_is_string(j))
        return parse_word(d, word, space);
    s = take(d, sizeof *s);
    if (!s)
        return NULL;
    s->doc = take_member(d, j, "doc");
    s->logical = take_member(d, j, "logicalType");
    if (!s->doc || !s->logical)
        return NULL;
    for (s->kind = SCHEMA_FIXED; s->kind <= SCHEMA_RECORD; s->kind++)
        if (strcmp(kind_words[s->kind], word) == 0)
            return parse_named(d, s, j, space, depth);
    if (strcmp(word, "array") == 0) {
        s->items = parse_type(d, json_object_get(j, "items"), space, depth + 1);
        return s->items ? s : NULL;
    }
    return parse_annotated(d, s, word, space);
}

enum cq_status schema_parse(struct cq_span text, struct schema_doc **ret, char *reterr,
                            size_t reterr_n)
{
    struct schema_doc *d = calloc(1, sizeof *d);
    json_error_t why;
    json_t *j;

    if (!d)
        return CQ_POISON;
    *d = (struct schema_doc){ .arena = arena_new(SCHEMA_ARENA_MAX),
                              .err = reterr,
                              .err_n = reterr_n };
    if (reterr_n)
        reterr[0] = '\0';
    j = text.n <= SCHEMA_TEXT_MAX ? json_loadb((const char *)text.p, text.n,
                                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why)
                                  : NULL;
    if (!j || !d->arena)
        refuse(d, "no JSON", text.n <= SCHEMA_TEXT_MAX ? why.text : "too long");
    else
        d->root = parse_type(d, j, "", 0);
    json_decref(j);
    if (!d->root) {
        schema_free(d);
        return CQ_POISON;
    }
    d->err = NULL;
    d->err_n = 0;
    *ret = d;
    return CQ_OK;
}

void schema_free(struct schema_doc *d)
{
    if (!d)
        return;
    arena_free(d->arena);
    free(d);
}

const struct schema *schema_root(const struct schema_doc *d)
{
    return d->root;
}
