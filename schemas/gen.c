/* SPDX-License-Identifier: MIT */
/*
 * schemas/gen.c - host tool: prints records.gen.h and records.gen.c from the .avsc files.
 *
 *     schemas_gen OUT.h OUT.c FILE.avsc… [--history FILE.avsc…]
 *
 * The struct mapping is described in schemas/codec.h. A named type that several files define must
 * read the same in all of them, docs included.
 */
#include "lib/base/id.h"
#include "schemas/codec.h"
#include "schemas/schema.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define UNKNOWN "UNKNOWN" /* see schemas/codec.h */

enum { FILES_MAX = 64 + CODEC_HISTORY_MAX, TYPES_MAX = 256, NAME_MAX_BYTES = 128 };

static struct schema_doc *docs[FILES_MAX];
static size_t docs_n, own_n;                  /* the first own_n are ours, the rest is history */
static const struct schema *types[TYPES_MAX]; /* each after what it is made of */
static size_t types_n;
static FILE *out;

static void die(const char *fmt, ...) CQ_PRINTF(1, 2) __attribute__((noreturn));
static void die(const char *fmt, ...)
{
    va_list ap;

    fputs("schemas_gen: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static void say(const char *fmt, ...) CQ_PRINTF(1, 2);
static void say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(out, fmt, ap);
    va_end(ap);
}

struct name {
    char s[NAME_MAX_BYTES];
};

/* ChatAction, atMs -> chat_action, at_ms */
static struct name snake(const char *camel)
{
    struct name r;
    size_t n = 0;

    for (size_t i = 0; camel[i] && n + 3 < sizeof r.s; i++) {
        unsigned char c = (unsigned char)camel[i];
        bool starts =
            i && isupper(c) &&
            (!isupper((unsigned char)camel[i - 1]) || islower((unsigned char)camel[i + 1]));

        if (starts && camel[i - 1] != '_')
            r.s[n++] = '_';
        r.s[n++] = (char)tolower(c);
    }
    r.s[n] = '\0';
    return r;
}

static struct name upper(const char *camel)
{
    struct name r = snake(camel);

    for (char *p = r.s; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return r;
}

#define SNAKE(camel) (snake(camel).s)
#define UPPER(camel) (upper(camel).s)

/* A doc text inside a comment must not end it. */
static void say_doc(const char *before, const char *doc, const char *after)
{
    if (!doc[0])
        return;
    say("%s", before);
    for (const char *p = doc; *p; p++)
        if (p[0] == '*' && p[1] == '/')
            say("* ");
        else
            say("%c", *p == '\n' ? ' ' : *p);
    say("%s", after);
}

static void say_c_string(const char *s)
{
    size_t col = 0;

    say("\"");
    for (; *s; s++) {
        if (col >= 96 && *s != ' ') {
            say("\"\n    \"");
            col = 0;
        }
        if (*s == '"' || *s == '\\')
            say("\\%c", *s);
        else if (*s == '\n')
            say("\\n");
        else
            say("%c", *s);
        col++;
    }
    say("\"");
}

/* ---- collecting
 * ---------------------------------------------------------------------------------- */

static void check_same(const struct schema *a, const struct schema *b)
{
    cq_auto(buf) struct cq_buf x;
    cq_auto(buf) struct cq_buf y;

    buf_init(&x, SCHEMA_TEXT_MAX);
    buf_init(&y, SCHEMA_TEXT_MAX);
    schema_write(&x, a, SCHEMA_WHOLE);
    schema_write(&y, b, SCHEMA_WHOLE);
    if (!span_eq(buf_span(&x), buf_span(&y)))
        die("%s is defined in two ways:\n  %.*s\n  %.*s", a->full_name, SPAN_FMT(buf_span(&x)),
            SPAN_FMT(buf_span(&y)));
}

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), end_n = strlen(end);

    return n >= end_n && strcmp(name + n - end_n, end) == 0;
}

