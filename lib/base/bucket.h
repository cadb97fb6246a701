/* SPDX-License-Identifier: MIT */
/*
 * lib/base/bucket.h - a token bucket: what the setting RATE_PER_MINUTE means, for both edges. Whole
 * numbers only, so that no rate is rounded and nothing is lost. Pure: times are passed in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    BUCKET_UNITS = 60 * 1000, /* of level in one token: a rate of one a minute refills one a ms */
    BUCKET_BURST_LEAST = 20,  /* tokens */
};

/** Zeroed is an empty one, of the clock's beginning. */
struct bucket {
    int64_t level; /* units; below 0: owed */
    int64_t at_ms; /* when it was right */
};

/** Tokens at once: what `per_minute` gives in `seconds`, BUCKET_BURST_LEAST at least. */
int64_t bucket_burst(int64_t per_minute, int64_t seconds);

/** With `burst` tokens in it. */
struct bucket bucket_full(int64_t burst, int64_t now_ms);

/** Take one token at `per_minute` (at least 1) with room for `burst`. 0, or ms until one is there.
 * A clock that goes back refills nothing. */
int64_t bucket_take(struct bucket *b, int64_t per_minute, int64_t burst, int64_t now_ms);

/** Take one though there may be none: it is owed. */
void bucket_charge(struct bucket *b, int64_t per_minute, int64_t burst, int64_t now_ms);

/** Whether there is no room for more. */
bool bucket_is_full(struct bucket *b, int64_t per_minute, int64_t burst, int64_t now_ms);
