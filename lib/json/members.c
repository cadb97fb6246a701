/* SPDX-License-Identifier: MIT */
#include "lib/json/members.h"

#include "lib/base/assert.h"
#include "lib/base/hash.h"
#include "lib/json/write.h"

#include <stdio.h>

enum { LISTS_MAX = 256 * 1024, PARTS_OF_ONE = 10000000, PARTS_DIGITS = 7 };

static const void *at(const void *base, size_t off)
{
    return (const uint8_t *)base + off;
}

/* ---- writing -------------------------------------------------------------------------- */

static void write_list(struct cq_buf *out, const struct json_member *member, const void *base)
{
    const uint8_t *items = *(const uint8_t *const *)at(base, member->off);
    size_t n = *(const size_t *)at(base, member->n_off);

    out_key(out, member->name);
    buf_add_byte(out, '[');
    for (size_t i = 0; i < n; i++) {
        buf_add_str(out, i ? ",{" : "{");
        json_members_write(out, member->items, items + i * member->item_size);
        buf_add_byte(out, '}');
    }
    buf_add_byte(out, ']');
}

static void write_object(struct cq_buf *out, const struct json_member *member, const void *value)
{
    out_key(out, member->name);
    buf_add_byte(out, '{');
    json_members_write(out, member->items, value);
    buf_add_byte(out, '}');
}

static void write_texts(struct cq_buf *out, const struct json_member *member, const void *base)
{
    const struct cq_span *texts = *(const struct cq_span *const *)at(base, member->off);
    size_t n = *(const size_t *)at(base, member->n_off);

    out_key(out, member->name);
    buf_add_byte(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_byte(out, ',');
        json_put_text(out, texts[i]);
    }
    buf_add_byte(out, ']');
}

/* As few digits as say the same. */
static void write_parts(struct cq_buf *out, const char *name, int32_t parts)
{
    unsigned whole = (unsigned)(parts < 0 ? -(int64_t)parts : parts);
    unsigned rest = whole % PARTS_OF_ONE;
    int digits = rest ? PARTS_DIGITS : 0;

    for (; digits && rest % 10 == 0; digits--)
        rest /= 10;
    out_key(out, name);
    buf_printf(out, "%s%u", parts < 0 ? "-" : "", whole / PARTS_OF_ONE);
    if (digits)
        buf_printf(out, ".%0*u", digits, rest);
}

static void write_base64(struct cq_buf *out, const char *name, struct cq_span bytes)
{
    size_t n = 4 * ((bytes.n + 2) / 3);
    uint8_t *to;

    out_key(out, name);
    buf_add_byte(out, '"');
    to = buf_reserve(out, n + 1); /* and a NUL, which the quote takes the place of */
    if (to)
        out->n += base64_format(bytes.p, bytes.n, (char *)to);
    buf_add_byte(out, '"');
}

static void write_ints(struct cq_buf *out, const struct json_member *member, const void *base)
{
    const int32_t *ints = *(const int32_t *const *)at(base, member->off);
    size_t n = *(const size_t *)at(base, member->n_off);

    out_key(out, member->name);
    buf_add_byte(out, '[');
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%d", i ? "," : "", (int)ints[i]);
    buf_add_byte(out, ']');
}

static const char *word_of(const struct json_words *words, unsigned value)
{
    return value < words->n ? words->v[value] : "";
}

static void write_member(struct cq_buf *out, const struct json_member *member, const void *base)
{
    const void *value = at(base, member->off);

    switch (member->kind) {
    case JSON_TEXT:
        out_text(out, member->name, *(const struct cq_span *)value);
        break;
    case JSON_ID:
        out_id(out, member->name, *(const struct cq_id *)value);
        break;
    case JSON_NUMBER:
        out_i64(out, member->name, *(const int64_t *)value);
        break;
    case JSON_INT:
        out_i64(out, member->name, *(const int32_t *)value);
        break;
    case JSON_BASE64:
        write_base64(out, member->name, *(const struct cq_span *)value);
        break;
    case JSON_PARTS:
        write_parts(out, member->name, *(const int32_t *)value);
        break;
    case JSON_BOOL:
        out_bool(out, member->name, *(const bool *)value);
        break;
    case JSON_WORD:
        out_word(out, member->name, word_of(member->words, *(const unsigned *)value));
        break;
    case JSON_SOME:
        out_bool(out, member->name, ((const struct cq_span *)value)->n != 0);
        break;
    case JSON_LIST:
        write_list(out, member, base);
        break;
    case JSON_IDS:
        out_ids(out, member->name, *(const struct cq_id *const *)value,
                *(const size_t *)at(base, member->n_off));
        break;
    case JSON_WORDS:
        out_words(out, member->name, member->words->v, member->words->n);
        break;
    case JSON_OBJECT:
        write_object(out, member, value);
        break;
    case JSON_TEXTS:
        write_texts(out, member, base);
        break;
    case JSON_INTS:
        write_ints(out, member, base);
        break;
    case JSON_SPREAD:
        json_members_write(out, member->items, value);
        break;
    }
}