/* Stock readers know a time by its logical type, and fall back on an enum's default. */
static void check_for_readers(const char *where, const struct schema *t)
{
    bool is_time = t->kind == SCHEMA_LONG && ends_in(where, "Ms") && strcmp(where, "durationMs");

    if (is_time != (strcmp(t->logical, "timestamp-millis") == 0))
        die("%s: a long of a name in ...Ms is a timestamp-millis, unless it is durationMs", where);
    if (t->kind == SCHEMA_ENUM &&
        (strcmp(t->symbols[0], UNKNOWN) != 0 || strcmp(t->default_symbol, UNKNOWN) != 0))
        die("%s: the first symbol and the default of an enum is " UNKNOWN, t->name);
}

/* What the structs can hold; anything else is refused here and not in the codec. */
static void check_field(const char *where, const struct schema *t)
{
    bool nullable = schema_is_nullable(t);

    if (nullable)
        t = t->branches[1];
    if (t->kind == SCHEMA_NULL || t->kind == SCHEMA_UNION)
        die("%s: a choice of records is fields with one oneOf, any other union [\"null\", T]",
            where);
    check_for_readers(where, t);
    if (t->kind == SCHEMA_FIXED && t->n != sizeof(struct cq_id))
        die("%s: a fixed has 16 bytes", where);
    if (t->kind != SCHEMA_ARRAY)
        return;
    if (t->items->kind == SCHEMA_ARRAY || t->items->kind == SCHEMA_UNION ||
        t->items->kind == SCHEMA_NULL)
        die("%s: items of an array are records or plain values", where);
    if (schema_min_bytes(t->items) == 0)
        die("%s: items of an array take at least one byte", where);
    check_field(where, t->items);
}

/* Fields from `i` on that are one member of the struct: those of one oneOf, or a single one. */
static size_t member_fields(const struct schema *s, size_t i)
{
    size_t n = 1;

    while (s->fields[i].one_of[0] && i + n < s->n &&
           strcmp(s->fields[i].one_of, s->fields[i + n].one_of) == 0)
        n++;
    return n;
}

/* Of a oneOf each field is null unless it is the one, so that a reader may lack it; it is named as
 * its record, so that the constants are; and the fields stand together. */
static void check_one_of(const struct schema *s)
{
    for (size_t i = 0; i < s->n; i += member_fields(s, i)) {
        const struct schema_field *f = &s->fields[i];
        size_t n = member_fields(s, i);

        for (size_t k = i + n; f->one_of[0] && k < s->n; k++)
            if (strcmp(s->fields[k].one_of, f->one_of) == 0)
                die("%s: the fields of oneOf %s do not stand together", s->name, f->one_of);
        for (; n && f->one_of[0]; n--, f++)
            if (!schema_is_nullable(f->type) || f->type->branches[1]->kind != SCHEMA_RECORD ||
                !f->default_json || strcmp(SNAKE(f->name), SNAKE(f->type->branches[1]->name)) != 0)
                die("%s.%s: a field of a oneOf is [\"null\", a record of its name], by default "
                    "null",
                    s->name, f->name);
    }
}

static void collect(const struct schema *s, int depth)
{
    if (depth > CODEC_DEPTH_MAX)
        die("nested more than %d records deep", CODEC_DEPTH_MAX);
    if (s->kind == SCHEMA_ARRAY)
        collect(s->items, depth);
    for (size_t i = 0; s->kind == SCHEMA_UNION && i < s->n; i++)
        collect(s->branches[i], depth);
    if (!s->name)
        return;
    for (size_t i = 0; i < types_n; i++)
        if (strcmp(SNAKE(types[i]->name), SNAKE(s->name)) == 0) {
            check_same(types[i], s);
            return;
        }
    for (size_t i = 0; s->kind == SCHEMA_RECORD && i < s->n; i++) {
        check_field(s->fields[i].name, s->fields[i].type);
        collect(s->fields[i].type, depth + 1);
    }
    if (s->kind == SCHEMA_RECORD && s->n == 0)
        die("%s: a record has fields", s->name);
    if (s->kind == SCHEMA_RECORD)
        check_one_of(s);
    if (types_n == TYPES_MAX)
        die("more than %d types", TYPES_MAX);
    types[types_n++] = s;
}

