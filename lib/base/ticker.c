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

/* False: it is to end. */
static bool rests(struct ticker *t, int ms)
{
    struct timespec until = in_ms(CLOCK_MONOTONIC, ms);
    bool ending;

    pthread_mutex_lock(&t->lock);
    while (!t->ending && pthread_cond_timedwait(&t->end, &t->lock, &until) == 0)
        ;
    ending = t->ending;
    pthread_mutex_unlock(&t->lock);
    return !ending;
}

static void *ticker_main(void *arg)
{
    struct ticker *t = arg;

    while (rests(t, t->fn(t->arg)))
        ;
    return NULL;
}

static void release(struct ticker *t)
{
    pthread_cond_destroy(&t->end);
    pthread_mutex_destroy(&t->lock);
    t->started = false;
}

enum cq_status ticker_start(struct ticker *t, ticker_fn *fn, void *arg)
{
    pthread_condattr_t attr;

    t->fn = fn;
    t->arg = arg;
    t->ending = false;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->end, &attr);
    pthread_condattr_destroy(&attr);
    t->started = pthread_create(&t->thread, NULL, ticker_main, t) == 0;
    if (t->started)
        return CQ_OK;
    release(t);
    return CQ_FATAL;
}

void ticker_end(struct ticker *t)
{
    if (!t->started)
        return;
    pthread_mutex_lock(&t->lock);
    t->ending = true;
    pthread_cond_signal(&t->end);
    pthread_mutex_unlock(&t->lock);
}

bool ticker_join(struct ticker *t, int within_ms)
{
    struct timespec until = in_ms(CLOCK_REALTIME, within_ms < 0 ? 0 : within_ms);

    if (!t->started)
        return true;
    if (within_ms < 0)
        pthread_join(t->thread, NULL);
    else if (pthread_timedjoin_np(t->thread, NULL, &until) != 0)
        return false;
    release(t);
    return true;
}

void ticker_stop(struct ticker *t)
{
    ticker_end(t);
    ticker_join(t, -1);
}
