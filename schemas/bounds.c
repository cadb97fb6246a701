/* SPDX-License-Identifier: MIT */
#include "schemas/bounds.h"

#include "schemas/records.gen.h"
#include "schemas/table.h"

bool bounds_word(struct cq_span span, bool token)
{
    for (size_t i = 0; i < span.n; i++)
        if (span.p[i] <= ' ' || span.p[i] > '~' ||
            (token && (span.p[i] == '"' || span.p[i] == '\\' || span.p[i] == '/')))
            return false;
    return true;
}

/* In JSON a control takes six bytes, and nobody writes one. */
bool bounds_written(struct cq_span span)
{
    for (size_t i = 0; i < span.n; i++)
        if ((unsigned char)span.p[i] < ' ' && !memchr("\n\t\r", span.p[i], 3))
            return false;
    return span_is_utf8(span);
}

static bool form_good(enum bounds_form form, struct cq_span span, const struct bounds_forms *forms)
{
    switch (form) {
    case BOUNDS_FORM_ANY:
        return true;
    case BOUNDS_FORM_TEXT:
        return span_is_utf8(span) && !memchr(span.p, 0, span.n);
    case BOUNDS_FORM_WORD:
    case BOUNDS_FORM_TOKEN:
        return bounds_word(span, form == BOUNDS_FORM_TOKEN);
    case BOUNDS_FORM_NAME:
        return span_is_utf8(span) && forms->name(span);
    case BOUNDS_FORM_LABEL:
        return span_is_utf8(span) && forms->label(span);
    case BOUNDS_FORM_N:
        break;
    }
    return false;
}

static bool text_good(const struct codec_bound *bound, struct cq_span span,
                      const struct bounds_forms *forms)
{
    if ((int64_t)span.n < bound->least || (int64_t)span.n > bound->most)
        return false;
    return !span.n || (form_good((enum bounds_form)bound->form, span, forms) &&
                       (bound->code_points == 0 || span_code_points(span) <= bound->code_points));
}

static bool number_good(const struct codec_bound *bound, int64_t n)
{
    return n >= bound->least && n <= bound->most;
}

static const char *check_record(const struct codec_record *codec, const uint8_t *base,
                                const struct bounds_forms *forms);

static const char *check_array(const struct codec_field *field, const uint8_t *base,
                               const struct bounds_forms *forms);

/* The value of `f` at `at`, of a field without bounds or within them. */
static const char *check_value(const struct codec_field *field, const uint8_t *at,
                               const struct bounds_forms *forms)
{
    const struct codec_bound *bound = field->bound;
    bool good = true;

    switch ((enum codec_op)field->op) {
    case CODEC_STRING:
    case CODEC_BYTES:
        good = !bound || text_good(bound, *(const struct cq_span *)(const void *)at, forms);
        break;
    case CODEC_INT:
        good = !bound || number_good(bound, *(const int32_t *)(const void *)at);
        break;
    case CODEC_LONG:
        good = !bound || number_good(bound, *(const int64_t *)(const void *)at);
        break;
    case CODEC_ID:
        good = !bound || !bound->not_zero || !id_is_zero(*(const struct cq_id *)(const void *)at);
        break;
    case CODEC_ENUM:
        good = *(const uint32_t *)(const void *)at < field->n;
        break;
    case CODEC_RECORD:
        return check_record(field->sub.record, at, forms);
    case CODEC_BOOL:
    case CODEC_ARRAY:
    case CODEC_ONE_OF: /* no values by themselves */
        break;
    }
    return good ? NULL : bound ? bound->why : field->name;
}

static const char *check_array(const struct codec_field *field, const uint8_t *base,
                               const struct bounds_forms *forms)
{
    const uint8_t *items = *(const uint8_t *const *)(const void *)(base + field->off);
    size_t n = *(const size_t *)(const void *)(base + field->aux_off);
    const char *why = NULL;

    if (field->bound && !number_good(field->bound, (int64_t)n))
        return field->bound->why;
    for (size_t i = 0; i < n && !why; i++)
        why = check_value(field->sub.item, items + i * field->item_size, forms);
    return why;
}

static const char *check_one_of(const struct codec_field *field, const uint8_t *base,
                                const struct bounds_forms *forms)
{
    uint32_t kind = *(const uint32_t *)(const void *)(base + field->aux_off);

    return kind < field->n ? check_record(field->sub.choices[kind].record, base + field->off, forms)
                           : field->name;
}

static const char *check_record(const struct codec_record *codec, const uint8_t *base,
                                const struct bounds_forms *forms)
{
    const char *why = NULL;

    for (uint32_t i = 0; i < codec->fields_n && !why; i++) {
        const struct codec_field *field = &codec->fields[i];

        if (field->nullable && !*(const bool *)(base + field->has_off))
            continue;
        if (field->op == CODEC_ARRAY)
            why = check_array(field, base, forms);
        else if (field->op == CODEC_ONE_OF)
            why = check_one_of(field, base, forms);
        else
            why = check_value(field, base + field->off, forms);
    }
    return why;
}

const char *bounds_check(const struct codec_record *codec, const void *record,
                         const struct bounds_forms *forms)
{
    return check_record(codec, record, forms);
}
