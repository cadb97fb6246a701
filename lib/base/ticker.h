/* SPDX-License-Identifier: MIT */
/*
 * lib/base/ticker.h - a thread that does one thing again and again, and rests in between.
 */
#pragma once

#include "lib/base/status.h"

#include <pthread.h>
#include <stdbool.h>

/** Called on the ticker's thread. Returns the ms to rest before the next call. */
typedef int ticker_fn(void *arg);

/** All zero: never started. */
struct ticker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    ticker_fn *fn;
    void *arg; /* borrowed until ticker_join() has returned true */
    bool started;
    bool ending; /* under the lock */
};

/** Call `fn` at once, and then after each rest. CQ_FATAL: no thread could be made; `ticker` is as
 * before. */
CQ_MUST_CHECK enum cq_status ticker_start(struct ticker *ticker, ticker_fn *fn, void *arg);

/** Begin no further call, and end the rest; a call that is under way goes on. May be called twice,
 * and for a ticker that was never started. */
void ticker_end(struct ticker *ticker);

/** After ticker_end(): wait for the thread, at most `within_ms` (-1: as long as a call lasts).
 * False: its call is still under way, so that neither `ticker` nor what `fn` uses may be freed. */
bool ticker_join(struct ticker *ticker, int within_ms);

/** Both, without a limit. */
void ticker_stop(struct ticker *ticker);
