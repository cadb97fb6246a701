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

uint64_t rng_next(struct rng *rng);
uint64_t rng_below(struct rng *rng, uint64_t n);

/** A random struct for `codec`, in `arena` with all it points to: edge numbers, empty and long texts of one
 * to four byte characters, arrays of 0 to 5 items. NULL when the arena is full. */
void *record_random(const struct codec_record *codec, struct rng *rng, struct cq_arena *arena);

/** Field by field; what is absent is not looked at. */
bool record_equal(const struct codec_record *codec, const void *left, const void *right);
