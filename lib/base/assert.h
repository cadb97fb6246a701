/* SPDX-License-Identifier: MIT */
/*
 * lib/base/assert.h - what must be so because our own code made it so. On in every build: a process
 * whose books are wrong ends, and what it would have written is made again from the log by the next
 * one. Never for what comes from outside (input, a peer, the disk, memory that runs out): that is a
 * status.
 *
 *     CQ_ASSERT(s->ours_n <= s->n, s->ours_n, s->n);
 */
#pragma once

#include "lib/base/log.h"

/** When `cond` is false: one line `assertion_failed` at level error, with file and line, the
 * expression and up to four whole numbers by their own expressions; then abort(). `cond` has no
 * side effects. Values are evaluated only then. */
#define CQ_ASSERT(cond, ...)                                                            \
    do {                                                                                \
        if (__builtin_expect(!(cond), 0))                                               \
            assert_failed(__FILE__, __LINE__, #cond, ASSERT_VALUES_(0, ##__VA_ARGS__)); \
    } while (0)

void assert_failed(const char *file, int line, const char *expression,
                   const struct log_field *values, size_t values_n) __attribute__((noreturn, cold));

#define ASSERT_VALUES_(zero, ...)                                                            \
    ASSERT_PICK_(zero, ##__VA_ARGS__, ASSERT_4_, ASSERT_3_, ASSERT_2_, ASSERT_1_, ASSERT_0_) \
    (__VA_ARGS__)
#define ASSERT_PICK_(zero, a, b, c, d, pick, ...) pick
#define ASSERT_0_() NULL, 0
#define ASSERT_1_(a) (const struct log_field[]){ LOG_I(#a, a) }, 1
#define ASSERT_2_(a, b) (const struct log_field[]){ LOG_I(#a, a), LOG_I(#b, b) }, 2
#define ASSERT_3_(a, b, c) (const struct log_field[]){ LOG_I(#a, a), LOG_I(#b, b), LOG_I(#c, c) }, 3
#define ASSERT_4_(a, b, c, d) \
    (const struct log_field[]){ LOG_I(#a, a), LOG_I(#b, b), LOG_I(#c, c), LOG_I(#d, d) }, 4
