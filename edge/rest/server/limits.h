/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/limits.h - buckets (lib/base/bucket.h) per user and per address. Pure: times are
 * passed in.
 */
#pragma once

#include "lib/base/bucket.h"
#include "lib/base/idmap.h"

enum { LIMITS_MAX = 64 * 1024 };

struct limits {
    struct idmap by_key;       /* key → index into `buckets` */
    struct bucket *buckets;    /* owned; LIMITS_MAX, the first by_key.n are in use */
    int64_t per_minute, burst; /* tokens */
};

/** `burst` tokens at once, then `per_minute`. CQ_FATAL: no memory. */
CQ_MUST_CHECK enum cq_status limits_init(struct limits *limits, int64_t per_minute, int64_t burst);
void limits_release(struct limits *limits); /* a zeroed one is fine */

/** Take one token of `key` (a user's id, or an id derived from an address). 0: taken; else the
 * seconds until there is one. */
int64_t limits_take(struct limits *limits, struct cq_id key, int64_t now_ms);
