/* SPDX-License-Identifier: MIT */
#include "lib/base/ticker.h"

#include <time.h>

static struct timespec in_ms(clockid_t of, int ms)
{
    struct timespec at;

    clock_gettime(of, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

/* Rest for `ms`. False: the ticker is to end. */
static bool rests(struct ticker *ticker, int ms)
{
    struct timespec until = in_ms(CLOCK_MONOTONIC, ms);
    bool ending;

    pthread_mutex_lock(&ticker->lock);
    while (!ticker->ending && pthread_cond_timedwait(&ticker->end, &ticker->lock, &until) == 0)
        ;
    ending = ticker->ending;
    pthread_mutex_unlock(&ticker->lock);
    return !ending;
}

static void *ticker_main(void *arg)
{
    struct ticker *ticker = arg;

    while (rests(ticker, ticker->fn(ticker->arg)))
        ;
    return NULL;
}

static void release(struct ticker *ticker)
{
    pthread_cond_destroy(&ticker->end);
    pthread_mutex_destroy(&ticker->lock);
    ticker->started = false;
}

enum cq_status ticker_start(struct ticker *ticker, ticker_fn *fn, void *arg)
{
    pthread_condattr_t attr;

    ticker->fn = fn;
    ticker->arg = arg;
    ticker->ending = false;
    pthread_mutex_init(&ticker->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&ticker->end, &attr);
    pthread_condattr_destroy(&attr);
    ticker->started = pthread_create(&ticker->thread, NULL, ticker_main, ticker) == 0;
    if (ticker->started)
        return CQ_OK;
    release(ticker);
    return CQ_FATAL;
}

void ticker_end(struct ticker *ticker)
{
    if (!ticker->started)
        return;
    pthread_mutex_lock(&ticker->lock);
    ticker->ending = true;
    pthread_cond_signal(&ticker->end);
    pthread_mutex_unlock(&ticker->lock);
}

bool ticker_join(struct ticker *ticker, int within_ms)
{
    struct timespec until = in_ms(CLOCK_REALTIME, within_ms < 0 ? 0 : within_ms);

    if (!ticker->started)
        return true;
    if (within_ms < 0)
        pthread_join(ticker->thread, NULL);
    else if (pthread_timedjoin_np(ticker->thread, NULL, &until) != 0)
        return false;
    release(ticker);
    return true;
}

void ticker_stop(struct ticker *ticker)
{
    ticker_end(ticker);
    ticker_join(ticker, -1);
}
