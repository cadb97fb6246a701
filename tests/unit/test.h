/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/test.h - one file, one executable: TEST bodies register themselves, main() runs them
 * all. A failed CHECK prints both values, ends its test and fails the executable.
 *
 *     TEST(span_equal) { CHECK(span_eq_str(s, "a")); CHECK_EQ(s.n, 1); CHECK_STR(name, "a"); }
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef void test_fn(void);
struct test_case {
    const char *name;
    test_fn *fn;
};
enum { TEST_CASES_MAX = 256 };
static struct test_case test_cases[TEST_CASES_MAX];
static int test_cases_n;
static bool test_failed; /* in the running case */

#define TEST(name_)                                                                \
    static void test_##name_(void);                                                \
    __attribute__((constructor)) static void test_register_##name_(void)           \
    {                                                                              \
        if (test_cases_n < TEST_CASES_MAX)                                         \
            test_cases[test_cases_n] = (struct test_case){ #name_, test_##name_ }; \
        test_cases_n++;                                                            \
    }                                                                              \
    static void test_##name_(void)

#define TEST_FAIL_(...)                                 \
    do {                                                \
        test_failed = true;                             \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
        fprintf(stderr, __VA_ARGS__);                   \
        fputc('\n', stderr);                            \
        return;                                         \
    } while (0)

#define CHECK(cond)                            \
    do {                                       \
        if (!(cond))                           \
            TEST_FAIL_("not true: %s", #cond); \
    } while (0)

/** Whole numbers, enums, booleans, statuses. */
#define CHECK_EQ(got, want)                                                       \
    do {                                                                          \
        long long got_ = (long long)(got), want_ = (long long)(want);             \
        if (got_ != want_)                                                        \
            TEST_FAIL_("%s: got %lld, want %lld (%s)", #got, got_, want_, #want); \
    } while (0)

/** The same with the name of a table's row. */
#define CHECK_EQ_ROW(row, got, want)                                              \
    do {                                                                          \
        long long got_ = (long long)(got), want_ = (long long)(want);             \
        if (got_ != want_)                                                        \
            TEST_FAIL_("[%s] %s: got %lld, want %lld", (row), #got, got_, want_); \
    } while (0)

/** NUL-terminated texts; NULL prints as (null) and equals only NULL. */
#define CHECK_STR(got, want)                                                        \
    do {                                                                            \
        const char *got_ = (got), *want_ = (want);                                  \
        if (got_ != want_ && (!got_ || !want_ || strcmp(got_, want_) != 0))         \
            TEST_FAIL_("%s: got \"%s\", want \"%s\"", #got, got_ ? got_ : "(null)", \
                       want_ ? want_ : "(null)");                                   \
    } while (0)

/** A span's (or any struct with p and n) bytes against a NUL-terminated text. */
#define CHECK_SPAN(got, want)                                                                    \
    do {                                                                                         \
        __typeof__(got) got_ = (got);                                                            \
        const char *want_ = (want);                                                              \
        if (got_.n != strlen(want_) || (got_.n && memcmp(got_.p, want_, got_.n) != 0))           \
            TEST_FAIL_("%s: got \"%.*s\", want \"%s\"", #got, (int)got_.n, (const char *)got_.p, \
                       want_);                                                                   \
    } while (0)

/** `./test_x` runs all; `./test_x part` those whose name contains `part`. */
int main(int argc, char **argv)
{
    int run = 0, failed = 0;

    if (test_cases_n > TEST_CASES_MAX) {
        fprintf(stderr, "raise TEST_CASES_MAX\n");
        return 1;
    }
    for (int i = 0; i < test_cases_n; i++) {
        if (argc > 1 && !strstr(test_cases[i].name, argv[1]))
            continue;
        test_failed = false;
        test_cases[i].fn();
        if (test_failed)
            fprintf(stderr, "FAIL %s\n", test_cases[i].name);
        failed += test_failed;
        run++;
    }
    printf("%d run, %d failed\n", run, failed);
    return failed || run == 0;
}
