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

/** All zero: empty, as of time 0. */
struct bucket {
    int64_t level; /* units; below 0: owed */
    int64_t at_ms; /* the time that `level` is of */
};

/** How many tokens a bucket may hold: what `per_minute` gives in `seconds`, and BUCKET_BURST_LEAST
 * at least. */
int64_t bucket_burst(int64_t per_minute, int64_t seconds);

/** A bucket with `burst` tokens in it. */
struct bucket bucket_full(int64_t burst, int64_t now_ms);

/** Take one token from a bucket that is refilled at `per_minute` (at least 1) up to `burst`. 0:
 * taken; else the ms until one is there. A clock that goes back refills nothing. */
int64_t bucket_take(struct bucket *bucket, int64_t per_minute, int64_t burst, int64_t now_ms);

/** Take one token even when there is none: it is then owed. */
void bucket_charge(struct bucket *bucket, int64_t per_minute, int64_t burst, int64_t now_ms);

/** Whether it holds `burst` tokens now. */
bool bucket_is_full(struct bucket *bucket, int64_t per_minute, int64_t burst, int64_t now_ms);
