/* SPDX-License-Identifier: MIT */
/*
 * lib/base/clock.h - the two clocks. Pure steps never include this: their times come with the
 * action.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_ms(void); /* ms since the Unix epoch; may jump */
int64_t clock_mono_ms(void); /* ms since an arbitrary point; never goes back */
int64_t clock_mono_us(void);

/** Milliseconds until clock_mono_ms() is `until_ms`; 0 when it has passed. */
int clock_left_ms(int64_t until_ms);

/** How long after one batch of `records` the next may begin, ms: `least`, and one more for each
 * `slower` records in it, up to `most`. A batch has a fixed cost, however small it is, and after a
 * large one waiting for more costs little in comparison. */
int pace_ms(size_t records, int least, int slower, int most);

/** Sleep for about `ms`; returns early on a signal. */
void clock_sleep_ms(int64_t ms);

/** Full-jitter exponential backoff: uniform in [1, min(cap, base * 2^attempt)] ms. */
int64_t backoff_ms(int attempt, int64_t base_ms, int64_t cap_ms);
