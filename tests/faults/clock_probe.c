/* SPDX-License-Identifier: MIT */
/*
 * tests/faults/clock_probe.c - waits a moment in each way that a role and its libraries use, under
 * the clock that a fault gives it. Exit code 1: the clock is not wrong at all; 2: a wait ended before
 * its deadline. A wait that is as much too long as the clock is wrong runs into the test's timeout.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 50, SLACK_MS = 10, WRONG_S = 900 };

static long mono_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct timespec later(struct timespec when)
{
    when.tv_nsec += WAIT_MS * 1000000L;
    when.tv_sec += when.tv_nsec / 1000000000L;
    when.tv_nsec %= 1000000000L;
    return when;
}

static long by_threads_h(void)
{
    struct timespec now;
    mtx_t mutex;
    cnd_t cond;
    long began = mono_ms();

    mtx_init(&mutex, mtx_plain);
    cnd_init(&cond);
    timespec_get(&now, TIME_UTC);
    now = later(now);
    mtx_lock(&mutex);
    while (cnd_timedwait(&cond, &mutex, &now) == thrd_success)
        ;
    mtx_unlock(&mutex);
    return mono_ms() - began;
}

static long by_pthread(void)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    struct timespec now;
    long began = mono_ms();

    clock_gettime(CLOCK_REALTIME, &now);
    now = later(now);
    pthread_mutex_lock(&mutex);
    while (pthread_cond_timedwait(&cond, &mutex, &now) == 0)
        ;
    pthread_mutex_unlock(&mutex);
    return mono_ms() - began;
}

int main(void)
{
    long pthread_ms = by_pthread(), threads_ms = by_threads_h(), wrong_s;
    struct timespec right;

    syscall(SYS_clock_gettime, CLOCK_REALTIME, &right);
    wrong_s = (long)(time(NULL) - right.tv_sec);
    printf("%ld s wrong; waits of %d ms took %ld and %ld ms\n", wrong_s, WAIT_MS, pthread_ms,
           threads_ms);
    if (labs(wrong_s) < WRONG_S)
        return 1;
    return pthread_ms >= WAIT_MS - SLACK_MS && threads_ms >= WAIT_MS - SLACK_MS ? 0 : 2;
}
