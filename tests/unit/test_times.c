/* SPDX-License-Identifier: MIT */
#include "processors/chat/times.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

enum { LOG_N = 4000 };

/* A log whose clock sometimes goes back, sometimes rests for hours. */
static int64_t log_ms[LOG_N];
static int asked;

static void make_log(unsigned seed)
{
    int64_t now = 500ll * TIMES_HOUR_MS;

    for (int i = 0; i < LOG_N; i++) {
        int dice = rand_r(&seed) % 1000;

        now += dice < 2 ? rand_r(&seed) % (30 * TIMES_HOUR_MS) : rand_r(&seed) % 90000;
        log_ms[i] = dice > 980 ? now - rand_r(&seed) % (20 * TIMES_MINUTE_MS) : now;
    }
}

static enum cq_status first_since(void *arg, int64_t at_ms, int64_t *ret)
{
    (void)arg;
    asked++;
    for (*ret = 0; *ret < LOG_N && log_ms[*ret] < at_ms;)
        ++*ret;
    return CQ_OK;
}

/* As the header says it. */
static bool naive(int64_t now, int64_t target, int64_t unit_ms, int n)
{
    int64_t reached_now = 0, reached_target = 0;

    for (int64_t i = 0; i <= now; i++) {
        reached_now = log_ms[i] > reached_now ? log_ms[i] : reached_now;
        if (i <= target)
            reached_target = reached_now;
    }
    return reached_target / unit_ms >= reached_now / unit_ms - n;
}

TEST(a_window_is_what_the_log_says)
{
    for (unsigned seed = 1; seed <= 3; seed++) {
        struct times times = { 0 };

        make_log(seed);
        for (int64_t now = 0; now < LOG_N; now++) {
            times_advance(&times, now, log_ms[now]);
            for (int64_t back = 1; now % 37 == 0 && back <= now; back += 1 + back / 3) {
                CHECK_EQ(times_within(&times, now, now - back, TIMES_IN_MINUTES, 15),
                         naive(now, now - back, TIMES_MINUTE_MS, 15));
                CHECK_EQ(times_within(&times, now, now - back, TIMES_IN_HOURS, 60),
                         naive(now, now - back, TIMES_HOUR_MS, 60));
            }
        }
    }
}

TEST(restored_is_as_if_it_had_gone_on)
{
    for (unsigned seed = 1; seed <= 5; seed++) {
        struct times whole = { 0 };

        make_log(seed);
        for (int64_t committed = 1; committed < LOG_N; committed++) {
            struct times times = { 0 };

            times_advance(&whole, committed - 1, log_ms[committed - 1]);
            if (committed % 401)
                continue;
            asked = 0;
            CHECK_EQ(times_restore(&times, committed, log_ms[committed - 1], first_since, NULL),
                     CQ_OK);
            CHECK_EQ(times.minute, whole.minute);
            CHECK_EQ(memcmp(&times, &whole, sizeof times), 0);
            CHECK(asked <= TIMES_MINUTES + TIMES_HOURS + 32);
        }
    }
}

TEST(the_first_record_is_older_than_nothing)
{
    struct times times = { 0 };

    times_advance(&times, 5, 500ll * TIMES_HOUR_MS);
    CHECK(times_within(&times, 5, 5, TIMES_IN_MINUTES, 15));
    CHECK(!times_within(&times, 5, 4, TIMES_IN_MINUTES, 15));
}

TEST(a_window_is_as_long_as_it_says_and_a_unit_longer_at_most)
{
    struct times times = { 0 };
    int64_t begin = 500ll * TIMES_HOUR_MS + 59 * 1000;

    times_advance(&times, 0, begin);
    times_advance(&times, 1, begin + 15 * TIMES_MINUTE_MS);
    CHECK(times_within(&times, 1, 0, TIMES_IN_MINUTES, 15));
    times_advance(&times, 2, begin + 15 * TIMES_MINUTE_MS + 1000);
    CHECK(!times_within(&times, 2, 0, TIMES_IN_MINUTES, 15));
    CHECK(times_within(&times, 1, 0, TIMES_IN_MINUTES, 15)); /* the older one, stepped again */
}
