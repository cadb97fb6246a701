/* SPDX-License-Identifier: MIT */
#include "schemas/gen_frames.h"

#include "schemas/gen_bounds.h"
#include "schemas/gen_names.h"

#include <inttypes.h>
#include <stdlib.h>

enum { RULE_MAX = 512 };

bool gen_has_frame(const struct schema *schema)
{
    return schema->kind == SCHEMA_RECORD && (schema->asked[0] || schema->told[0]);
}

/* How JSON has a value of type `t`. */
static const char *kind_of(const struct schema *schema, const struct schema_field *field,
                           const struct schema *type)
{
    switch (type->kind) {
    case SCHEMA_INT:
        return "JSON_INT";
    case SCHEMA_LONG:
        return "JSON_NUMBER";
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
        return "JSON_TEXT";
    case SCHEMA_FIXED:
        return "JSON_ID";
    case SCHEMA_ARRAY:
        if (type->items->kind == SCHEMA_FIXED)
            return "JSON_IDS";
        if (type->items->kind == SCHEMA_STRING || type->items->kind == SCHEMA_BYTES)
            return "JSON_TEXTS";
        break;
    case SCHEMA_NULL:
    case SCHEMA_BOOLEAN:
    case SCHEMA_ENUM:
    case SCHEMA_RECORD:
    case SCHEMA_UNION:
        break;
    }
    fprintf(stderr,
            "schemas_gen: %s.%s: a frame made from a schema has texts, ids, numbers, and lists of "
            "texts or ids; write this one in schemas/frame.c and edge/ws/client_frame.c\n",
            schema->name, field->name);
    exit(1);
}

static void say_member(FILE *out, const struct schema *schema, const struct schema_field *field)
{
    const struct schema *type = schema_value(field->type);
    struct schema_bounds bounds = gen_bounds(&field->bounds, type);
    bool may_lack = schema_is_nullable(field->type);
    char rule[RULE_MAX];

    gen_why(rule, sizeof rule, field->name, &field->bounds, type);
    fprintf(out, "    %s(\"%s\", %s, struct %s, %s", may_lack ? "JSON_OPTIONAL" : "JSON_MEMBER",
            field->name, kind_of(schema, field, type), SNAKE(schema->name), SNAKE(field->name));
    if (may_lack)
        fprintf(out, ", has_%s", SNAKE(field->name));
    if (type->kind == SCHEMA_ARRAY)
        fprintf(out, ",\n                .n_off = offsetof(struct %s, %s_n)", SNAKE(schema->name),
                SNAKE(field->name));
    if (bounds.has_least)
        fprintf(out, ", .least = INT64_C(%" PRIi64 ")", bounds.least);
    if (bounds.has_most)
        fprintf(out, ", .most = INT64_C(%" PRIi64 ")", bounds.most);
    else if (type->kind == SCHEMA_INT || type->kind == SCHEMA_LONG)
        fputs(", .most = INT64_MAX", out);
    fprintf(out, ",\n                .rule = \"%s\"),\n", rule);
}

void gen_frame_members(FILE *out, const struct schema *schema)
{
    if (!gen_has_frame(schema))
        return;
    fprintf(out, "static const struct json_member %s_member_rows[] = {\n", SNAKE(schema->name));
    for (size_t i = 0; i < schema->n; i++)
        say_member(out, schema, &schema->fields[i]);
    fprintf(out, "};\nconst struct json_members %s_members = JSON_MEMBERS(%s_member_rows);\n",
            SNAKE(schema->name), SNAKE(schema->name));
}

static void say_list(FILE *out, const struct schema *schema, const struct schema_field *fields,
                     size_t n, bool is_asked)
{
    fprintf(out, "/** X(struct, constant, frame) for each that has a frame %s. */\n",
            is_asked ? "to be asked for by" : "to be told by");
    fprintf(out, "#define %s_%s_%s(X)", UPPER(schema->name), UPPER(fields->one_of),
            is_asked ? "ASKED" : "TOLD");
    for (size_t i = 0; i < n; i++) {
        const struct schema *fact = schema_value(fields[i].type);
        const char *word = is_asked ? fact->asked : fact->told;

        if (word[0])
            fprintf(out, " \\\n    X(%s, %s_%s, \"%s\")", SNAKE(fields[i].name),
                    UPPER(schema->name), UPPER(fields[i].name), word);
    }
    fputc('\n', out);
}

void gen_frame_lists(FILE *out, const struct schema *schema, const struct schema_field *fields,
                     size_t n)
{
    say_list(out, schema, fields, n, true);
    say_list(out, schema, fields, n, false);
}
