/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/frontier.h - how far a reader has come in each partition of one topic: next offset per
 * partition. The text form ("f0.12,,45": generation, then next offsets, empty for 0) travels in
 * commits, in `ready` and in sync cursors.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/partitions.h"
#include "lib/base/span.h"
#include "lib/base/status.h"

enum {
    FRONTIER_PACKED_N_MAX = 256, /* partitions for which a packed pair always fits … */
    FRONTIER_PACKED_MAX = 3600,  /* … into this many bytes, while offsets are below 2^35 */
};

struct frontier {
    int32_t generation;
    int32_t n;                    /* partitions */
    int64_t next[PARTITIONS_MAX]; /* first offset not yet seen */
};

void frontier_init(struct frontier *frontier, int32_t generation, int32_t n);

/** Move partition `p` to at least `next`; never back. */
void frontier_advance(struct frontier *frontier, int32_t p, int64_t next);

/** Every partition of `a` is at or past that of `b`. */
bool frontier_covers(const struct frontier *a, const struct frontier *b);

void frontier_format(const struct frontier *frontier, struct cq_buf *out);

/** False unless the text is well formed, of this generation and of exactly n partitions; *ret is
 * then untouched. */
CQ_MUST_CHECK bool frontier_parse(struct cq_span text, int32_t generation, int32_t n,
                                  struct frontier *ret);

/** A number of at least 0, five bits a byte, as texts of commits have it; and back: false when `s`
 * does not begin with one. */
void packed_put(struct cq_buf *out, int64_t v);
CQ_MUST_CHECK bool packed_take(struct cq_span *span, int64_t *ret);

/** Two frontiers of the same topic as one short text for a commit: `high`, and how far `low` is
 * behind it. Five bits a byte, so that FRONTIER_PACKED_N_MAX partitions fit. */
void frontier_pack(const struct frontier *high, const struct frontier *low, struct cq_buf *out);

/** False unless the text is well formed, of this generation and of exactly n partitions; *ret_high
 * and *ret_low are then untouched. */
CQ_MUST_CHECK bool frontier_unpack(struct cq_span text, int32_t generation, int32_t n,
                                   struct frontier *ret_high, struct frontier *ret_low);