/* Our own schema of that record; NULL: it is none of ours. */
static const struct schema *own_root(const struct schema *s)
{
    for (size_t i = 0; i < own_n; i++)
        if (strcmp(schema_root(docs[i])->full_name, s->full_name) == 0)
            return schema_root(docs[i]);
    return NULL;
}

/* ---- the header
 * ---------------------------------------------------------------------------------- */

static struct name c_type(const struct schema *t)
{
    static const char *const plain[] = {
        "", "bool", "int32_t", "int64_t", "struct cq_span", "struct cq_span", "struct cq_id"
    };
    struct name r;

    if (t->kind == SCHEMA_RECORD || t->kind == SCHEMA_ENUM)
        snprintf(r.s, sizeof r.s, "%s %.100s", t->kind == SCHEMA_ENUM ? "enum" : "struct",
                 SNAKE(t->name));
    else
        snprintf(r.s, sizeof r.s, "%s", plain[t->kind]);
    return r;
}

static void say_enum(const struct schema *s)
{
    say_doc("\n/** ", s->doc, " */");
    say("\nenum %s {\n", SNAKE(s->name));
    for (size_t i = 1; i < s->n; i++)
        say("    %s_%s,\n", UPPER(s->name), s->symbols[i]);
    say("    %s_N\n};\n", UPPER(s->name));
}

static void say_kinds(const struct schema *s)
{
    for (size_t i = 0; i < s->n; i += member_fields(s, i)) {
        const struct schema_field *f = &s->fields[i];
        size_t n = member_fields(s, i);

        if (!f->one_of[0])
            continue;
        say("\nenum %s_%s_kind {\n", SNAKE(s->name), SNAKE(f->one_of));
        for (size_t k = 0; k < n; k++)
            say("    %s_%s,\n", UPPER(s->name), UPPER(f[k].name));
        say("    %s_%s_KIND_N\n};\n", UPPER(s->name), UPPER(f->one_of));
    }
}

static void say_choices(const struct schema *s, const struct schema_field *f, size_t n)
{
    struct name field = snake(f->one_of);

    say("    struct {\n        enum %s_%s_kind kind;\n        union {\n", SNAKE(s->name), field.s);
    for (size_t k = 0; k < n; k++)
        say("            struct %s %s;\n", SNAKE(f[k].name), SNAKE(f[k].name));
    say("        } u;\n    } %s;", field.s);
    say_doc(" /* ", f->doc, " */");
    say("\n");
}

static void say_field(const struct schema_field *f)
{
    const struct schema *t = f->type;
    struct name n = snake(f->name);

    if (schema_is_nullable(t)) {
        t = t->branches[1];
        say("    bool has_%s;\n", n.s);
    }
    if (t->kind == SCHEMA_ARRAY) {
        say("    %s *%s;", c_type(t->items).s, n.s);
        say_doc(" /* ", f->doc, " */");
        say("\n    size_t %s_n;\n", n.s);
        return;
    }
    say("    %s %s;", c_type(t).s, n.s);
    say_doc(" /* ", f->doc, " */");
    say("\n");
}

static void say_header(void)
{
    say("/* SPDX-License-Identifier: MIT */\n/* Printed by schemas/gen from the .avsc files. Do "
        "not edit. */\n"
        "#pragma once\n\n#include \"lib/base/id.h\"\n#include \"lib/base/span.h\"\n\nstruct "
        "codec_record;\n");
    for (size_t i = 0; i < types_n; i++) {
        const struct schema *s = types[i];

        if (s->kind == SCHEMA_ENUM)
            say_enum(s);
        if (s->kind != SCHEMA_RECORD)
            continue;
        say_kinds(s);
        say_doc("\n/** ", s->doc, " */");
        say("\nstruct %s {\n", SNAKE(s->name));
        for (size_t k = 0; k < s->n; k += member_fields(s, k))
            if (s->fields[k].one_of[0])
                say_choices(s, &s->fields[k], member_fields(s, k));
            else
                say_field(&s->fields[k]);
        say("};\nextern const struct codec_record %s_codec;\n", SNAKE(s->name));
    }
}

/* ---- the tables
 * ---------------------------------------------------------------------------------- */

