/* SPDX-License-Identifier: MIT */
#include "lib/base/span.h"

/* Length of the well-formed sequence at the start of `s` (Unicode 15, table 3-7), or 0. */
static size_t utf8_sequence(struct cq_span s)
{
    uint8_t a = s.p[0];
    uint8_t low = 0x80, high = 0xBF;
    size_t need;

    if (a < 0x80)
        return 1;
    if (a >= 0xC2 && a <= 0xDF)
        need = 2;
    else if (a >= 0xE0 && a <= 0xEF)
        need = 3;
    else if (a >= 0xF0 && a <= 0xF4)
        need = 4;
    else
        return 0;
    if (s.n < need)
        return 0;
    if (a == 0xE0)
        low = 0xA0; /* overlong */
    else if (a == 0xED)
        high = 0x9F; /* surrogates */
    else if (a == 0xF0)
        low = 0x90; /* overlong */
    else if (a == 0xF4)
        high = 0x8F; /* above U+10FFFF */
    if (s.p[1] < low || s.p[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((s.p[i] & 0xC0) != 0x80)
            return 0;
    return need;
}

bool span_is_utf8(struct cq_span s)
{
    while (s.n) {
        uint64_t eight;
        size_t n;

        if (s.n >= 8) { /* most text is ASCII: eight bytes at a time */
            memcpy(&eight, s.p, 8);
            if (!(eight & 0x8080808080808080ull)) {
                s.p += 8;
                s.n -= 8;
                continue;
            }
        }
        n = utf8_sequence(s);
        if (!n)
            return false;
        s.p += n;
        s.n -= n;
    }
    return true;
}

size_t span_code_points(struct cq_span s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += (s.p[i] & 0xC0) != 0x80;
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

struct cq_span span_trim(struct cq_span s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = span_of(s.p + 1, s.n - 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
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
