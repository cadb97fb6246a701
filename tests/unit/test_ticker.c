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
    struct clockwork *w = arg;

    w->calls++;
    sem_post(&w->called);
    if (w->is_held)
        sem_wait(&w->go_on);
    return w->rest_ms;
}

static void clockwork_init(struct clockwork *w, int rest_ms, bool is_held)
{
    w->calls = 0;
    w->rest_ms = rest_ms;
    w->is_held = is_held;
    sem_init(&w->called, 0, 0);
    sem_init(&w->go_on, 0, 0);
}

TEST(a_ticker_calls_at_once_and_again_after_its_rest)
{
    struct clockwork w;
    struct ticker t = { .started = false };

    clockwork_init(&w, 1, false);
    CHECK_EQ(ticker_start(&t, on_tick, &w), CQ_OK);
    for (int i = 0; i < 3; i++)
        sem_wait(&w.called);
    ticker_stop(&t);
    CHECK(w.calls >= 3);
}

TEST(the_end_does_not_wait_for_a_rest)
{
    struct clockwork w;
    struct ticker t = { .started = false };

    clockwork_init(&w, AN_HOUR_MS, false);
    CHECK_EQ(ticker_start(&t, on_tick, &w), CQ_OK);
    sem_wait(&w.called);
    ticker_stop(&t);
    CHECK_EQ(w.calls, 1);
    ticker_end(&t); /* again, and of one that is over */
    CHECK(ticker_join(&t, 0));
    CHECK_EQ(ticker_start(&t, on_tick, &w), CQ_OK); /* it may begin anew */
    sem_wait(&w.called);
    ticker_stop(&t);
    CHECK_EQ(w.calls, 2);
}

TEST(a_join_gives_up_on_a_call_that_hangs)
{
    struct clockwork w;
    struct ticker t = { .started = false };

    clockwork_init(&w, 0, true);
    CHECK_EQ(ticker_start(&t, on_tick, &w), CQ_OK);
    sem_wait(&w.called);
    ticker_end(&t);
    CHECK(!ticker_join(&t, SOON_MS));
    sem_post(&w.go_on);
    CHECK(ticker_join(&t, -1));
    CHECK_EQ(w.calls, 1);
}

TEST(a_ticker_that_was_never_started_is_over)
{
    struct ticker t = { .started = false };

    ticker_end(&t);
    CHECK(ticker_join(&t, 0));
    ticker_stop(&t);
}
