/* SPDX-License-Identifier: MIT */
#include "lib/base/ticker.h"
#include "tests/unit/test.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { AN_HOUR_MS = 3600 * 1000, SOON_MS = 20 };

struct clockwork {
    sem_t called, go_on;
    atomic_int calls;
    int rest_ms;
    bool is_held; /* each call waits for go_on */
};

static int on_tick(void *arg)
{
    struct clockwork *clockwork = arg;

    clockwork->calls++;
    sem_post(&clockwork->called);
    if (clockwork->is_held)
        sem_wait(&clockwork->go_on);
    return clockwork->rest_ms;
}

static void clockwork_init(struct clockwork *clockwork, int rest_ms, bool is_held)
{
    clockwork->calls = 0;
    clockwork->rest_ms = rest_ms;
    clockwork->is_held = is_held;
    sem_init(&clockwork->called, 0, 0);
    sem_init(&clockwork->go_on, 0, 0);
}

TEST(a_ticker_calls_at_once_and_again_after_its_rest)
{
    struct clockwork clockwork;
    struct ticker ticker = { .started = false };

    clockwork_init(&clockwork, 1, false);
    CHECK_EQ(ticker_start(&ticker, on_tick, &clockwork), CQ_OK);
    for (int i = 0; i < 3; i++)
        sem_wait(&clockwork.called);
    ticker_stop(&ticker);
    CHECK(clockwork.calls >= 3);
}

TEST(the_end_does_not_wait_for_a_rest)
{
    struct clockwork clockwork;
    struct ticker ticker = { .started = false };

    clockwork_init(&clockwork, AN_HOUR_MS, false);
    CHECK_EQ(ticker_start(&ticker, on_tick, &clockwork), CQ_OK);
    sem_wait(&clockwork.called);
    ticker_stop(&ticker);
    CHECK_EQ(clockwork.calls, 1);
    ticker_end(&ticker); /* again, and of one that is over */
    CHECK(ticker_join(&ticker, 0));
    CHECK_EQ(ticker_start(&ticker, on_tick, &clockwork), CQ_OK); /* it may begin anew */
    sem_wait(&clockwork.called);
    ticker_stop(&ticker);
    CHECK_EQ(clockwork.calls, 2);
}

TEST(a_join_gives_up_on_a_call_that_hangs)
{
    struct clockwork clockwork;
    struct ticker ticker = { .started = false };

    clockwork_init(&clockwork, 0, true);
    CHECK_EQ(ticker_start(&ticker, on_tick, &clockwork), CQ_OK);
    sem_wait(&clockwork.called);
    ticker_end(&ticker);
    CHECK(!ticker_join(&ticker, SOON_MS));
    sem_post(&clockwork.go_on);
    CHECK(ticker_join(&ticker, -1));
    CHECK_EQ(clockwork.calls, 1);
}

TEST(a_ticker_that_was_never_started_is_over)
{
    struct ticker ticker = { .started = false };

    ticker_end(&ticker);
    CHECK(ticker_join(&ticker, 0));
    ticker_stop(&ticker);
}
