/* SPDX-License-Identifier: MIT */
/*
 * tests/faults/clock.c - preloaded together with libfaketime into a role whose clock is wrong.
 * libfaketime shifts timespec_get() and the deadline of pthread_cond_timedwait(), but not that of
 * cnd_timedwait(), by which Kafka's client waits: each of its waits would be as much too long, or
 * too short, as the clock is wrong. In the C library both are the same function on the same object
 * (nptl/cnd_timedwait.c). Never part of the product.
 */
#include <errno.h>
#include <pthread.h>
#include <threads.h>
#include <time.h>

_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "the same object");
_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "the same object");

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex,
                  const struct timespec *restrict until)
{
    switch (pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, until)) {
    case 0:
        return thrd_success;
    case ETIMEDOUT:
        return thrd_timedout;
    default:
        return thrd_error;
    }
}