/* A list that is optional needs no flag beside its count. */
static bool is_there(const struct json_member *member, const void *base)
{
    if (member->kind == JSON_IDS && member->optional)
        return *(const size_t *)at(base, member->n_off) != 0;
    return !member->has_off || *(const bool *)at(base, member->has_off - 1);
}

void json_members_write(struct cq_buf *out, const struct json_members *members, const void *base)
{
    for (size_t i = 0; i < members->n; i++)
        if (is_there(&members->v[i], base))
            write_member(out, &members->v[i], base);
}

/* ---- reading -------------------------------------------------------------------------- */

bool json_word_find(const struct json_words *words, struct cq_span text, unsigned *ret)
{
    for (unsigned i = 0; i < words->n; i++)
        if (span_eq_str(text, words->v[i])) {
            *ret = i;
            return true;
        }
    return false;
}

static bool read_word(const struct json *json, const char *name, const struct json_words *words,
                      unsigned *ret)
{
    struct cq_span text;

    return json_get_text(json, name, &text) && json_word_find(words, text, ret);
}

static bool read_text(const struct json *json, const struct json_member *member, const char *name,
                      struct cq_span *ret)
{
    struct cq_span text;

    if (!json_get_text(json, name, &text) || (member->good && !member->good(text)))
        return false;
    if (member->most && ((int64_t)text.n < member->least || (int64_t)text.n > member->most))
        return false;
    *ret = text;
    return true;
}

static bool read_number(const struct json *json, const struct json_member *member, const char *name,
                        int64_t *ret)
{
    int64_t n;

    if (!json_get_i64(json, name, &n) || n < member->least || n > member->most)
        return false;
    *ret = n;
    return true;
}

/* What is beyond the seventh decimal is rounded. */
static bool read_parts(const struct json *json, const struct json_member *member, const char *name,
                       int32_t *ret)
{
    double n;

    if (!json_get_real(json, name, &n))
        return false;
    n *= PARTS_OF_ONE;
    if (!(n >= (double)member->least && n <= (double)member->most))
        return false;
    *ret = (int32_t)(n < 0 ? n - 0.5 : n + 0.5);
    return true;
}

static bool has_lists(struct cq_arena **lists)
{
    if (!*lists)
        *lists = arena_new(LISTS_MAX);
    return *lists != NULL;
}

static bool read_base64(const struct json *json, const struct json_member *member, const char *name,
                        struct cq_span *ret, struct cq_arena **lists)
{
    struct cq_span text;
    uint8_t *bytes;
    size_t n;

    if (!json_get_text(json, name, &text) || (int64_t)text.n > 4 * (member->most + 2) / 3 + 3 ||
        !has_lists(lists) || !(bytes = arena_alloc(*lists, text.n + 1)) ||
        !base64_parse(text, bytes, text.n, &n) || (int64_t)n < member->least ||
        (int64_t)n > member->most)
        return false;
    *ret = span_of(bytes, n);
    return true;
}

/* The array `name`; NULL when it is none, or has too few or too many items. */
static const struct json *get_array(const struct json *json, const struct json_member *member,
                                    const char *name, struct cq_arena **lists)
{
    const struct json *array = json_get(json, name);
    int64_t n = (int64_t)json_count(array);

    if (!json_is_array(array) || n < member->least || n > member->most)
        return NULL;
    return has_lists(lists) ? array : NULL;
}

static bool read_ids(const struct json *json, const struct json_member *member, const char *name,
                     uint8_t *base, struct cq_arena **lists)
{
    const struct json *array = get_array(json, member, name, lists);
    size_t n = json_count(array);
    struct cq_id *ids = array ? ARENA_ARRAY(*lists, struct cq_id, n + 1) : NULL;

    if (!ids)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!json_id(json_at(array, i), &ids[i]))
            return false;
    *(struct cq_id **)(void *)(base + member->off) = ids;
    *(size_t *)(void *)(base + member->n_off) = n;
    return true;
}

