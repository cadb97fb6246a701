/* SPDX-License-Identifier: MIT */
#include "lib/bus/frontier.h"

void frontier_init(struct frontier *f, int32_t generation, int32_t n)
{
    memset(f, 0, sizeof *f);
    f->generation = generation;
    f->n = n < FRONTIER_MAX ? n : FRONTIER_MAX;
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
