/* SPDX-License-Identifier: MIT */
/*
 * lib/json/json.h - JSON from outside, made safe: length and nesting are checked before jansson
 * sees a byte, duplicate keys are refused. The one owner of jansson.h. Output: write.h.
 */
#pragma once

#include "lib/base/auto.h"
#include "lib/base/id.h"
#include "lib/base/span.h"
#include "lib/base/status.h"

struct json; /* a parsed value; the root is owned, children are borrowed from it */

enum { JSON_DEPTH_MAX = 16, JSON_TEXT_MAX = 256 * 1024 };

/** CQ_OK with an object or array root owned by the caller; CQ_POISON with a static reason in
 * *ret_why (may be NULL). */
CQ_MUST_CHECK enum cq_status json_parse(struct cq_span text, struct json **ret,
                                        const char **ret_why);
void json_free(struct json *root);
CQ_DEFINE_AUTO(json, struct json *, json_free)

bool json_is_object(const struct json *v);
bool json_is_array(const struct json *v);

/** Member of an object; NULL when absent, null, or `v` is no object. */
const struct json *json_get(const struct json *v, const char *key);
size_t json_count(const struct json *array); /* 0 when it is no array */
const struct json *json_at(const struct json *array, size_t i);

/** True only when the member is there and of that type; *ret is borrowed from the root. */
CQ_MUST_CHECK bool json_get_text(const struct json *v, const char *key, struct cq_span *ret);
CQ_MUST_CHECK bool json_get_i64(const struct json *v, const char *key, int64_t *ret);
CQ_MUST_CHECK bool json_get_id(const struct json *v, const char *key, struct cq_id *ret);
CQ_MUST_CHECK bool json_text(const struct json *v, struct cq_span *ret);
CQ_MUST_CHECK bool json_id(const struct json *v, struct cq_id *ret);

/** True when the object has no member but those named (NULL-terminated list). */
bool json_only(const struct json *v, const char *const *names);
