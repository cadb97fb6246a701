/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/walk.h - seeded random walks against a naive model. The seed is printed, and SEED=n in
 * the environment repeats a walk (or takes another one).
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { WALK_STEPS = 100000 };

struct walk {
    uint64_t state;
};

static inline struct walk walk_begin(const char *name, uint64_t seed)
{
    const char *given = getenv("SEED");

    if (given)
        seed = strtoull(given, NULL, 10);
    printf("%s: SEED=%llu\n", name, (unsigned long long)seed);
    return (struct walk){ seed * 2 + 1 };
}

/* Uniform in [0, n). SplitMix64. */
static inline uint64_t walk_below(struct walk *walk, uint64_t n)
{
    uint64_t z = (walk->state += 0x9E3779B97F4A7C15ull);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return (z ^ (z >> 31)) % n;
}
