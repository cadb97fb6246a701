/* SPDX-License-Identifier: MIT */
#include "lib/base/contact.h"

#include "lib/base/log.h"
#include "lib/base/status.h"

#include <stdatomic.h>

static _Atomic int64_t heard_ms[CONTACT_N]; /* 0: not expected */
static _Atomic bool ever[CONTACT_N];
static _Atomic int64_t answered_ms; /* of the role's own statements */
static _Atomic int under_way;

/* Each belongs to the one thread that logs its changes. */
static struct told {
    bool away;
    int64_t since_ms; /* the last answer before it went away */
} told[CONTACT_N];

void contact_expect(enum contact which, int64_t now_ms)
{
    atomic_store(&heard_ms[which], now_ms ? now_ms : 1);
}

void contact_heard(enum contact which, int64_t now_ms)
{
    atomic_store(&ever[which], true);
    contact_expect(which, now_ms);
}

bool contact_was_heard(enum contact which)
{
    return atomic_load(&ever[which]);
}

/* The time is written before the number rises, so that a reader who sees the statement under way
 * also sees the time of its sending, or a later one. */
void contact_asked(int64_t now_ms)
{
    if (!atomic_load(&under_way))
        atomic_store(&answered_ms, now_ms);
    atomic_fetch_add(&under_way, 1);
}

void contact_answered(int64_t now_ms)
{
    atomic_store(&answered_ms, now_ms);
    atomic_fetch_sub(&under_way, 1);
}

int64_t contact_silence_ms(enum contact which, int64_t now_ms)
{
    int64_t heard = atomic_load(&heard_ms[which]);
    int64_t silence = heard ? now_ms - heard : 0, waiting;

    if (which != CONTACT_DATABASE || !heard || !atomic_load(&under_way))
        return silence;
    waiting = now_ms - atomic_load(&answered_ms);
    return waiting > silence ? waiting : silence;
}

bool contact_away(enum contact which, int64_t now_ms)
{
    return contact_silence_ms(which, now_ms) > CONTACT_AWAY_MS;
}

void contact_tell(enum contact which, int64_t now_ms, const char *why)
{
    static const char *const events[][2] = {
        [CONTACT_KAFKA] = { "kafka_back", "kafka_away" },
        [CONTACT_DATABASE] = { "database_back", "database_away" },
    };
    int64_t silence = contact_silence_ms(which, now_ms);
    bool away = silence > CONTACT_AWAY_MS;

    _Static_assert(ARRAY_LEN(events) == CONTACT_N, "two events for each server");
    if (away == told[which].away)
        return;
    told[which].away = away;
    if (away) {
        told[which].since_ms = now_ms - silence;
        log_warn(events[which][1], LOG_I("silent_ms", silence), LOG_S("why", why));
    } else {
        log_warn(events[which][0], LOG_I("away_ms", now_ms - told[which].since_ms));
    }
}
