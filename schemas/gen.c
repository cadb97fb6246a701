/* SPDX-License-Identifier: MIT */
/*
 * schemas/gen.c - host tool: prints records.gen.h and records.gen.c from the .avsc files.
 *
 *     schemas_gen OUT.h OUT.c [--types FILE] FILE.avsc… [--history FILE.avsc…]
 *
 * The struct mapping is described in schemas/codec.h. What several files use is defined once, in
 * the file of --types (schemas/expand.h); a named type that several files define all the same must
 * read the same in all of them, docs included.
 */
#include "lib/base/id.h"
#include "schemas/codec.h"
#include "schemas/expand.h"
#include "schemas/gen_bounds.h"
#include "schemas/gen_frames.h"
#include "schemas/gen_names.h"
#include "schemas/schema.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define UNKNOWN "UNKNOWN" /* see schemas/codec.h */

enum { FILES_MAX = 64 + CODEC_HISTORY_MAX, TYPES_MAX = 256 };

static struct schema_doc *docs[FILES_MAX];
static size_t docs_n, own_n;                  /* the first own_n are ours, the rest is history */
static const struct schema *types[TYPES_MAX]; /* each after what it is made of */
static size_t types_n;
static struct schema_types *shared; /* NULL: none */
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
    cq_auto(buf) struct cq_buf x = { 0 };
    cq_auto(buf) struct cq_buf y = { 0 };

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
static void check_for_readers(const char *where, const struct schema *type)
{
    bool is_time = type->kind == SCHEMA_LONG && ends_in(where, "Ms") && strcmp(where, "durationMs");

    if (is_time != (strcmp(type->logical, "timestamp-millis") == 0))
        die("%s: a long of a name in ...Ms is a timestamp-millis, unless it is durationMs", where);
    if (type->kind == SCHEMA_ENUM &&
        (strcmp(type->symbols[0], UNKNOWN) != 0 || strcmp(type->default_symbol, UNKNOWN) != 0))
        die("%s: the first symbol and the default of an enum is " UNKNOWN, type->name);
}

/* What the structs can hold; anything else is refused here and not in the codec. */
static void check_field(const char *where, const struct schema *type)
{
    type = schema_value(type);
    if (type->kind == SCHEMA_NULL || type->kind == SCHEMA_UNION)
        die("%s: a choice of records is fields with one oneOf, any other union [\"null\", T]",
            where);
    check_for_readers(where, type);
    if (type->kind == SCHEMA_FIXED && type->n != sizeof(struct cq_id))
        die("%s: a fixed has 16 bytes", where);
    if (type->kind != SCHEMA_ARRAY)
        return;
    if (type->items->kind == SCHEMA_ARRAY || type->items->kind == SCHEMA_UNION ||
        type->items->kind == SCHEMA_NULL)
        die("%s: items of an array are records or plain values", where);
    if (schema_min_bytes(type->items) == 0)
        die("%s: items of an array take at least one byte", where);
    check_field(where, type->items);
}

/* Fields from `i` on that are one member of the struct: those of one oneOf, or a single one. */
static size_t member_fields(const struct schema *schema, size_t i)
{
    size_t n = 1;

    while (schema->fields[i].one_of[0] && i + n < schema->n &&
           strcmp(schema->fields[i].one_of, schema->fields[i + n].one_of) == 0)
        n++;
    return n;
}

/* Of a oneOf each field is null unless it is the one, so that a reader may lack it; it is named as
 * its record, so that the constants are; and the fields stand together. */
static void check_one_of(const struct schema *schema)
{
    for (size_t i = 0; i < schema->n; i += member_fields(schema, i)) {
        const struct schema_field *field = &schema->fields[i];
        size_t n = member_fields(schema, i);

        for (size_t later = i + n; field->one_of[0] && later < schema->n; later++)
            if (strcmp(schema->fields[later].one_of, field->one_of) == 0)
                die("%s: the fields of oneOf %s do not stand together", schema->name,
                    field->one_of);
        for (; n && field->one_of[0]; n--, field++)
            if (!schema_is_nullable(field->type) ||
                field->type->branches[1]->kind != SCHEMA_RECORD || !field->default_json ||
                strcmp(SNAKE(field->name), SNAKE(field->type->branches[1]->name)) != 0)
                die("%s.%s: a field of a oneOf is [\"null\", a record of its name], by default "
                    "null",
                    schema->name, field->name);
    }
}

