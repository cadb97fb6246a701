/* SPDX-License-Identifier: MIT */
/*
 * tests/bench/hist.h - latencies in logarithmic buckets: exact below 64 us, within 1.6 % above.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

enum {
    HIST_SUB_BITS = 6,
    HIST_SUB = 1 << HIST_SUB_BITS, /* buckets in each power of two */
    HIST_BUCKETS = HIST_SUB * 36,  /* the last one holds everything above about 12 days */
};

struct hist {
    uint64_t n;
    int64_t max_us;
    uint64_t bucket[HIST_BUCKETS];
};

/** Count one value; negative ones count as 0. */
void hist_add(struct hist *hist, int64_t us);

/** Upper bound in us of the bucket that holds quantile `share` of (0, 1]; 0 when empty. */
int64_t hist_quantile(const struct hist *hist, double share);

/** `"name":{"n":…,"p50":…,"p99":…,"p999":…,"max":…,"buckets":[[at, n],…]}`, times in us; buckets
 * that hold something (hist.py adds those of several generators). */
void hist_print_json(const struct hist *hist, const char *name, FILE *out);
