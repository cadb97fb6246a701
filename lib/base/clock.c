/* SPDX-License-Identifier: MIT */
#include "lib/base/clock.h"

#include "lib/base/hash.h"

#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec time;

    clock_gettime(id, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int clock_left_ms(int64_t until_ms)
{
    int64_t left_ms = until_ms - clock_mono_ms();

    return left_ms > 0 ? (int)left_ms : 0;
}

int pace_ms(size_t records, int least, int slower, int most)
{
    size_t ms = (size_t)least + records / (size_t)slower;

    return ms < (size_t)most ? (int)ms : most;
}

void clock_sleep_ms(int64_t ms)
{
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    if (ms > 0)
        nanosleep(&time, NULL);
}

int64_t backoff_ms(int attempt, int64_t base_ms, int64_t cap_ms)
{
    int64_t limit = base_ms;
    uint32_t r;

    for (int i = 0; i < attempt && limit < cap_ms; i++)
        limit *= 2;
    if (limit > cap_ms)
        limit = cap_ms;
    random_bytes(&r, sizeof r);
    return 1 + (int64_t)(r % (uint64_t)(limit > 0 ? limit : 1));
}