/* What lets a record in has to say how large it may be. */
static void check_bounded(const struct schema *schema)
{
    for (size_t i = 0; i < schema->n; i++) {
        const struct schema *type = schema_value(schema->fields[i].type);
        struct schema_bounds bounds = gen_bounds(&schema->fields[i].bounds, type);
        bool is_text = type->kind == SCHEMA_STRING || type->kind == SCHEMA_BYTES;

        if ((is_text || type->kind == SCHEMA_ARRAY) && !bounds.has_most)
            die("%s.%s: has no %s, and no client may send what has no end", schema->name,
                schema->fields[i].name, is_text ? "maxBytes" : "maxItems");
        if (type->kind == SCHEMA_ARRAY)
            type = type->items;
        if ((type->kind == SCHEMA_STRING || type->kind == SCHEMA_BYTES) && !is_text &&
            !type->bounds.has_most)
            die("%s.%s: its items have no maxBytes", schema->name, schema->fields[i].name);
        if (type->kind == SCHEMA_RECORD)
            check_bounded(type);
    }
}

static void collect(const struct schema *schema, int depth)
{
    if (depth > CODEC_DEPTH_MAX)
        die("nested more than %d records deep", CODEC_DEPTH_MAX);
    if (schema->kind == SCHEMA_ARRAY)
        collect(schema->items, depth);
    for (size_t i = 0; schema->kind == SCHEMA_UNION && i < schema->n; i++)
        collect(schema->branches[i], depth);
    if (!schema->name)
        return;
    for (size_t i = 0; i < types_n; i++)
        if (strcmp(SNAKE(types[i]->name), SNAKE(schema->name)) == 0) {
            check_same(types[i], schema);
            return;
        }
    for (size_t i = 0; schema->kind == SCHEMA_RECORD && i < schema->n; i++) {
        check_field(schema->fields[i].name, schema->fields[i].type);
        collect(schema->fields[i].type, depth + 1);
    }
    if (schema->kind == SCHEMA_RECORD && schema->n == 0)
        die("%s: a record has fields", schema->name);
    if (schema->kind == SCHEMA_RECORD)
        check_one_of(schema);
    if (schema->kind == SCHEMA_RECORD && schema->bounded)
        check_bounded(schema);
    if (types_n == TYPES_MAX)
        die("more than %d types", TYPES_MAX);
    types[types_n++] = schema;
}

/* Our own schema of that record; NULL: it is none of ours. */
static const struct schema *own_root(const struct schema *schema)
{
    for (size_t i = 0; i < own_n; i++)
        if (strcmp(schema_root(docs[i])->full_name, schema->full_name) == 0)
            return schema_root(docs[i]);
    return NULL;
}

/* ---- the header
 * ---------------------------------------------------------------------------------- */

static struct gen_name c_type(const struct schema *type)
{
    static const char *const plain[] = {
        "", "bool", "int32_t", "int64_t", "struct cq_span", "struct cq_span", "struct cq_id"
    };
    struct gen_name name;

    if (type->kind == SCHEMA_RECORD || type->kind == SCHEMA_ENUM)
        snprintf(name.s, sizeof name.s, "%s %.100s", type->kind == SCHEMA_ENUM ? "enum" : "struct",
                 SNAKE(type->name));
    else
        snprintf(name.s, sizeof name.s, "%s", plain[type->kind]);
    return name;
}

static void say_enum(const struct schema *schema)
{
    say_doc("\n/** ", schema->doc, " */");
    say("\nenum %s {\n", SNAKE(schema->name));
    for (size_t i = 1; i < schema->n; i++)
        say("    %s_%s,\n", UPPER(schema->name), schema->symbols[i]);
    say("    %s_N\n};\n/** As JSON has them. */\nextern const char *const %s_words[%s_N];\n",
        UPPER(schema->name), SNAKE(schema->name), UPPER(schema->name));
}

/* The symbols as they are for the codec, and in lower case for JSON. */
static void say_symbols(const struct schema *schema)
{
    say("\nstatic const char *const %s_symbols[] = {", SNAKE(schema->name));
    for (size_t i = 1; i < schema->n; i++)
        say(" \"%s\",", schema->symbols[i]);
    say(" };\nconst char *const %s_words[%s_N] = {", SNAKE(schema->name), UPPER(schema->name));
    for (size_t i = 1; i < schema->n; i++) {
        say(" \"");
        for (const char *p = schema->symbols[i]; *p; p++)
            say("%c", tolower((unsigned char)*p));
        say("\",");
    }
    say(" };\n");
}