static const char *op_word(const struct schema *t)
{
    static const char *const words[] = { "",           "CODEC_BOOL",   "CODEC_INT",
                                         "CODEC_LONG", "CODEC_STRING", "CODEC_BYTES",
                                         "CODEC_ID",   "CODEC_ENUM",   "CODEC_RECORD",
                                         "CODEC_ARRAY" };
    return words[t->kind];
}

/* The members that depend on the type alone. */
static void say_type(const char *rec, const char *field, const struct schema *t)
{
    say(".op = %s", op_word(t));
    if (t->kind == SCHEMA_RECORD)
        say(", .sub.record = &%s_codec", SNAKE(t->name));
    if (t->kind == SCHEMA_ENUM)
        say(", .n = %s_N, .sub.symbols = %s_symbols", UPPER(t->name), SNAKE(t->name));
    if (t->kind == SCHEMA_ARRAY)
        say(", .aux_off = offsetof(struct %s, %s_n), .item_size = sizeof(%s),\n      .item_min = "
            "%zu, .sub.item = "
            "&%s_%s_item",
            rec, field, c_type(t->items).s, schema_min_bytes(t->items), rec, field);
}

static void say_choices_table(const struct schema *s, const struct schema_field *f, size_t n)
{
    say("static const struct codec_choice %s_%s_choices[] = {\n", SNAKE(s->name), SNAKE(f->one_of));
    for (size_t k = 0; k < n; k++)
        say("    { .name = \"%s\", .record = &%s_codec },\n", f[k].name, SNAKE(f[k].name));
    say("};\n");
}

static void say_helpers(const struct schema *s)
{
    for (size_t i = 0; i < s->n; i += member_fields(s, i)) {
        const struct schema_field *f = &s->fields[i];
        const struct schema *t = schema_is_nullable(f->type) ? f->type->branches[1] : f->type;
        struct name rec = snake(s->name), field = snake(f->name);

        if (f->one_of[0]) {
            say_choices_table(s, f, member_fields(s, i));
            continue;
        }
        if (t->kind == SCHEMA_ARRAY) {
            say("static const struct codec_field %s_%s_item = { ", rec.s, field.s);
            say_type(rec.s, field.s, t->items);
            say(" };\n");
        }
        if (f->default_json && f->default_bytes.n) {
            say("static const uint8_t %s_%s_default[] = {", rec.s, field.s);
            for (size_t k = 0; k < f->default_bytes.n; k++)
                say(" %u,", f->default_bytes.p[k]);
            say(" };\n");
        }
    }
}

static void say_table_field(const struct schema *s, const struct schema_field *f)
{
    bool nullable = schema_is_nullable(f->type);
    const struct schema *t = nullable ? f->type->branches[1] : f->type;
    struct name rec = snake(s->name), field = snake(f->name);

    say("    { .name = \"%s\", .off = offsetof(struct %s, %s), ", f->name, rec.s, field.s);
    say_type(rec.s, field.s, t);
    if (nullable)
        say(",\n      .nullable = true, .has_off = offsetof(struct %s, has_%s)", rec.s, field.s);
    if (f->default_json)
        say(",\n      .has_default = true");
    if (f->default_json && f->default_bytes.n)
        say(", .default_p = %s_%s_default, .default_n = %zu", rec.s, field.s, f->default_bytes.n);
    say(" },\n");
}

static void say_table_choices(const struct schema *s, const struct schema_field *f, size_t n)
{
    struct name rec = snake(s->name), field = snake(f->one_of);

    say("    { .name = \"%s\", .op = CODEC_ONE_OF, .off = offsetof(struct %s, %s.u),\n      "
        ".aux_off = offsetof(struct %s, %s.kind), .n = %zu, .sub.choices = %s_%s_choices },\n",
        f->one_of, rec.s, field.s, rec.s, field.s, n, rec.s, field.s);
}

