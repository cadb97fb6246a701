/* SPDX-License-Identifier: MIT */
/*
 * lib/base/span.h - bytes as (pointer, length). A span never owns what it points to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cq_span {
    const uint8_t *p; /* borrowed; may be NULL only when n is 0 */
    size_t n;         /* bytes */
};

/** Span over a NUL-terminated string, without its NUL. */
static inline struct cq_span span_str(const char *s)
{
    return (struct cq_span){ (const uint8_t *)s, strlen(s) };
}

static inline struct cq_span span_of(const void *p, size_t n)
{
    return (struct cq_span){ p, n };
}

static inline bool span_eq(struct cq_span a, struct cq_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool span_eq_str(struct cq_span span, const char *s)
{
    return span_eq(span, span_str(s));
}

/** printf("%.*s", SPAN_FMT(s)) */
#define SPAN_FMT(s) (int)(s).n, (const char *)(s).p

/** Whether `span` is valid UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool span_is_utf8(struct cq_span span);

/** Code points in valid UTF-8. */
size_t span_code_points(struct cq_span span);

enum { SPAN_NUMBER_MAX = 21 }; /* bytes of the longest whole number of 64 bits, with its sign */

/** `v` in decimal digits at the end of `room`; the result points there. */
struct cq_span span_number(int64_t v, char room[SPAN_NUMBER_MAX]);

/** Text that is nothing but 1 to `digits_max` (at most 18) decimal digits; *ret is untouched
 * otherwise. */
bool span_digits(struct cq_span text, size_t digits_max, int64_t *ret);

/** The same of what stands before the first `end`: *text then begins behind that. False: there is no
 * `end`, or something else before it; *text and *ret are untouched. */
bool span_take_digits(struct cq_span *text, char end, size_t digits_max, int64_t *ret);

/** Without the spaces and tabs at both ends. */
struct cq_span span_trim(struct cq_span span);

/** Cut the first item off `*list`, whose items are separated by commas: *ret is the item, trimmed.
 * False: the list is at its end, and *ret is untouched. A comma at the end begins no item. */
bool span_next_item(struct cq_span *list, struct cq_span *ret);