static void say_kinds(const struct schema *schema)
{
    for (size_t i = 0; i < schema->n; i += member_fields(schema, i)) {
        const struct schema_field *field = &schema->fields[i];
        size_t n = member_fields(schema, i);

        if (!field->one_of[0])
            continue;
        say("\nenum %s_%s_kind {\n", SNAKE(schema->name), SNAKE(field->one_of));
        for (size_t choice = 0; choice < n; choice++)
            say("    %s_%s,\n", UPPER(schema->name), UPPER(field[choice].name));
        say("    %s_%s_KIND_N\n};\n", UPPER(schema->name), UPPER(field->one_of));
        say("/** X(struct, constant, name of the record) for each. */\n#define %s_%s_KINDS(X)",
            UPPER(schema->name), UPPER(field->one_of));
        for (size_t choice = 0; choice < n; choice++)
            say(" \\\n    X(%s, %s_%s, \"%s\")", SNAKE(field[choice].name), UPPER(schema->name),
                UPPER(field[choice].name), field[choice].type->branches[1]->name);
        say("\n");
        gen_frame_lists(out, schema, field, n);
    }
}

static void say_choices(const struct schema *schema, const struct schema_field *choices, size_t n)
{
    struct gen_name field = gen_snake(choices->one_of);

    say("    struct {\n        enum %s_%s_kind kind;\n        union {\n", SNAKE(schema->name),
        field.s);
    for (size_t k = 0; k < n; k++)
        say("            struct %s %s;\n", SNAKE(choices[k].name), SNAKE(choices[k].name));
    say("        } u;\n    } %s;", field.s);
    say_doc(" /* ", choices->doc, " */");
    say("\n");
}

static void say_field(const struct schema_field *field)
{
    const struct schema *type = schema_value(field->type);
    struct gen_name name = gen_snake(field->name);

    if (schema_is_nullable(field->type))
        say("    bool has_%s;\n", name.s);
    if (type->kind == SCHEMA_ARRAY) {
        say("    %s *%s;", c_type(type->items).s, name.s);
        say_doc(" /* ", field->doc, " */");
        say("\n    size_t %s_n;\n", name.s);
        return;
    }
    say("    %s %s;", c_type(type).s, name.s);
    say_doc(" /* ", field->doc, " */");
    say("\n");
}

/* A constant for each limit that has a number, so that code need not say it again. */
static void say_limits(void)
{
    say("\n");
    for (size_t i = 0; i < types_n; i++) {
        const struct schema *schema = types[i];

        for (size_t member = 0; schema->kind == SCHEMA_RECORD && member < schema->n; member++) {
            const struct schema *type = schema_value(schema->fields[member].type);
            struct gen_name name;

            if (type->kind == SCHEMA_ARRAY && type->items->bounds.alias)
                gen_limits(out, &type->items->bounds, type->items,
                           UPPER(type->items->bounds.alias));
            if (type->bounds.alias)
                gen_limits(out, &type->bounds, type, UPPER(type->bounds.alias));
            snprintf(name.s, sizeof name.s, "%.60s_%.60s", UPPER(schema->name),
                     UPPER(schema->fields[member].name));
            gen_limits(out, &schema->fields[member].bounds, type, name.s);
        }
    }
}

static void say_header(void)
{
    say("/* SPDX-License-Identifier: MIT */\n/* Printed by schemas/gen from the .avsc files. Do "
        "not edit. */\n"
        "#pragma once\n\n#include \"lib/base/id.h\"\n#include \"lib/base/span.h\"\n\nstruct "
        "codec_record;\nstruct json_members;\n");
    for (size_t i = 0; i < types_n; i++) {
        const struct schema *schema = types[i];

        if (schema->kind == SCHEMA_ENUM)
            say_enum(schema);
        if (schema->kind != SCHEMA_RECORD)
            continue;
        say_kinds(schema);
        say_doc("\n/** ", schema->doc, " */");
        say("\nstruct %s {\n", SNAKE(schema->name));
        for (size_t member = 0; member < schema->n; member += member_fields(schema, member))
            if (schema->fields[member].one_of[0])
                say_choices(schema, &schema->fields[member], member_fields(schema, member));
            else
                say_field(&schema->fields[member]);
        say("};\nextern const struct codec_record %s_codec;\n", SNAKE(schema->name));
        if (gen_has_frame(schema))
            say("/** Its fields, as frames and bodies have them. */\nextern const struct "
                "json_members %s_members;\n",
                SNAKE(schema->name));
    }
    say_limits();
}

