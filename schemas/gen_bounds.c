/* SPDX-License-Identifier: MIT */
#include "schemas/gen_bounds.h"

#include "schemas/bounds.h"

#include <inttypes.h>
#include <stdlib.h>

enum { NAMES_MAX = 256, NAME_BYTES_MAX = 128, WHY_MAX = 512 };

/* Word of the attribute, constant, and what a person reads. */
static const struct {
    const char *word, *constant, *why;
} forms[] = {
    [BOUNDS_FORM_ANY] = { "any", "BOUNDS_FORM_ANY", "" },
    [BOUNDS_FORM_TEXT] = { "text", "BOUNDS_FORM_TEXT", " of UTF-8 without NUL" },
    [BOUNDS_FORM_WORD] = { "word", "BOUNDS_FORM_WORD", " of printable ASCII without spaces" },
    [BOUNDS_FORM_TOKEN] = { "token", "BOUNDS_FORM_TOKEN",
                            " of printable ASCII without spaces, quotes, slashes and backslashes" },
    [BOUNDS_FORM_NAME] = { "name", "BOUNDS_FORM_NAME",
                           " of UTF-8 without control characters, one of them visible" },
    [BOUNDS_FORM_LABEL] = { "label", "BOUNDS_FORM_LABEL", " of UTF-8 without control characters" },
};

_Static_assert(ARRAY_LEN(forms) == BOUNDS_FORM_N, "a row for each form");

static bool is_text(const struct schema *type)
{
    return type->kind == SCHEMA_STRING || type->kind == SCHEMA_BYTES;
}

struct schema_bounds gen_bounds(const struct schema_bounds *own, const struct schema *type)
{
    struct schema_bounds bounds = type->bounds;

    if (!own || !own->given)
        return bounds;
    if (own->has_least) {
        bounds.has_least = true;
        bounds.least = own->least;
    }
    if (own->has_most) {
        bounds.has_most = true;
        bounds.most = own->most;
    }
    if (own->code_points)
        bounds.code_points = own->code_points;
    if (own->form)
        bounds.form = own->form;
    bounds.not_zero |= own->not_zero;
    bounds.given = true;
    return bounds;
}

bool gen_has_bound(const struct schema_bounds *own, const struct schema *type)
{
    return type->kind == SCHEMA_ENUM || gen_bounds(own, type).given;
}

/* The form that `b` names, or that goes without saying. */
static size_t form_of(const char *name, const struct schema_bounds *bounds,
                      const struct schema *type)
{
    size_t form = type->kind == SCHEMA_STRING ? BOUNDS_FORM_TEXT : BOUNDS_FORM_ANY;

    if (!bounds->form)
        return form;
    for (form = 0; form < ARRAY_LEN(forms); form++)
        if (strcmp(forms[form].word, bounds->form) == 0)
            return form;
    fprintf(stderr,
            "schemas_gen: %s: there is no form \"%s\" (any, text, word, token, name, label)\n",
            name, bounds->form);
    exit(1);
}

/* `field: 1 to 400 bytes, …` */
static void why(char *to, size_t to_n, const char *name, const struct schema_bounds *bounds,
                const struct schema *type, size_t form)
{
    const char *unit = is_text(type) ? " bytes" : type->kind == SCHEMA_ARRAY ? " items" : "";
    struct cq_buf text;

    buf_init(&text, to_n);
    buf_printf(&text, "%s: ", name);
    if (type->kind == SCHEMA_ENUM)
        for (size_t i = 1; i < type->n; i++)
            buf_printf(&text, "%s%s", i == 1 ? "one of " : ", ", type->symbols[i]);
    else if (bounds->not_zero)
        buf_add_str(&text, "an id that is not zero");
    else if (type->kind == SCHEMA_FIXED)
        buf_add_str(&text, "an id");
    else if (!unit[0] && !bounds->has_least && !bounds->has_most)
        buf_add_str(&text, "a number");
    else if (bounds->has_least && bounds->has_most && bounds->least == bounds->most)
        buf_printf(&text, "%" PRIi64 "%s", bounds->least, unit);
    else if (bounds->has_least && bounds->has_most && (bounds->least > 0 || !unit[0]))
        buf_printf(&text, "%" PRIi64 " to %" PRIi64 "%s", bounds->least, bounds->most, unit);
    else if (bounds->has_most)
        buf_printf(&text, "at most %" PRIi64 "%s", bounds->most, unit);
    else
        buf_printf(&text, "at least %" PRIi64 "%s", bounds->least, unit);
    if (is_text(type))
        buf_add_str(&text, forms[form].why);
    if (bounds->code_points)
        buf_printf(&text, ", at most %" PRIi64 " characters", bounds->code_points);
    buf_add_byte(&text, 0);
    if (text.failed)
        exit(1);
    memcpy(to, text.p, text.n);
    buf_release(&text);
}

