/* SPDX-License-Identifier: MIT */
/*
 * lib/base/ticker.h - a thread that does one thing again and again, and rests in between.
 */
#pragma once

#include "lib/base/status.h"

#include <pthread.h>
#include <stdbool.h>

/** On the ticker's thread. Returns how many ms to rest before the next call. */
typedef int ticker_fn(void *arg);

/** Zeroed is one that was never started. */
struct ticker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    ticker_fn *fn;
    void *arg; /* borrowed until ticker_join() has said true */
    bool started;
    bool ending; /* under the lock */
};

/** Call `fn` at once, and then after each rest. CQ_FATAL: no thread; `t` is as before. */
CQ_MUST_CHECK enum cq_status ticker_start(struct ticker *t, ticker_fn *fn, void *arg);

/** No call begins any more, and a rest ends; a call that is under way goes on. May be called twice,
 * and of one that was never started. */
void ticker_end(struct ticker *t);

/** After ticker_end(): wait for the thread, at most `within_ms` (-1: as long as a call lasts).
 * False: its call is still under way, so that neither `t` nor what `fn` uses may be freed. */
bool ticker_join(struct ticker *t, int within_ms);

/** Both, without a limit. */
void ticker_stop(struct ticker *t);