static void say_record(const struct schema *s)
{
    cq_auto(buf) struct cq_buf b;
    struct name rec = snake(s->name);
    size_t members_n = 0;

    say("\n");
    say_helpers(s);
    say("static const struct codec_field %s_fields[] = {\n", rec.s);
    for (size_t i = 0; i < s->n; i += member_fields(s, i)) {
        if (s->fields[i].one_of[0])
            say_table_choices(s, &s->fields[i], member_fields(s, i));
        else
            say_table_field(s, &s->fields[i]);
        members_n++;
    }
    say("};\nconst struct codec_record %s_codec = {\n    .name = \"%s\", .fields = %s_fields, "
        ".fields_n = %zu, "
        ".size = sizeof(struct %s), .id = 0x%08x,\n    .json =\n    ",
        rec.s, s->name, rec.s, members_n, rec.s, schema_id(s));
    buf_init(&b, SCHEMA_TEXT_MAX);
    schema_write(&b, s, SCHEMA_WHOLE);
    buf_add_byte(&b, 0);
    if (b.failed)
        die("%s: schema too long", s->name);
    say_c_string((const char *)b.p);
    say(",\n};\n");
}

static void say_tables(void)
{
    say("/* SPDX-License-Identifier: MIT */\n/* Printed by schemas/gen from the .avsc files. Do "
        "not edit. */\n"
        "#include \"schemas/records.gen.h\"\n#include \"schemas/table.h\"\n");
    for (size_t i = 0; i < types_n; i++) {
        if (types[i]->kind == SCHEMA_RECORD)
            say_record(types[i]);
        if (types[i]->kind != SCHEMA_ENUM)
            continue;
        say("\nstatic const char *const %s_symbols[] = {", SNAKE(types[i]->name));
        for (size_t k = 1; k < types[i]->n; k++)
            say(" \"%s\",", types[i]->symbols[k]);
        say(" };\n");
    }
    say("\nconst struct codec_record *const codec_records[] = {\n");
    for (size_t i = 0; i < types_n; i++)
        if (own_root(types[i]))
            say("    &%s_codec,\n", SNAKE(types[i]->name));
    say("    NULL,\n};\n\nconst char *const codec_history[] = {\n");
    for (size_t i = own_n; i < docs_n; i++) {
        const struct schema *s = schema_root(docs[i]);
        cq_auto(buf) struct cq_buf b;

        buf_init(&b, SCHEMA_TEXT_MAX);
        if (schema_id(s) == schema_id(own_root(s)))
            continue; /* the version of today, which needs no second reading */
        schema_write(&b, s, SCHEMA_WHOLE);
        buf_add_byte(&b, 0);
        say("    ");
        say_c_string((const char *)b.p);
        say(",\n");
    }
    say("    NULL,\n};\n");
}

/* ---- files
 * --------------------------------------------------------------------------------------- */

static void load(const char *path)
{
    static char text[SCHEMA_TEXT_MAX + 1];
    char why[256] = "";
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;

    if (!f || ferror(f) || docs_n == FILES_MAX)
        die("%s: cannot read, or too many files", path);
    fclose(f);
    if (schema_parse(span_of(text, n), &docs[docs_n], why, sizeof why) != CQ_OK)
        die("%s: %s", path, why);
    if (schema_root(docs[docs_n])->kind != SCHEMA_RECORD)
        die("%s: the top is no record", path);
    docs_n++;
}

static void print_to(const char *path, void (*print)(void))
{
    out = fopen(path, "w");
    if (!out)
        die("%s: cannot write", path);
    print();
    if (ferror(out) | fclose(out))
        die("%s: cannot write", path);
}

int main(int argc, char **argv)
{
    bool history = false;

    if (argc < 4)
        die("use: schemas_gen OUT.h OUT.c FILE.avsc... [--history FILE.avsc...]");
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--history") == 0) {
            history = true;
            continue;
        }
        load(argv[i]);
        if (!history)
            own_n = docs_n;
    }
    for (size_t i = 0; i < own_n; i++)
        collect(schema_root(docs[i]), 1);
    if (docs_n - own_n > CODEC_HISTORY_MAX)
        die("more than %d versions in history", CODEC_HISTORY_MAX);
    for (size_t i = own_n; i < docs_n; i++)
        if (!own_root(schema_root(docs[i])))
            die("history: %s is no record of ours", schema_root(docs[i])->full_name);
    print_to(argv[1], say_header);
    print_to(argv[2], say_tables);
    for (size_t i = 0; i < docs_n; i++)
        schema_free(docs[i]);
    return 0;
}
