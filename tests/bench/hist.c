/* SPDX-License-Identifier: MIT */
#include "tests/bench/hist.h"

#include <inttypes.h>

static size_t bucket_of(int64_t us)
{
    uint64_t v = us < 0 ? 0 : (uint64_t)us;
    size_t at;
    int shift;

    if (v < HIST_SUB)
        return (size_t)v;
    shift = 63 - __builtin_clzll(v) - HIST_SUB_BITS;
    at = (size_t)(shift + 1) * HIST_SUB + (size_t)((v >> shift) - HIST_SUB);
    return at < HIST_BUCKETS ? at : HIST_BUCKETS - 1;
}

static int64_t bucket_top(size_t at)
{
    size_t shift = at / HIST_SUB;

    if (shift == 0)
        return (int64_t)at;
    return (int64_t)((HIST_SUB + at % HIST_SUB + 1) << (shift - 1)) - 1;
}

void hist_add(struct hist *hist, int64_t us)
{
    hist->n++;
    if (us > hist->max_us)
        hist->max_us = us;
    hist->bucket[bucket_of(us)]++;
}

int64_t hist_quantile(const struct hist *hist, double share)
{
    uint64_t rank = (uint64_t)(share * (double)hist->n + 0.5), seen = 0;

    if (hist->n == 0)
        return 0;
    if (rank < 1)
        rank = 1;
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        seen += hist->bucket[i];
        if (seen >= rank) {
            int64_t top = bucket_top(i);
            return top < hist->max_us ? top : hist->max_us;
        }
    }
    return hist->max_us;
}

void hist_print_json(const struct hist *hist, const char *name, FILE *out)
{
    const char *comma = "";

    fprintf(out,
            "\"%s\":{\"n\":%" PRIu64 ",\"p50\":%" PRId64 ",\"p99\":%" PRId64 ",\"p999\":%" PRId64
            ",\"max\":%" PRId64 ",\"buckets\":[",
            name, hist->n, hist_quantile(hist, 0.5), hist_quantile(hist, 0.99),
            hist_quantile(hist, 0.999), hist->max_us);
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        if (!hist->bucket[i])
            continue;
        fprintf(out, "%s[%zu,%" PRIu64 "]", comma, i, hist->bucket[i]);
        comma = ",";
    }
    fputs("]}", out);
}