void gen_why(char *to, size_t to_n, const char *name, const struct schema_bounds *own,
             const struct schema *type)
{
    struct schema_bounds bounds = gen_bounds(own, type);

    why(to, to_n, name, &bounds, type, form_of(name, &bounds, type));
}

void gen_bound(FILE *out, const char *name, const char *rec, const char *field, const char *what,
               const struct schema_bounds *own, const struct schema *type)
{
    struct schema_bounds bounds = gen_bounds(own, type);
    size_t form = form_of(name, &bounds, type);
    char text[WHY_MAX];

    if (!gen_has_bound(own, type))
        return;
    why(text, sizeof text, name, &bounds, type, form);
    fprintf(out,
            "static const struct codec_bound %s_%s_%s = {\n    .why = \"%s\",\n    .least = ", rec,
            field, what, text);
    if (bounds.has_least)
        fprintf(out, "INT64_C(%" PRIi64 ")", bounds.least);
    else
        fputs(is_text(type) || type->kind == SCHEMA_ARRAY ? "0" : "INT64_MIN", out);
    if (bounds.has_most)
        fprintf(out, ", .most = INT64_C(%" PRIi64 ")", bounds.most);
    else
        fputs(", .most = INT64_MAX", out);
    fprintf(out, ", .code_points = %" PRIi64 ", .form = %s, .not_zero = %s,\n};\n",
            bounds.code_points, forms[form].constant, bounds.not_zero ? "true" : "false");
}

/* Whether the name is new, and it is no longer. */
static bool first_time(const char *name)
{
    static char names[NAMES_MAX][NAME_BYTES_MAX];
    static size_t names_n;

    for (size_t i = 0; i < names_n; i++)
        if (strcmp(names[i], name) == 0)
            return false;
    if (names_n == NAMES_MAX)
        exit(1);
    snprintf(names[names_n++], NAME_BYTES_MAX, "%s", name);
    return true;
}

/* The number, and the same for the middle of a string literal. */
static void say_limit(FILE *out, const char *name, const char *what, int64_t n)
{
    fprintf(out, "enum { LIMIT_%s%s = %" PRIi64 " };\n#define LIMIT_%s%s_TEXT \"%" PRIi64 "\"\n",
            name, what, n, name, what, n);
}

void gen_limits(FILE *out, const struct schema_bounds *bounds, const struct schema *type,
                const char *name)
{
    bool is_number = type->kind == SCHEMA_INT || type->kind == SCHEMA_LONG;

    if (!bounds->given || !first_time(name))
        return;
    if (is_number) { /* may be more than an enumerator holds */
        if (bounds->has_most)
            fprintf(out, "#define LIMIT_%s_MAX INT64_C(%" PRIi64 ")\n", name, bounds->most);
        return;
    }
    if (bounds->has_most)
        say_limit(out, name, is_text(type) ? "_BYTES" : "", bounds->most);
    if (bounds->has_least && bounds->least > 1)
        say_limit(out, name, is_text(type) ? "_LEAST_BYTES" : "_LEAST", bounds->least);
    if (bounds->code_points)
        say_limit(out, name, "_CHARS", bounds->code_points);
}
