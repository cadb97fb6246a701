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

/** Parse `text`, whose root must be an object or an array. CQ_OK: *ret is owned by the caller.
 * CQ_POISON: a static reason is in *ret_why (may be NULL). */
CQ_MUST_CHECK enum cq_status json_parse(struct cq_span text, struct json **ret,
                                        const char **ret_why);
void json_free(struct json *root); /* with all that was borrowed from it; NULL is fine */
CQ_DEFINE_AUTO(json, struct json *, json_free)

bool json_is_object(const struct json *json);
bool json_is_array(const struct json *json);

/** Member of an object; NULL when absent, null, or `json` is no object. */
const struct json *json_get(const struct json *json, const char *key);
size_t json_count(const struct json *array);                    /* 0 when it is no array */
const struct json *json_at(const struct json *array, size_t i); /* NULL past the end */

/** True when the member is there and of that type, or when the value is. A text is borrowed from
 * the root. *ret is untouched otherwise. */
CQ_MUST_CHECK bool json_get_text(const struct json *json, const char *key, struct cq_span *ret);
CQ_MUST_CHECK bool json_get_i64(const struct json *json, const char *key, int64_t *ret);
CQ_MUST_CHECK bool json_get_real(const struct json *json, const char *key, double *ret);
CQ_MUST_CHECK bool json_get_bool(const struct json *json, const char *key, bool *ret);
CQ_MUST_CHECK bool json_get_id(const struct json *json, const char *key, struct cq_id *ret);
CQ_MUST_CHECK bool json_text(const struct json *json, struct cq_span *ret);
CQ_MUST_CHECK bool json_i64(const struct json *json, int64_t *ret);
CQ_MUST_CHECK bool json_id(const struct json *json, struct cq_id *ret);

/** True when the object has no member but those named (NULL-terminated list). */
bool json_only(const struct json *json, const char *const *names);