static bool read_texts(const struct json *json, const struct json_member *member, const char *name,
                       uint8_t *base, struct cq_arena **lists)
{
    const struct json *array = get_array(json, member, name, lists);
    size_t n = json_count(array);
    struct cq_span *texts = array ? ARENA_ARRAY(*lists, struct cq_span, n + 1) : NULL;

    if (!texts)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!json_text(json_at(array, i), &texts[i]))
            return false;
    *(struct cq_span **)(void *)(base + member->off) = texts;
    *(size_t *)(void *)(base + member->n_off) = n;
    return true;
}

static bool read_ints(const struct json *json, const struct json_member *member, const char *name,
                      uint8_t *base, struct cq_arena **lists)
{
    const struct json *array = get_array(json, member, name, lists);
    size_t n = json_count(array);
    int32_t *ints = array ? ARENA_ARRAY(*lists, int32_t, n + 1) : NULL;
    int64_t value;

    if (!ints)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!json_i64(json_at(array, i), &value) || value < 0 || value > member->each_most)
            return false;
        ints[i] = (int32_t)value;
    }
    *(int32_t **)(void *)(base + member->off) = ints;
    *(size_t *)(void *)(base + member->n_off) = n;
    return true;
}

static const struct json_member *first_bad(const struct json *json,
                                           const struct json_members *members, void *base,
                                           struct cq_arena **lists);

static bool read_object(const struct json *json, const struct json_member *member, void *to,
                        struct cq_arena **lists)
{
    return json_is_object(json) && !first_bad(json, member->items, to, lists);
}

static bool read_member(const struct json *json, const struct json_member *member, const char *name,
                        void *base, struct cq_arena **lists)
{
    void *to = (uint8_t *)base + member->off;
    int64_t n;

    switch (member->kind) {
    case JSON_TEXT:
        return read_text(json, member, name, to);
    case JSON_ID:
        return json_get_id(json, name, to);
    case JSON_NUMBER:
        return read_number(json, member, name, to);
    case JSON_INT:
        if (!read_number(json, member, name, &n) || n != (int32_t)n)
            return false;
        *(int32_t *)to = (int32_t)n;
        return true;
    case JSON_BASE64:
        return read_base64(json, member, name, to, lists);
    case JSON_PARTS:
        return read_parts(json, member, name, to);
    case JSON_BOOL:
        return json_get_bool(json, name, to);
    case JSON_WORD:
        return read_word(json, name, member->words, to);
    case JSON_IDS:
        return read_ids(json, member, name, base, lists);
    case JSON_TEXTS:
        return read_texts(json, member, name, base, lists);
    case JSON_INTS:
        return read_ints(json, member, name, base, lists);
    case JSON_OBJECT:
        return read_object(json_get(json, name), member, to, lists);
    case JSON_SOME:
    case JSON_LIST:
    case JSON_WORDS:
    case JSON_SPREAD: /* first_bad() has it */
        break;
    }
    CQ_ASSERT(member->kind == JSON_SOME || member->kind == JSON_LIST || member->kind == JSON_WORDS,
              member->kind);
    return false;
}

/* Read the names that are there. `name` counts for more than `also`, and so is read last. */
static bool read_names(const struct json *json, const struct json_member *member, void *base,
                       struct cq_arena **lists)
{
    bool has_name = json_get(json, member->name),
         has_also = member->also && json_get(json, member->also);
    bool also_good = has_also && read_member(json, member, member->also, base, lists);
    bool name_good = has_name && read_member(json, member, member->name, base, lists);
    bool bad = member->either ? (has_name || has_also) && !name_good && !also_good
                              : has_name != name_good || has_also != also_good;

    if (member->has_off)
        *(bool *)((uint8_t *)base + member->has_off - 1) = name_good || also_good;
    return bad ? member->lenient : name_good || also_good || member->optional;
}

static const struct json_member *first_bad(const struct json *json,
                                           const struct json_members *members, void *base,
                                           struct cq_arena **lists)
{
    for (size_t i = 0; i < members->n; i++) {
        const struct json_member *member = &members->v[i];
        const struct json_member *bad = NULL;

        if (member->kind == JSON_SPREAD)
            bad = first_bad(json, member->items, (uint8_t *)base + member->off, lists);
        else if (!read_names(json, member, base, lists))
            bad = member;
        if (bad)
            return bad;
    }
    return NULL;
}

const char *json_members_read(const struct json *json, const struct json_members *members,
                              void *base, struct cq_arena **lists)
{
    const struct json_member *bad = first_bad(json, members, base, lists);

    return bad ? bad->rule : NULL;
}

/* ---- the schema of it ----------------------------------------------------------------- */

