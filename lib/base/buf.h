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

void buf_init(struct cq_buf *b, size_t max);
void buf_release(struct cq_buf *b);

/** Empty it and forget `failed`; memory is kept. */
static inline void buf_clear(struct cq_buf *b)
{
    b->n = 0;
    b->failed = false;
}

/** Make room for `n` more bytes and return where they go (the caller adds to b->n), or NULL. */
uint8_t *buf_reserve(struct cq_buf *b, size_t n);

void buf_add(struct cq_buf *b, const void *p, size_t n);
static inline void buf_add_str(struct cq_buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}
static inline void buf_add_span(struct cq_buf *b, struct cq_span s)
{
    buf_add(b, s.p, s.n);
}
void buf_add_byte(struct cq_buf *b, uint8_t c);
void buf_add_i64(struct cq_buf *b, int64_t v); /* decimal text */
void buf_printf(struct cq_buf *b, const char *fmt, ...) CQ_PRINTF(2, 3);

static inline struct cq_span buf_span(const struct cq_buf *b)
{
    return (struct cq_span){ b->p, b->n };
}

static inline void cq_auto_buf(struct cq_buf *b)
{
    buf_release(b);
}
