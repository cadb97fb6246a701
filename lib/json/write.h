/* SPDX-License-Identifier: MIT */
/*
 * lib/json/write.h - JSON for others: values, and members of an object. The caller writes the
 * braces of an object; a member writes the comma before it. Pure. A buffer that is full says so in
 * `failed`.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/id.h"

/** The most bytes that one byte of a text becomes. */
enum { JSON_ESCAPED_MAX = 6 };

/** A string in quotes, escaped as RFC 8259 demands; "</" is escaped, too. `span` should be UTF-8:
 * each byte that is not becomes U+FFFD. */
void json_put_text(struct cq_buf *out, struct cq_span span);

/** `"name":` with a comma in front, unless there is one, an object or array was just opened, or
 * `out` is empty. Names are our own, and need no escaping. */
void out_key(struct cq_buf *out, const char *name);

void out_text(struct cq_buf *out, const char *name, struct cq_span value);
void out_word(struct cq_buf *out, const char *name, const char *value); /* our own: not escaped */
void out_id(struct cq_buf *out, const char *name, struct cq_id value);
void out_words(struct cq_buf *out, const char *name, const char *const *v, size_t n); /* our own */
void out_ids(struct cq_buf *out, const char *name, const struct cq_id *ids, size_t n);
void out_i64(struct cq_buf *out, const char *name, int64_t value);
void out_bool(struct cq_buf *out, const char *name, bool value);

/** The number, or null when it is 0. */
void out_time(struct cq_buf *out, const char *name, int64_t value);
