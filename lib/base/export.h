/* SPDX-License-Identifier: MIT */
/*
 * lib/base/export.h - the private HTTP endpoint of every role: GET /metrics (lib/base/count.h as
 * Prometheus text) and GET /healthz. One thread, one connection at a time, nothing allocated; it
 * has nothing to do with what clients reach.
 */
#pragma once

#include "lib/base/status.h"

#include <stddef.h>
#include <stdint.h>

enum {
    EXPORT_REQUEST_MAX = 4096,   /* bytes of a request; the rest is not read */
    EXPORT_TEXT_MAX = 32 * 1024, /* bytes of an answer */
    EXPORT_WITHIN_MS = 2000,     /* a request that is not whole by then is dropped */
    EXPORT_SILENT_MS = 300000, /* /healthz is 503 when the loop did not go round for this long; the
                                  * group gives a member up after the same time */
    EXPORT_REPEATS_MS = 10000, /* and when its turns did nothing but repeat for this long */
};

/** Serve on `listen` ("address:port") until the process ends. `role` is an enum role_bit,
 * `name` its name, borrowed for the process's life. CQ_FATAL with words in `reterr` when the
 * address cannot be used. Call once. */
CQ_MUST_CHECK enum cq_status export_start(const char *listen, uint32_t role, const char *name,
                                          char *reterr, size_t reterr_n);
