/* SPDX-License-Identifier: MIT */
/*
 * lib/json/write.h - JSON to others: values, and members of an object. Whoever writes an object
 * puts its braces himself; members put the comma between them. Pure; a full buffer says `failed`.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/id.h"

/** Bytes that one byte of a text may become. */
enum { JSON_ESCAPED_MAX = 6 };

/** A string with quotes, escaped as RFC 8259 asks and "</" besides. `s` should be UTF-8; each byte
 * that is not part of it becomes U+FFFD. */
void json_put_text(struct cq_buf *out, struct cq_span s);

/** `"name":` with a comma in front, unless there is one, an object or array was just opened, or
 * `out` is empty. Names are our own, and need no escaping. */
void out_key(struct cq_buf *out, const char *name);

void out_text(struct cq_buf *out, const char *name, struct cq_span value);
void out_word(struct cq_buf *out, const char *name, const char *value); /* our own: not escaped */
void out_id(struct cq_buf *out, const char *name, struct cq_id value);
void out_i64(struct cq_buf *out, const char *name, int64_t value);
void out_bool(struct cq_buf *out, const char *name, bool value);

/** The number, or null when it is 0. */
void out_time(struct cq_buf *out, const char *name, int64_t value);
