/* SPDX-License-Identifier: MIT */
#include "lib/base/buf.h"

#include "lib/base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct cq_buf *buf, size_t max)
{
    *buf = (struct cq_buf){ .max = max };
}

void buf_release(struct cq_buf *buf)
{
    free(buf->p);
    *buf = (struct cq_buf){ .max = buf->max };
}

uint8_t *buf_reserve(struct cq_buf *buf, size_t n)
{
    size_t cap = buf->cap ? buf->cap : 256;
    uint8_t *p;

    CQ_ASSERT(buf->n <= buf->cap && buf->cap <= buf->max, buf->n, buf->cap, buf->max);
    if (buf->failed || n > buf->max - buf->n) {
        buf->failed = true;
        return NULL;
    }
    if (buf->cap - buf->n >= n && buf->p)
        return buf->p + buf->n;
    while (cap < buf->n + n)
        cap *= 2;
    if (cap > buf->max)
        cap = buf->max;
    p = realloc(buf->p, cap);
    if (!p) {
        buf->failed = true;
        return NULL;
    }
    buf->p = p;
    buf->cap = cap;
    return buf->p + buf->n;
}

void buf_add(struct cq_buf *buf, const void *p, size_t n)
{
    uint8_t *to;

    if (!n || !(to = buf_reserve(buf, n)))
        return;
    memcpy(to, p, n);
    buf->n += n;
}

void buf_add_byte(struct cq_buf *buf, uint8_t c)
{
    uint8_t *to = buf_reserve(buf, 1);

    if (!to)
        return;
    *to = c;
    buf->n++;
}

void buf_add_i64(struct cq_buf *buf, int64_t v)
{
    char room[SPAN_NUMBER_MAX];

    buf_add_span(buf, span_number(v, room));
}

void buf_printf(struct cq_buf *buf, const char *fmt, ...)
{
    va_list ap, again;
    uint8_t *to;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    to = n < 0 ? NULL : buf_reserve(buf, (size_t)n + 1); /* vsnprintf writes a NUL */
    if (to) {
        vsnprintf((char *)to, (size_t)n + 1, fmt, again);
        buf->n += (size_t)n;
    }
    va_end(again);
}
