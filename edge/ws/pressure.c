/* SPDX-License-Identifier: MIT */
#include "edge/ws/pressure.h"

enum { MINUTE_MS = 60 * 1000, TICKS_PERCENT = 98 /* of what is admitted while ticks are late */ };

void pressure_heard(struct pressure *p, int64_t n, int64_t late_ms)
{
    p->heard += n;
    p->late_ms += late_ms;
    p->under_way = p->under_way > n ? p->under_way - n : 0;
}

void pressure_ticked(struct pressure *p, int64_t n, int64_t late_ms)
{
    p->ticks += n;
    p->ticks_late_ms += late_ms;
}

static int64_t at_least(int64_t per_minute)
{
    return per_minute > PRESSURE_LEAST * 60 ? per_minute : PRESSURE_LEAST * 60;
}

static void limit(struct pressure *p, int64_t per_minute, int64_t now_ms)
{
    if (!p->per_minute)
        p->bucket = (struct bucket){ .at_ms = now_ms - PRESSURE_JUDGED_MS };
    p->per_minute = at_least(per_minute);
}

/* Late, and not catching up. */
static bool ticks_fall_behind(struct pressure *p)
{
    int64_t was_ms = p->tick_ms;

    if (p->ticks < PRESSURE_HEARD_MIN) {
        p->tick_ms = 0; /* none come at all: the view is away, and messages do not wait for it */
        return false;
    }
    p->tick_ms = p->ticks_late_ms / p->ticks;
    return p->tick_ms > PRESSURE_TICKS_LATE_MS && p->tick_ms >= was_ms;
}

void pressure_judge(struct pressure *p, int64_t now_ms)
{
    int64_t elapsed_ms = now_ms - p->judged_ms, came;
    bool behind;

    if (elapsed_ms < PRESSURE_JUDGED_MS)
        return;
    came = p->heard * MINUTE_MS / elapsed_ms;
    behind = ticks_fall_behind(p);
    if (p->heard >= PRESSURE_HEARD_MIN && p->late_ms > p->heard * PRESSURE_LATE_MS) {
        int64_t less = came * 9 / 10;

        limit(p, !p->per_minute || less < p->per_minute ? less : p->per_minute, now_ms);
    } else if (p->heard >= PRESSURE_HEARD_MIN && behind) {
        int64_t most = p->per_minute && p->per_minute < came ? p->per_minute : came;

        limit(p, most * TICKS_PERCENT / 100, now_ms);
    } else if (p->per_minute && p->late_ms <= p->heard * PRESSURE_CALM_MS &&
               p->tick_ms <= PRESSURE_TICKS_CALM_MS) {
        p->per_minute += p->per_minute / 10;
        if (p->per_minute > 4 * at_least(came))
            p->per_minute = 0; /* the limit is far above what is sent: no limit any more */
    }
    p->under_way -= p->under_way / 10;
    p->heard = p->late_ms = p->ticks = p->ticks_late_ms = 0;
    p->judged_ms = now_ms;
}

bool pressure_limits(const struct pressure *p)
{
    return p->per_minute > 0;
}

/* A socket that is admitted may send a row of messages, at the cost of those that come later. Of a
 * hundred messages that one socket sends at once, a few in the middle would be no use, since each
 * refusal makes the socket send everything after it again. */
static int64_t take_limited(struct pressure *p, uint8_t *credit, int64_t now_ms)
{
    int64_t burst = p->per_minute * PRESSURE_JUDGED_MS / MINUTE_MS;

    if (*credit) {
        --*credit;
        bucket_charge(&p->bucket, p->per_minute, burst, now_ms);
        return 0;
    }
    *credit = PRESSURE_ROW - 1;
    return bucket_take(&p->bucket, p->per_minute, burst, now_ms);
}

int64_t pressure_take(struct pressure *p, uint8_t *credit, int64_t now_ms)
{
    int64_t wait_ms = 0;

    if (p->under_way >= PRESSURE_UNDER_WAY_MAX && !*credit)
        wait_ms = PRESSURE_JUDGED_MS;
    else if (p->per_minute)
        wait_ms = take_limited(p, credit, now_ms);
    else
        *credit = 0;
    if (!wait_ms) {
        p->under_way++;
        return 0;
    }
    *credit = 0;
    return wait_ms;
}