static const char schema_text[] = "{\"type\":\"string\"}";
static const char schema_id[] = "{\"type\":\"string\",\"format\":\"uuid\"}";

static void schema_words(struct cq_buf *out, const struct json_words *words)
{
    buf_add_str(out, "{\"enum\":[");
    for (size_t i = 0; i < words->n; i++) {
        if (i)
            buf_add_byte(out, ',');
        json_put_text(out, span_str(words->v[i]));
    }
    buf_add_str(out, "]}");
}

static void schema_number(struct cq_buf *out, const struct json_member *member)
{
    buf_add_str(out, "{");
    out_word(out, "type", "integer");
    if (member->most) {
        out_i64(out, "minimum", member->least);
        out_i64(out, "maximum", member->most);
    }
    buf_add_byte(out, '}');
}

static void schema_parts(struct cq_buf *out, const struct json_member *member)
{
    buf_printf(out, "{\"type\":\"number\",\"minimum\":%lld,\"maximum\":%lld}",
               (long long)member->least / PARTS_OF_ONE, (long long)member->most / PARTS_OF_ONE);
}

static void schema_array(struct cq_buf *out, const struct json_member *member, const char *item)
{
    buf_printf(out, "{\"type\":\"array\",\"items\":%s,\"minItems\":%lld,\"maxItems\":%lld}", item,
               (long long)member->least, (long long)member->most);
}

static void schema_member(struct cq_buf *out, const struct json_member *member)
{
    char item[96];

    switch (member->kind) {
    case JSON_TEXT:
    case JSON_BASE64:
        buf_add_str(out, schema_text);
        break;
    case JSON_ID:
        buf_add_str(out, schema_id);
        break;
    case JSON_NUMBER:
    case JSON_INT:
        schema_number(out, member);
        break;
    case JSON_PARTS:
        schema_parts(out, member);
        break;
    case JSON_WORD:
        schema_words(out, member->words);
        break;
    case JSON_BOOL:
    case JSON_SOME:
        buf_add_str(out, "{\"type\":\"boolean\"}");
        break;
    case JSON_IDS:
        schema_array(out, member, schema_id);
        break;
    case JSON_TEXTS:
        schema_array(out, member, schema_text);
        break;
    case JSON_INTS:
        snprintf(item, sizeof item, "{\"type\":\"integer\",\"minimum\":0,\"maximum\":%lld}",
                 (long long)member->each_most);
        schema_array(out, member, item);
        break;
    case JSON_WORDS:
        buf_add_str(out, "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}");
        break;
    case JSON_OBJECT:
        buf_add_str(out, "{\"type\":\"object\",");
        json_members_schema(out, member->items, NULL, false);
        buf_add_byte(out, '}');
        break;
    case JSON_LIST:
        buf_add_str(out, "{\"type\":\"array\",\"items\":{\"type\":\"object\",");
        json_members_schema(out, member->items, NULL, false);
        buf_add_str(out, "}}");
        break;
    case JSON_SPREAD: /* schema_properties() has it */
        break;
    }
}

static void schema_required(struct cq_buf *out, const char *name)
{
    if (out->p[out->n - 1] != '[')
        buf_add_byte(out, ',');
    json_put_text(out, span_str(name));
}

static void schema_properties(struct cq_buf *out, const struct json_members *members)
{
    for (size_t i = 0; i < members->n; i++) {
        const struct json_member *member = &members->v[i];

        if (member->kind == JSON_SPREAD) {
            schema_properties(out, member->items);
            continue;
        }
        out_key(out, member->name);
        schema_member(out, member);
    }
}

static void schema_all_required(struct cq_buf *out, const struct json_members *members)
{
    for (size_t i = 0; i < members->n; i++)
        if (members->v[i].kind == JSON_SPREAD)
            schema_all_required(out, members->v[i].items);
        else if (!members->v[i].optional)
            schema_required(out, members->v[i].name);
}

void json_members_schema(struct cq_buf *out, const struct json_members *members, const char *kind,
                         bool n)
{
    buf_add_str(out, "\"properties\":{");
    if (n)
        buf_add_str(out, "\"n\":{\"type\":\"integer\"}");
    if (kind) {
        out_key(out, "t");
        buf_add_byte(out, '{');
        out_word(out, "const", kind);
        buf_add_byte(out, '}');
    }
    schema_properties(out, members);
    buf_add_str(out, "},\"required\":[");
    if (n)
        schema_required(out, "n");
    if (kind)
        schema_required(out, "t");
    schema_all_required(out, members);
    buf_add_byte(out, ']');
}
