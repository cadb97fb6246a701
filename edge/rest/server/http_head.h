/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/http_head.h - the heads of answers, on libh2o. `origins` are those that pages
 * may be of, comma-separated.
 */
#pragma once

#include "edge/rest/server/call.h"

#include <h2o.h>

static inline struct cq_span span_of_iovec(h2o_iovec_t v)
{
    return span_of(v.base, v.len);
}

/** Add a header; `name` is static, the value is copied. */
void head_add(h2o_req_t *req, const char *name, struct cq_span value);
void head_add_text(h2o_req_t *req, const char *name, const char *value);

const char *head_reason(int status);

/** Send a whole answer that nobody may keep; the body is copied. */
void head_reply(h2o_req_t *req, const char *origins, int status, int retry_after_s,
                struct cq_span body);

/** All that goes before the body of what a call replies. */
void head_of_call(h2o_req_t *req, const char *origins, const struct call *call);
