/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/breaker.h"

#include "lib/base/assert.h"

/* Uniform in [limit/2, limit]. */
static int64_t jitter(int64_t limit, uint32_t dice)
{
    return limit / 2 + (int64_t)((uint64_t)(limit - limit / 2) * dice / UINT32_MAX);
}

static int64_t doubled(int64_t base_ms, int times, int64_t cap_ms)
{
    int64_t limit = base_ms;

    for (int i = 0; i < times && limit < cap_ms; i++)
        limit *= 2;
    return limit < cap_ms ? limit : cap_ms;
}

int64_t retry_wait_ms(int attempt, int64_t retry_after_s, uint32_t dice)
{
    int64_t asked_ms = retry_after_s > 0 ? retry_after_s * 1000 : 0;
    int64_t own_ms = jitter(doubled(RETRY_BASE_MS, attempt - 1, RETRY_CAP_MS), dice);

    if (asked_ms > RETRY_CAP_MS)
        asked_ms = RETRY_CAP_MS;
    /* what was asked for is the least; jitter on top keeps them from coming back at once */
    return asked_ms ? asked_ms + own_ms / 4 : own_ms;
}

/* The one writer of its state. */
static void move(struct breaker *breaker, enum breaker_state to)
{
    /* a trial follows only an open one, as it asks for its one push */
    CQ_ASSERT(to == BREAKER_TRIAL ? breaker->state == BREAKER_OPEN : breaker->state != to,
              breaker->state, to);
    breaker->state = to;
}

int32_t breaker_room(const struct breaker *breaker, int64_t now_ms)
{
    if (breaker->state == BREAKER_TRIAL || now_ms < breaker->until_ms)
        return 0;
    return breaker->state == BREAKER_CLOSED ? INT32_MAX : 1;
}

void breaker_started(struct breaker *breaker)
{
    CQ_ASSERT(breaker->state != BREAKER_TRIAL); /* breaker_room() has none then */
    if (breaker->state == BREAKER_OPEN)
        move(breaker, BREAKER_TRIAL);
}

void breaker_go_on(struct breaker *breaker)
{
    if (breaker->state == BREAKER_TRIAL)
        move(breaker, BREAKER_OPEN);
}

bool breaker_good(struct breaker *breaker)
{
    bool was = breaker->state != BREAKER_CLOSED;

    breaker->failures = 0;
    if (!was)
        return false;
    move(breaker, BREAKER_CLOSED);
    breaker->opened = 0;
    breaker->until_ms = 0;
    return true;
}

bool breaker_bad(struct breaker *breaker, bool at_once, int64_t now_ms, uint32_t dice)
{
    bool was_closed = breaker->state == BREAKER_CLOSED;

    breaker->failures++;
    if (breaker->state == BREAKER_OPEN)
        return false; /* a request that was in flight when it opened is no news */
    if (was_closed && !at_once && breaker->failures < BREAKER_FAILURES)
        return false;
    move(breaker, BREAKER_OPEN);
    breaker->until_ms =
        now_ms + jitter(doubled(BREAKER_BASE_MS, breaker->opened, BREAKER_CAP_MS), dice);
    if (breaker->opened < 30)
        breaker->opened++;
    return was_closed;
}

int64_t breaker_wait(struct breaker *breaker, int64_t wait_ms, int64_t now_ms)
{
    if (wait_ms > BREAKER_WAIT_CAP_MS)
        wait_ms =
            BREAKER_WAIT_CAP_MS; /* a day's wait would look like a dead provider; after the cap it
                                  * is tried again */
    if (breaker->until_ms < now_ms + wait_ms)
        breaker->until_ms = now_ms + wait_ms;
    if (breaker->state == BREAKER_TRIAL)
        move(breaker, BREAKER_OPEN); /* an answer, but not a success: the trial is not over */
    return wait_ms;
}
