/* SPDX-License-Identifier: MIT */
#include "lib/bus/frontier.h"

#include "lib/base/assert.h"

void frontier_init(struct frontier *f, int32_t generation, int32_t n)
{
    memset(f, 0, sizeof *f);
    f->generation = generation;
    f->n = n < PARTITIONS_MAX ? n : PARTITIONS_MAX;
}

void frontier_advance(struct frontier *f, int32_t p, int64_t next)
{
    if (p >= 0 && p < f->n && next > f->next[p])
        f->next[p] = next;
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

void frontier_format(const struct frontier *f, struct cq_buf *out)
{
    buf_add_byte(out, 'f');
    buf_add_i64(out, f->generation);
    buf_add_byte(out, '.');
    for (int32_t p = 0; p < f->n; p++) {
        if (p)
            buf_add_byte(out, ',');
        if (f->next[p])
            buf_add_i64(out, f->next[p]);
    }
}

/* Digits at the start of `s`, moved past. False for more than 15 digits; 0 for none. */
static bool take_number(struct cq_span *s, int64_t *ret)
{
    int64_t v = 0;
    int digits = 0;

    for (; s->n && *s->p >= '0' && *s->p <= '9'; s->p++, s->n--) {
        if (++digits > 15)
            return false;
        v = v * 10 + (*s->p - '0');
    }
    *ret = v;
    return true;
}

static bool take_byte(struct cq_span *s, char c)
{
    if (!s->n || *s->p != (uint8_t)c)
        return false;
    s->p++;
    s->n--;
    return true;
}

bool frontier_parse(struct cq_span text, int32_t generation, int32_t n, struct frontier *ret)
{
    struct frontier f;
    int64_t v;

    frontier_init(&f, generation, n);
    if (!take_byte(&text, 'f') || !take_number(&text, &v) || v != generation ||
        !take_byte(&text, '.'))
        return false;
    for (int32_t p = 0; p < f.n; p++) {
        if ((p && !take_byte(&text, ',')) || !take_number(&text, &f.next[p]))
            return false;
    }
    if (text.n)
        return false;
    *ret = f;
    return true;
}

/* ---- packed --------------------------------------------------------------------------- */

enum { PACK_BITS = 5, PACK_MORE = 1 << PACK_BITS, PACK_DIGITS_MAX = 10 };

static const char pack_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void put_packed(struct cq_buf *out, int64_t v)
{
    do {
        bool more = v >= PACK_MORE;

        buf_add_byte(out, (uint8_t)pack_digits[(v & (PACK_MORE - 1)) | (more ? PACK_MORE : 0)]);
        v >>= PACK_BITS;
    } while (v);
}

static bool take_packed(struct cq_span *s, int64_t *ret)
{
    int64_t v = 0;

    for (int k = 0; k < PACK_DIGITS_MAX && s->n; k++) {
        const char *at = *s->p ? strchr(pack_digits, *s->p) : NULL;
        int64_t digit = at ? at - pack_digits : 0;

        if (!at)
            return false;
        s->p++;
        s->n--;
        v |= (digit & (PACK_MORE - 1)) << (k * PACK_BITS);
        if (!(digit & PACK_MORE)) {
            *ret = v;
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

        put_packed(out, high->next[p]);
        put_packed(out, behind > 0 ? behind : 0);
    }
}

bool frontier_unpack(struct cq_span text, int32_t generation, int32_t n, struct frontier *ret_high,
                     struct frontier *ret_low)
{
    struct frontier high, low;
    int64_t v;

    frontier_init(&high, generation, n);
    frontier_init(&low, generation, n);
    if (!take_byte(&text, 'p') || !take_number(&text, &v) || v != generation ||
        !take_byte(&text, '.'))
        return false;
    for (int32_t p = 0; p < high.n; p++) {
        int64_t behind;

        if (!take_packed(&text, &high.next[p]) || !take_packed(&text, &behind) ||
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
