/* SPDX-License-Identifier: MIT */
#include "edge/ws/pressure.h"

enum { MINUTE_MS = 60 * 1000 };

void pressure_heard(struct pressure *p, int64_t n, int64_t late_ms)
{
    p->heard += n;
    p->late_ms += late_ms;
    p->under_way = p->under_way > n ? p->under_way - n : 0;
}

static int64_t at_least(int64_t per_minute)
{
    return per_minute > PRESSURE_LEAST * 60 ? per_minute : PRESSURE_LEAST * 60;
}

void pressure_judge(struct pressure *p, int64_t now_ms)
{
    int64_t elapsed_ms = now_ms - p->judged_ms, came;

    if (elapsed_ms < PRESSURE_JUDGED_MS)
        return;
    came = p->heard * MINUTE_MS / elapsed_ms;
    if (p->heard >= PRESSURE_HEARD_MIN && p->late_ms > p->heard * PRESSURE_LATE_MS) {
        int64_t less = at_least(came * 9 / 10);

        if (!p->per_minute)
            p->bucket = (struct bucket){ .at_ms = now_ms - PRESSURE_JUDGED_MS };
        p->per_minute = !p->per_minute || less < p->per_minute ? less : p->per_minute;
    } else if (p->per_minute && p->late_ms <= p->heard * PRESSURE_CALM_MS) {
        p->per_minute += p->per_minute / 10;
        if (p->per_minute > 4 * at_least(came))
            p->per_minute = 0; /* far more is admitted than anybody asks for */
    }
    p->under_way -= p->under_way / 10;
    p->heard = p->late_ms = 0;
    p->judged_ms = now_ms;
}

/* Who is admitted may go on for a row, at the cost of those who come later: of a hundred that one
 * socket sends at once a few in the middle would be no use, as each refusal shuts its gate. */
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
