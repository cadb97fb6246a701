/* SPDX-License-Identifier: MIT */
/*
 * ingest/display_name.c - which characters a name that others see may have.
 */
#include "ingest/marks.h"
#include "ingest/validate.h"
#include "schemas/bounds.h"
#include "schemas/limits.h"

enum { ZWNJ = 0x200C, ZWJ = 0x200D };

/* Refused wherever they stand: controls (C0, DEL, C1), separators that begin a line, and what
 * changes the direction of the text after the name (embeddings, overrides, isolates). */
static const struct range refused[] = {
    { 0x0000, 0x001F },
    { 0x007F, 0x009F },
    { 0x2028, 0x202E },
    { 0x2066, 0x2069 },
};

/* Spaces, Unicode's Default_Ignorable_Code_Point, and the blanks that are not in it. Allowed, but a
 * name needs something else, too. */
static const struct range invisible[] = {
    { 0x0020, 0x0020 },   { 0x00A0, 0x00A0 },   { 0x00AD, 0x00AD },   { 0x034F, 0x034F },
    { 0x061C, 0x061C },   { 0x115F, 0x1160 },   { 0x1680, 0x1680 },   { 0x17B4, 0x17B5 },
    { 0x180B, 0x180F },   { 0x2000, 0x200F },   { 0x202F, 0x202F },   { 0x205F, 0x2065 },
    { 0x206A, 0x206F },   { 0x2800, 0x2800 },   { 0x3000, 0x3000 },   { 0x3164, 0x3164 },
    { 0xFE00, 0xFE0F },   { 0xFEFF, 0xFEFF },   { 0xFFA0, 0xFFA0 },   { 0xFFF0, 0xFFFB },
    { 0x1BCA0, 0x1BCA3 }, { 0x1D173, 0x1D17A }, { 0xE0000, 0xE0FFF },
};

static bool is_among(uint32_t code, const struct range *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (code >= list[i].first && code <= list[i].last)
            return true;
    return false;
}

/* The code point at *at of valid UTF-8; *at moves behind it. */
static uint32_t take_code(struct cq_span span, size_t *at)
{
    uint8_t lead = span.p[(*at)++];
    int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    uint32_t code = more ? lead & (0x3Fu >> more) : lead;

    while (more--)
        code = code << 6 | (span.p[(*at)++] & 0x3F);
    return code;
}

/* Whether no character is refused and each joiner stands inside a grapheme: behind a character that
 * it can join, which a variation selector may follow. *ret_seen: something is to be seen. */
static bool characters_good(struct cq_span span, bool *ret_seen)
{
    bool can_join = false;

    *ret_seen = false;
    for (size_t at = 0; at < span.n;) {
        uint32_t code = take_code(span, &at);
        bool drawn = !is_among(code, invisible, ARRAY_LEN(invisible));

        if (is_among(code, refused, ARRAY_LEN(refused)))
            return false;
        if ((code == ZWJ || code == ZWNJ) && !can_join)
            return false;
        can_join = drawn || (can_join && code >= 0xFE00 && code <= 0xFE0F);
        /* a mark alone is drawn on what stands before the name */
        *ret_seen |= drawn && (*ret_seen || !is_among(code, marks, ARRAY_LEN(marks)));
    }
    return true;
}

bool display_characters_good(struct cq_span span)
{
    bool seen;

    return characters_good(span, &seen) && seen;
}

bool label_characters_good(struct cq_span span)
{
    bool seen;

    return characters_good(span, &seen);
}

bool display_name_good(struct cq_span span)
{
    return span.n && span.n <= LIMIT_NAME_BYTES && span_is_utf8(span) &&
           span_code_points(span) <= LIMIT_NAME_CHARS && display_characters_good(span);
}

bool about_good(struct cq_span span)
{
    return span.n <= LIMIT_ABOUT_BYTES && span_is_utf8(span) &&
           span_code_points(span) <= LIMIT_ABOUT_CHARS && label_characters_good(span);
}

bool description_good(struct cq_span span)
{
    return span.n <= LIMIT_DESCRIPTION_BYTES && bounds_written(span) &&
           span_code_points(span) <= LIMIT_DESCRIPTION_CHARS;
}

bool draft_good(struct cq_span span)
{
    return span.n <= LIMIT_DRAFT_BYTES && bounds_written(span);
}

bool device_label_good(struct cq_span span)
{
    return span.n <= LIMIT_LABEL_BYTES && span_is_utf8(span) &&
           span_code_points(span) <= LIMIT_LABEL_CHARS && label_characters_good(span);
}

bool file_name_good(struct cq_span span)
{
    if (span.n > LIMIT_FILE_NAME_BYTES || !span_is_utf8(span))
        return false;
    for (size_t at = 0; at < span.n;) {
        uint32_t code = take_code(span, &at);

        if (code == '/' || code == '\\' || is_among(code, refused, ARRAY_LEN(refused)))
            return false;
    }
    return true;
}
