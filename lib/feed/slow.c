/* SPDX-License-Identifier: MIT */
#include "lib/feed/slow.h"

static struct held *taken_alone(struct feed *feed)
{
    for (int i = 0; i < feed->held_n; i++)
        if (feed->held[i].taken)
            return &feed->held[i];
    return NULL;
}

/* What follows waits in the log: held, it would take the room of what others have. */
static void leave_behind(struct feed *feed, struct hold *of, int64_t next)
{
    int held_n = feed->held_n;

    hold_pause(&feed->holds, of, true); /* as long as the one is held */
    own_drop(feed, of, next, INT64_MAX);
    if (feed->held_n < held_n)
        hold_seek(&feed->holds, of, next);
}

void slow_note(struct feed *feed, int64_t now_ms)
{
    struct held *held = taken_alone(feed);
    struct feed_part *part;
    int64_t wait_ms;

    if (!held)
        return;
    if (feed->taken_n > 1) {
        feed->single = feed->taken_n;
        return;
    }
    part = parts_of(&feed->parts, held->of);
    wait_ms = part->slow_n < 6 ? (int64_t)SLOW_FIRST_MS << part->slow_n : SLOW_MAX_MS;
    feed->stats.slow_begun += !part->slow_n++;
    part->slow_until_ms = now_ms + (wait_ms < SLOW_MAX_MS ? wait_ms : SLOW_MAX_MS);
    feed->stats.slow = slow_partitions(feed);
    leave_behind(feed, held->of, part->turn_next);
}

void slow_over(struct feed *feed)
{
    for (int i = 0; i < feed->held_n; i++)
        if (feed->held[i].taken)
            parts_of(&feed->parts, feed->held[i].of)->slow_n = 0;
}

int64_t slow_partitions(struct feed *feed)
{
    const struct hold *of;
    int64_t n = 0;

    for (size_t at = 0; (of = holds_next(&feed->holds, &at)) != NULL;)
        n += parts_of(&feed->parts, of)->slow_n > 0;
    return n;
}
