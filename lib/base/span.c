/* SPDX-License-Identifier: MIT */
#include "lib/base/span.h"

/* Length of the well-formed sequence at the start of `span` (Unicode 15, table 3-7), or 0. */
static size_t utf8_sequence(struct cq_span span)
{
    uint8_t lead = span.p[0];
    uint8_t low = 0x80, high = 0xBF;
    size_t need;

    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        need = 2;
    else if (lead >= 0xE0 && lead <= 0xEF)
        need = 3;
    else if (lead >= 0xF0 && lead <= 0xF4)
        need = 4;
    else
        return 0;
    if (span.n < need)
        return 0;
    if (lead == 0xE0)
        low = 0xA0; /* overlong */
    else if (lead == 0xED)
        high = 0x9F; /* surrogates */
    else if (lead == 0xF0)
        low = 0x90; /* overlong */
    else if (lead == 0xF4)
        high = 0x8F; /* above U+10FFFF */
    if (span.p[1] < low || span.p[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((span.p[i] & 0xC0) != 0x80)
            return 0;
    return need;
}

bool span_is_utf8(struct cq_span span)
{
    while (span.n) {
        uint64_t eight;
        size_t n;

        if (span.n >= 8) { /* most text is ASCII: eight bytes at a time */
            memcpy(&eight, span.p, 8);
            if (!(eight & 0x8080808080808080ull)) {
                span.p += 8;
                span.n -= 8;
                continue;
            }
        }
        n = utf8_sequence(span);
        if (!n)
            return false;
        span.p += n;
        span.n -= n;
    }
    return true;
}

size_t span_code_points(struct cq_span span)
{
    size_t n = 0;

    for (size_t i = 0; i < span.n; i++)
        n += (span.p[i] & 0xC0) != 0x80;
    return n;
}

struct cq_span span_number(int64_t v, char room[SPAN_NUMBER_MAX])
{
    uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;
    size_t at = SPAN_NUMBER_MAX;

    do
        room[--at] = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0)
        room[--at] = '-';
    return span_of(room + at, SPAN_NUMBER_MAX - at);
}

bool span_digits(struct cq_span text, size_t digits_max, int64_t *ret)
{
    int64_t value = 0;

    if (!text.n || text.n > digits_max)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        value = value * 10 + (text.p[i] - '0');
    }
    *ret = value;
    return true;
}

bool span_take_digits(struct cq_span *text, char end, size_t digits_max, int64_t *ret)
{
    const uint8_t *at = text->n ? memchr(text->p, end, text->n) : NULL;
    size_t n = at ? (size_t)(at - text->p) : 0;

    if (!at || !span_digits(span_of(text->p, n), digits_max, ret))
        return false;
    *text = span_of(at + 1, text->n - n - 1);
    return true;
}

struct cq_span span_trim(struct cq_span span)
{
    while (span.n && (span.p[0] == ' ' || span.p[0] == '\t'))
        span = span_of(span.p + 1, span.n - 1);
    while (span.n && (span.p[span.n - 1] == ' ' || span.p[span.n - 1] == '\t'))
        span.n--;
    return span;
}

bool span_next_item(struct cq_span *list, struct cq_span *ret)
{
    const uint8_t *comma = list->n ? memchr(list->p, ',', list->n) : NULL;
    size_t n = comma ? (size_t)(comma - list->p) : list->n;

    if (!list->n)
        return false;
    *ret = span_trim(span_of(list->p, n));
    n += comma != NULL;
    *list = span_of(list->p + n, list->n - n);
    return true;
}
