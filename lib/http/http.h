/* SPDX-License-Identifier: MIT */
/*
 * lib/http/http.h - small requests to other services. This folder is the one owner of curl.h:
 * pool.h is for many requests at once, transfer.h for large bodies.
 */
#pragma once

#include "lib/base/span.h"
#include "lib/base/status.h"

/** POST a small JSON body to `url` (http or https), no redirects, 10 s at most. CQ_OK for a 2xx
 * answer, CQ_AGAIN for anything else. Blocks. Any thread. */
CQ_MUST_CHECK enum cq_status http_post_json(const char *url, struct cq_span body);
