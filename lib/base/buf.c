/* SPDX-License-Identifier: MIT */
#include "lib/base/buf.h"

#include "lib/base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct cq_buf *b, size_t max)
{
    *b = (struct cq_buf){ .max = max };
}

void buf_release(struct cq_buf *b)
{
    free(b->p);
    *b = (struct cq_buf){ .max = b->max };
}

uint8_t *buf_reserve(struct cq_buf *b, size_t n)
{
    size_t cap = b->cap ? b->cap : 256;
    uint8_t *p;

    CQ_ASSERT(b->n <= b->cap && b->cap <= b->max, b->n, b->cap, b->max);
    if (b->failed || n > b->max - b->n) {
        b->failed = true;
        return NULL;
    }
    if (b->cap - b->n >= n && b->p)
        return b->p + b->n;
    while (cap < b->n + n)
        cap *= 2;
    if (cap > b->max)
        cap = b->max;
    p = realloc(b->p, cap);
    if (!p) {
        b->failed = true;
        return NULL;
    }
    b->p = p;
    b->cap = cap;
    return b->p + b->n;
}

void buf_add(struct cq_buf *b, const void *p, size_t n)
{
    uint8_t *to;

    if (!n || !(to = buf_reserve(b, n)))
        return;
    memcpy(to, p, n);
    b->n += n;
}

void buf_add_byte(struct cq_buf *b, uint8_t c)
{
    uint8_t *to = buf_reserve(b, 1);

    if (!to)
        return;
    *to = c;
    b->n++;
}

void buf_add_i64(struct cq_buf *b, int64_t v)
{
    char room[SPAN_NUMBER_MAX];

    buf_add_span(b, span_number(v, room));
}

void buf_printf(struct cq_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    uint8_t *to;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    to = n < 0 ? NULL : buf_reserve(b, (size_t)n + 1); /* vsnprintf writes a NUL */
    if (to) {
        vsnprintf((char *)to, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}
