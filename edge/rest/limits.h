/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/limits.h - token buckets per user and per address. Pure: times are passed in.
 */
#pragma once

#include "lib/base/idmap.h"

enum { LIMITS_MAX = 64 * 1024 };

struct limits {
    struct idmap by_key;       /* key → level in thousandths of a token, and when it was right */
    int64_t per_minute, burst; /* tokens */
};

/** Tokens at once: what the rate gives in `seconds`, at least 20. */
int64_t limits_burst(int64_t per_minute, int64_t seconds);

/** `burst` tokens at once, then `per_minute`. */
void limits_init(struct limits *l, int64_t per_minute, int64_t burst);
void limits_release(struct limits *l);

/** Take one token of `key` (a user's id, or an id derived from an address). 0, or seconds until
 * there is one. */
int64_t limits_take(struct limits *l, struct cq_id key, int64_t now_ms);
