/* SPDX-License-Identifier: MIT */
/*
 * lib/base/buf.h - a growable buffer that is born with its maximum. Appending past it sets `failed`
 * and appends nothing more, so that a writer checks once at the end.
 */
#pragma once

#include "lib/base/auto.h"
#include "lib/base/span.h"
#include "lib/base/status.h"

struct cq_buf {
    uint8_t *p; /* owned; released by buf_release */
    size_t n;   /* bytes used */
    size_t cap; /* bytes allocated */
    size_t max; /* bytes allowed */
    bool failed;
};

/** `max`: the bytes that it may hold. Allocates nothing yet. */
void buf_init(struct cq_buf *buf, size_t max);

/** Free its memory; it is empty then. */
void buf_release(struct cq_buf *buf);

/** Empty it and forget `failed`; memory is kept. */
static inline void buf_clear(struct cq_buf *buf)
{
    buf->n = 0;
    buf->failed = false;
}

/** Make room for `n` more bytes and return where they go, or NULL. The caller adds to buf->n what
 * it has written. */
uint8_t *buf_reserve(struct cq_buf *buf, size_t n);

/** Append; sets `failed` at the maximum, or without memory. So do all that follow. */
void buf_add(struct cq_buf *buf, const void *p, size_t n);
static inline void buf_add_str(struct cq_buf *buf, const char *s)
{
    buf_add(buf, s, strlen(s));
}
static inline void buf_add_span(struct cq_buf *buf, struct cq_span span)
{
    buf_add(buf, span.p, span.n);
}
void buf_add_byte(struct cq_buf *buf, uint8_t c);
void buf_add_i64(struct cq_buf *buf, int64_t v); /* decimal text */
void buf_printf(struct cq_buf *buf, const char *fmt, ...) CQ_PRINTF(2, 3);

static inline struct cq_span buf_span(const struct cq_buf *buf)
{
    return (struct cq_span){ buf->p, buf->n };
}

static inline void cq_auto_buf(struct cq_buf *buf)
{
    buf_release(buf);
}