/* ---- the tables
 * ---------------------------------------------------------------------------------- */

static const char *op_word(const struct schema *type)
{
    static const char *const words[] = { "",           "CODEC_BOOL",   "CODEC_INT",
                                         "CODEC_LONG", "CODEC_STRING", "CODEC_BYTES",
                                         "CODEC_ID",   "CODEC_ENUM",   "CODEC_RECORD",
                                         "CODEC_ARRAY" };
    return words[type->kind];
}

/* The members that depend on the type alone. */
static void say_type(const char *rec, const char *field, const struct schema *type)
{
    say(".op = %s", op_word(type));
    if (type->kind == SCHEMA_RECORD)
        say(", .sub.record = &%s_codec", SNAKE(type->name));
    if (type->kind == SCHEMA_ENUM)
        say(", .n = %s_N, .sub.symbols = %s_symbols", UPPER(type->name), SNAKE(type->name));
    if (type->kind == SCHEMA_ARRAY)
        say(", .aux_off = offsetof(struct %s, %s_n), .item_size = sizeof(%s),\n      .item_min = "
            "%zu, .sub.item = "
            "&%s_%s_item",
            rec, field, c_type(type->items).s, schema_min_bytes(type->items), rec, field);
}

/* The members that depend on what the value may be. */
static void say_bound_member(const char *rec, const char *field, const char *what,
                             const struct schema_bounds *own, const struct schema *type)
{
    if (gen_has_bound(own, type))
        say(", .bound = &%s_%s_%s", rec, field, what);
}

static void say_choices_table(const struct schema *schema, const struct schema_field *field,
                              size_t n)
{
    say("static const struct codec_choice %s_%s_choices[] = {\n", SNAKE(schema->name),
        SNAKE(field->one_of));
    for (size_t k = 0; k < n; k++)
        say("    { .name = \"%s\", .record = &%s_codec },\n", field[k].name, SNAKE(field[k].name));
    say("};\n");
}

static void say_helpers(const struct schema *schema)
{
    for (size_t i = 0; i < schema->n; i += member_fields(schema, i)) {
        const struct schema_field *member = &schema->fields[i];
        const struct schema *type = schema_value(member->type);
        struct gen_name rec = gen_snake(schema->name), field = gen_snake(member->name);

        if (member->one_of[0]) {
            say_choices_table(schema, member, member_fields(schema, i));
            continue;
        }
        gen_bound(out, member->name, rec.s, field.s, "bound", &member->bounds, type);
        if (type->kind == SCHEMA_ARRAY) {
            gen_bound(out, member->name, rec.s, field.s, "item_bound", NULL, type->items);
            say("static const struct codec_field %s_%s_item = { ", rec.s, field.s);
            say_type(rec.s, field.s, type->items);
            say_bound_member(rec.s, field.s, "item_bound", NULL, type->items);
            say(" };\n");
        }
        if (member->default_json && member->default_bytes.n) {
            say("static const uint8_t %s_%s_default[] = {", rec.s, field.s);
            for (size_t byte = 0; byte < member->default_bytes.n; byte++)
                say(" %u,", member->default_bytes.p[byte]);
            say(" };\n");
        }
    }
}

static void say_table_field(const struct schema *schema, const struct schema_field *member)
{
    bool nullable = schema_is_nullable(member->type);
    const struct schema *type = schema_value(member->type);
    struct gen_name rec = gen_snake(schema->name), field = gen_snake(member->name);

    say("    { .name = \"%s\", .off = offsetof(struct %s, %s), ", member->name, rec.s, field.s);
    say_type(rec.s, field.s, type);
    say_bound_member(rec.s, field.s, "bound", &member->bounds, type);
    if (nullable)
        say(",\n      .nullable = true, .has_off = offsetof(struct %s, has_%s)", rec.s, field.s);
    if (member->default_json)
        say(",\n      .has_default = true");
    if (member->default_json && member->default_bytes.n)
        say(", .default_p = %s_%s_default, .default_n = %zu", rec.s, field.s,
            member->default_bytes.n);
    say(" },\n");
}

static void say_table_choices(const struct schema *schema, const struct schema_field *choices,
                              size_t n)
{
    struct gen_name rec = gen_snake(schema->name), field = gen_snake(choices->one_of);

    say("    { .name = \"%s\", .op = CODEC_ONE_OF, .off = offsetof(struct %s, %s.u),\n      "
        ".aux_off = offsetof(struct %s, %s.kind), .n = %zu, .sub.choices = %s_%s_choices },\n",
        choices->one_of, rec.s, field.s, rec.s, field.s, n, rec.s, field.s);
}

