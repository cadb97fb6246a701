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

int32_t breaker_room(const struct breaker *b, int64_t now_ms)
{
    if (b->state == BREAKER_TRIAL || now_ms < b->until_ms)
        return 0;
    return b->state == BREAKER_CLOSED ? INT32_MAX : 1;
}

void breaker_started(struct breaker *b)
{
    CQ_ASSERT(b->state != BREAKER_TRIAL); /* breaker_room() has none then */
    if (b->state == BREAKER_OPEN)
        b->state = BREAKER_TRIAL;
}

void breaker_go_on(struct breaker *b)
{
    if (b->state == BREAKER_TRIAL)
        b->state = BREAKER_OPEN;
}

bool breaker_good(struct breaker *b)
{
    bool was = b->state != BREAKER_CLOSED;

    b->failures = 0;
    if (!was)
        return false;
    *b = (struct breaker){ .state = BREAKER_CLOSED };
    return true;
}

bool breaker_bad(struct breaker *b, bool at_once, int64_t now_ms, uint32_t dice)
{
    bool was_closed = b->state == BREAKER_CLOSED;

    b->failures++;
    if (b->state == BREAKER_OPEN)
        return false; /* a request that was in flight when it opened is no news */
    if (was_closed && !at_once && b->failures < BREAKER_FAILURES)
        return false;
    b->state = BREAKER_OPEN;
    b->until_ms = now_ms + jitter(doubled(BREAKER_BASE_MS, b->opened, BREAKER_CAP_MS), dice);
    if (b->opened < 30)
        b->opened++;
    return was_closed;
}

int64_t breaker_wait(struct breaker *b, int64_t wait_ms, int64_t now_ms)
{
    if (wait_ms > BREAKER_WAIT_CAP_MS)
        wait_ms =
            BREAKER_WAIT_CAP_MS; /* a day's wait would look like a dead provider; after the cap it
                                  * is tried again */
    if (b->until_ms < now_ms + wait_ms)
        b->until_ms = now_ms + wait_ms;
    if (b->state == BREAKER_TRIAL)
        b->state = BREAKER_OPEN; /* an answer, but not a success: the trial is not over */
    return wait_ms;
}
