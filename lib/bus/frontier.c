/* SPDX-License-Identifier: MIT */
#include "lib/bus/frontier.h"

#include "lib/base/assert.h"

void frontier_init(struct frontier *frontier, int32_t generation, int32_t n)
{
    memset(frontier, 0, sizeof *frontier);
    frontier->generation = generation;
    frontier->n = n < PARTITIONS_MAX ? n : PARTITIONS_MAX;
}

void frontier_advance(struct frontier *frontier, int32_t p, int64_t next)
{
    if (p >= 0 && p < frontier->n && next > frontier->next[p])
        frontier->next[p] = next;
}

bool frontier_covers(const struct frontier *a, const struct frontier *b)
{
    if (a->n != b->n || a->generation != b->generation)
        return false;
    for (int32_t p = 0; p < a->n; p++)
        if (a->next[p] < b->next[p])
            return false;
    return true;
}

void frontier_format(const struct frontier *frontier, struct cq_buf *out)
{
    buf_add_byte(out, 'f');
    buf_add_i64(out, frontier->generation);
    buf_add_byte(out, '.');
    for (int32_t p = 0; p < frontier->n; p++) {
        if (p)
            buf_add_byte(out, ',');
        if (frontier->next[p])
            buf_add_i64(out, frontier->next[p]);
    }
}

/* Digits at the start of `s`, moved past. False for more than 15 digits; 0 for none. */
static bool take_number(struct cq_span *span, int64_t *ret)
{
    int64_t v = 0;
    int digits = 0;

    for (; span->n && *span->p >= '0' && *span->p <= '9'; span->p++, span->n--) {
        if (++digits > 15)
            return false;
        v = v * 10 + (*span->p - '0');
    }
    *ret = v;
    return true;
}

static bool take_byte(struct cq_span *span, char c)
{
    if (!span->n || *span->p != (uint8_t)c)
        return false;
    span->p++;
    span->n--;
    return true;
}

bool frontier_parse(struct cq_span text, int32_t generation, int32_t n, struct frontier *ret)
{
    struct frontier frontier;
    int64_t value;

    frontier_init(&frontier, generation, n);
    if (!take_byte(&text, 'f') || !take_number(&text, &value) || value != generation ||
        !take_byte(&text, '.'))
        return false;
    for (int32_t p = 0; p < frontier.n; p++) {
        if ((p && !take_byte(&text, ',')) || !take_number(&text, &frontier.next[p]))
            return false;
    }
    if (text.n)
        return false;
    *ret = frontier;
    return true;
}

/* ---- packed --------------------------------------------------------------------------- */

enum { PACK_BITS = 5, PACK_MORE = 1 << PACK_BITS, PACK_DIGITS_MAX = 10 };

static const char pack_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void packed_put(struct cq_buf *out, int64_t v)
{
    do {
        bool more = v >= PACK_MORE;

        buf_add_byte(out, (uint8_t)pack_digits[(v & (PACK_MORE - 1)) | (more ? PACK_MORE : 0)]);
        v >>= PACK_BITS;
    } while (v);
}

bool packed_take(struct cq_span *span, int64_t *ret)
{
    int64_t value = 0;

    for (int i = 0; i < PACK_DIGITS_MAX && span->n; i++) {
        const char *at = *span->p ? strchr(pack_digits, *span->p) : NULL;
        int64_t digit = at ? at - pack_digits : 0;

        if (!at)
            return false;
        span->p++;
        span->n--;
        value |= (digit & (PACK_MORE - 1)) << (i * PACK_BITS);
        if (!(digit & PACK_MORE)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

void frontier_pack(const struct frontier *high, const struct frontier *low, struct cq_buf *out)
{
    /* the reader takes them for two of one topic */
    CQ_ASSERT(high->n == low->n && high->generation == low->generation, high->n, low->n,
              high->generation, low->generation);
    buf_add_byte(out, 'p');
    buf_add_i64(out, high->generation);
    buf_add_byte(out, '.');
    for (int32_t p = 0; p < high->n; p++) {
        int64_t behind = high->next[p] - low->next[p];

        packed_put(out, high->next[p]);
        packed_put(out, behind > 0 ? behind : 0);
    }
}

bool frontier_unpack(struct cq_span text, int32_t generation, int32_t n, struct frontier *ret_high,
                     struct frontier *ret_low)
{
    struct frontier high, low;
    int64_t value;

    frontier_init(&high, generation, n);
    frontier_init(&low, generation, n);
    if (!take_byte(&text, 'p') || !take_number(&text, &value) || value != generation ||
        !take_byte(&text, '.'))
        return false;
    for (int32_t p = 0; p < high.n; p++) {
        int64_t behind;

        if (!packed_take(&text, &high.next[p]) || !packed_take(&text, &behind) ||
            behind > high.next[p])
            return false;
        low.next[p] = high.next[p] - behind;
    }
    if (text.n)
        return false;
    *ret_high = high;
    *ret_low = low;
    return true;
}
