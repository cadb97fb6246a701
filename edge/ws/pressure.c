/* SPDX-License-Identifier: MIT */
#include "edge/ws/pressure.h"

enum { MINUTE_MS = 60 * 1000, TICKS_PERCENT = 98 /* of what is admitted while ticks are late */ };

void pressure_heard(struct pressure *pressure, int64_t n, int64_t late_ms)
{
    pressure->heard += n;
    pressure->late_ms += late_ms;
    pressure->under_way = pressure->under_way > n ? pressure->under_way - n : 0;
}

void pressure_ticked(struct pressure *pressure, int64_t n, int64_t late_ms)
{
    pressure->ticks += n;
    pressure->ticks_late_ms += late_ms;
}

static int64_t at_least(int64_t per_minute)
{
    return per_minute > PRESSURE_LEAST * 60 ? per_minute : PRESSURE_LEAST * 60;
}

static void limit(struct pressure *pressure, int64_t per_minute, int64_t now_ms)
{
    if (!pressure->per_minute)
        pressure->bucket = (struct bucket){ .at_ms = now_ms - PRESSURE_JUDGED_MS };
    pressure->per_minute = at_least(per_minute);
}

/* Whether ticks are late, and not catching up. */
static bool ticks_fall_behind(struct pressure *pressure)
{
    int64_t was_ms = pressure->tick_ms;

    if (pressure->ticks < PRESSURE_HEARD_MIN) {
        pressure->tick_ms = 0; /* hardly any: the view is away, and messages do not wait for it */
        return false;
    }
    pressure->tick_ms = pressure->ticks_late_ms / pressure->ticks;
    return pressure->tick_ms > PRESSURE_TICKS_LATE_MS && pressure->tick_ms >= was_ms;
}

void pressure_judge(struct pressure *pressure, int64_t now_ms)
{
    int64_t elapsed_ms = now_ms - pressure->judged_ms, came;
    bool behind;

    if (elapsed_ms < PRESSURE_JUDGED_MS)
        return;
    came = pressure->heard * MINUTE_MS / elapsed_ms;
    behind = ticks_fall_behind(pressure);
    if (pressure->heard >= PRESSURE_HEARD_MIN &&
        pressure->late_ms > pressure->heard * PRESSURE_LATE_MS) {
        int64_t less = came * 9 / 10;

        limit(pressure,
              !pressure->per_minute || less < pressure->per_minute ? less : pressure->per_minute,
              now_ms);
    } else if (pressure->heard >= PRESSURE_HEARD_MIN && behind) {
        int64_t most =
            pressure->per_minute && pressure->per_minute < came ? pressure->per_minute : came;

        limit(pressure, most * TICKS_PERCENT / 100, now_ms);
    } else if (pressure->per_minute && pressure->late_ms <= pressure->heard * PRESSURE_CALM_MS &&
               pressure->tick_ms <= PRESSURE_TICKS_CALM_MS) {
        pressure->per_minute += pressure->per_minute / 10;
        if (pressure->per_minute > 4 * at_least(came))
            pressure->per_minute = 0; /* the limit is far above what is sent: no limit any more */
    }
    pressure->under_way -= pressure->under_way / 10;
    pressure->heard = pressure->late_ms = pressure->ticks = pressure->ticks_late_ms = 0;
    pressure->judged_ms = now_ms;
}

bool pressure_limits(const struct pressure *pressure)
{
    return pressure->per_minute > 0;
}

/* A socket that is admitted may send a row of messages, at the cost of those that come later. To
 * admit a few from the middle of a hundred that one socket sends at once would be of no use, since
 * each refusal makes the socket send everything after it again. */
static int64_t take_limited(struct pressure *pressure, uint8_t *credit, int64_t now_ms)
{
    int64_t burst = pressure->per_minute * PRESSURE_JUDGED_MS / MINUTE_MS;

    if (*credit) {
        --*credit;
        bucket_charge(&pressure->bucket, pressure->per_minute, burst, now_ms);
        return 0;
    }
    *credit = PRESSURE_ROW - 1;
    return bucket_take(&pressure->bucket, pressure->per_minute, burst, now_ms);
}

int64_t pressure_take(struct pressure *pressure, uint8_t *credit, int64_t now_ms)
{
    int64_t wait_ms = 0;

    if (pressure->under_way >= PRESSURE_UNDER_WAY_MAX && !*credit)
        wait_ms = PRESSURE_JUDGED_MS;
    else if (pressure->per_minute)
        wait_ms = take_limited(pressure, credit, now_ms);
    else
        *credit = 0;
    if (!wait_ms) {
        pressure->under_way++;
        return 0;
    }
    *credit = 0;
    return wait_ms;
}
