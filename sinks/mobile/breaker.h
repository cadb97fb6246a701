/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/breaker.h - when to try again: one push, and a whole provider (pure; the clock and
 * the dice are the caller's).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    RETRY_BASE_MS = 1000,
    RETRY_CAP_MS = 10 * 60 * 1000,
    RETRY_ATTEMPTS_MAX = 12, /* of one push at one device */

    BREAKER_FAILURES = 10, /* in a row */
    BREAKER_BASE_MS = 1000,
    BREAKER_CAP_MS = 60 * 1000,
    BREAKER_WAIT_CAP_MS = 10 * 60 * 1000, /* of what a provider asks for */
};

/** Wait before attempt `attempt` (1 is the second try): at least what the provider asked for, else
 * doubling, with full jitter above a half. `dice` is uniform in 0..UINT32_MAX. */
int64_t retry_wait_ms(int attempt, int64_t retry_after_s, uint32_t dice);

enum breaker_state {
    BREAKER_CLOSED, /* all may go */
    BREAKER_OPEN,   /* nothing goes before until_ms */
    BREAKER_TRIAL,  /* one is under way; the others wait for what becomes of it */
};

struct breaker {
    enum breaker_state state;
    int failures; /* in a row */
    int opened;   /* times in a row, without a success between */
    int64_t until_ms;
};

/** How many may be started now: all (INT32_MAX), one for trial, none. */
int32_t breaker_room(const struct breaker *breaker, int64_t now_ms);

/** One was started. */
void breaker_started(struct breaker *breaker);

/** The trial was about something else (a credential) and went well: another may follow now. */
void breaker_go_on(struct breaker *breaker);

/** True when it was not closed before. */
bool breaker_good(struct breaker *breaker);

/** One more failure; `at_once`: no need for others (a wrong configuration). True when it opened
 * just now. */
bool breaker_bad(struct breaker *breaker, bool at_once, int64_t now_ms, uint32_t dice);

/** Nothing goes for `wait_ms`, of which BREAKER_WAIT_CAP_MS count: a quota. Not a failure. Returns
 * the wait. */
int64_t breaker_wait(struct breaker *breaker, int64_t wait_ms, int64_t now_ms);