static void say_record(const struct schema *schema)
{
    cq_auto(buf) struct cq_buf text = { 0 };
    struct gen_name rec = gen_snake(schema->name);
    size_t members_n = 0;

    say("\n");
    say_helpers(schema);
    say("static const struct codec_field %s_fields[] = {\n", rec.s);
    for (size_t i = 0; i < schema->n; i += member_fields(schema, i)) {
        if (schema->fields[i].one_of[0])
            say_table_choices(schema, &schema->fields[i], member_fields(schema, i));
        else
            say_table_field(schema, &schema->fields[i]);
        members_n++;
    }
    say("};\nconst struct codec_record %s_codec = {\n    .name = \"%s\", .fields = %s_fields, "
        ".fields_n = %zu, "
        ".size = sizeof(struct %s), .id = 0x%08x,\n    .json =\n    ",
        rec.s, schema->name, rec.s, members_n, rec.s, schema_id(schema));
    buf_init(&text, SCHEMA_TEXT_MAX);
    schema_write(&text, schema, SCHEMA_WHOLE);
    buf_add_byte(&text, 0);
    if (text.failed)
        die("%s: schema too long", schema->name);
    say_c_string((const char *)text.p);
    say(",\n};\n");
}

static void say_tables(void)
{
    say("/* SPDX-License-Identifier: MIT */\n/* Printed by schemas/gen from the .avsc files. Do "
        "not edit. */\n"
        "#include \"lib/json/members.h\"\n#include \"schemas/bounds.h\"\n#include "
        "\"schemas/records.gen.h\"\n#include \"schemas/table.h\"\n");
    for (size_t i = 0; i < types_n; i++) {
        if (types[i]->kind == SCHEMA_RECORD) {
            say_record(types[i]);
            gen_frame_members(out, types[i]);
        }
        if (types[i]->kind == SCHEMA_ENUM)
            say_symbols(types[i]);
    }
    say("\nconst struct codec_record *const codec_records[] = {\n");
    for (size_t i = 0; i < types_n; i++)
        if (own_root(types[i]))
            say("    &%s_codec,\n", SNAKE(types[i]->name));
    say("    NULL,\n};\n\nconst char *const codec_history[] = {\n");
    for (size_t i = own_n; i < docs_n; i++) {
        const struct schema *schema = schema_root(docs[i]);
        cq_auto(buf) struct cq_buf text = { 0 };

        buf_init(&text, SCHEMA_TEXT_MAX);
        if (schema_id(schema) == schema_id(own_root(schema)))
            continue; /* the version of today, which needs no second reading */
        schema_write(&text, schema, SCHEMA_WHOLE);
        buf_add_byte(&text, 0);
        say("    ");
        say_c_string((const char *)text.p);
        say(",\n");
    }
    say("    NULL,\n};\n");
}

/* ---- files
 * --------------------------------------------------------------------------------------- */

/* The bytes of the file, until the next call. */
static struct cq_span read_file(const char *path)
{
    static char text[SCHEMA_TEXT_MAX + 1];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;

    if (!f || ferror(f))
        die("%s: cannot read", path);
    fclose(f);
    return span_of(text, n);
}

static void load_types(const char *path)
{
    char why[256] = "";

    if (schema_types_parse(read_file(path), &shared, why, sizeof why) != CQ_OK)
        die("%s: %s", path, why);
}

static void load(const char *path)
{
    cq_auto(buf) struct cq_buf whole = { 0 };
    char why[256] = "";

    buf_init(&whole, SCHEMA_TEXT_MAX);
    if (docs_n == FILES_MAX)
        die("%s: too many files", path);
    if (schema_expand(&whole, read_file(path), shared, SCHEMA_FOR_TOOLS, why, sizeof why) !=
            CQ_OK ||
        schema_parse(buf_span(&whole), &docs[docs_n], why, sizeof why) != CQ_OK)
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
        die("use: schemas_gen OUT.h OUT.c [--types FILE] FILE.avsc... [--history FILE.avsc...]");
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--types") == 0 && i + 1 < argc) {
            load_types(argv[++i]);
            continue;
        }
        if (strcmp(argv[i], "--history") == 0) {
            history = true;
            schema_types_free(CQ_TAKE(shared)); /* a version of history is complete by itself */
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
    schema_types_free(shared);
    return 0;
}
