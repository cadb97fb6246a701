/* SPDX-License-Identifier: MIT */
/*
 * lib/store/sigv4.h - AWS Signature Version 4 for service s3 (pure: the time is passed in).
 */
#pragma once

#include "lib/base/buf.h"

struct sigv4 {
    const char *access_key, *secret_key, *region;
    const char *method;
    const char *host;                /* as in the Host header */
    const char *path;                /* percent-encoded, with its leading slash */
    const char *const (*headers)[2]; /* signed besides host: lower-case names, sorted, and values */
    size_t headers_n;
    const char *const (*query)[2]; /* sorted by name; values are not encoded yet */
    size_t query_n;
    int64_t now_s;
};

enum { SIGV4_TEXT_MAX = 1024, SIGV4_TIME_LEN = 16 };

/** `20260102T030405Z` */
void sigv4_time(int64_t now_s, char out[SIGV4_TIME_LEN + 1]);

/** The value of Authorization. `headers` must have x-amz-content-sha256 and x-amz-date. */
CQ_MUST_CHECK bool sigv4_header(const struct sigv4 *sign, struct cq_buf *ret);

/** The query of a link that is good for `seconds`, signature included, without its question mark.
 * The body is not signed. */
CQ_MUST_CHECK bool sigv4_query(const struct sigv4 *sign, int seconds, struct cq_buf *ret);

/** Append `span` percent-encoded; `slash`: slashes stay. */
void sigv4_encode(struct cq_buf *out, struct cq_span span, bool slash);
