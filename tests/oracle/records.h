/* SPDX-License-Identifier: MIT */
/*
 * tests/oracle/records.h - random values of any record type, and their comparison, from the
 * generated field tables. The same seed gives the same value on every machine.
 */
#pragma once

#include "schemas/table.h"

struct rng {
    uint64_t s; /* any value */
};

uint64_t rng_next(struct rng *g);
uint64_t rng_below(struct rng *g, uint64_t n);

/** A random struct for `r`, in `a` with all it points to: edge numbers, empty and long texts of one
 * to four byte characters, arrays of 0 to 5 items. NULL when the arena is full. */
void *record_random(const struct codec_record *r, struct rng *g, struct cq_arena *a);

/** Field by field; what is absent is not looked at. */
bool record_equal(const struct codec_record *r, const void *x, const void *y);
