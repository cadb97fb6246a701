/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/challenges.h - one-time codes: made, hashed, tried, used once. Schema auth.
 *
 * Codes of a number are counted by lane, that is by who asks for them, so that a stranger cannot
 * use up the owner's codes: all strangers share one lane; each place (address) from which the
 * number logged in or refreshed lately has a lane of its own, and so has each device that shows a
 * refresh token of this account. A request with a lane of its own uses the strangers' lane after
 * it.
 *
 * Guesses have budgets by number, by address and in all. When one is used up, the first guess at a
 * challenge is still compared, so that the owner's code works whatever others do.
 */
#pragma once

#include "edge/auth/places.h"

enum {
    CODE_DIGITS = 6,
    CODE_TRIES = 5,
    CODE_TTL_MS = 10 * 60 * 1000,
    CODE_RETRY_S = 60,
    CODE_OWN_SHARE = 5, /* of all codes, one in this many is kept for lanes of their own */
};

enum auth_verdict {
    AUTH_YES,
    AUTH_NO,              /* wrong, expired, used, unknown: the client is not told which */
    AUTH_LIMITED,         /* too many for this number */
    AUTH_LIMITED_ADDRESS, /* too many from this address */
    AUTH_LIMITED_ALL,     /* too many in all */
};

/** Who asks for a code. */
struct code_ask {
    const char *number;
    struct cq_span name; /* empty: a log-in, which keeps the name */
    struct cq_id from;   /* derived from the address */
    struct cq_id proof;  /* a device of this number's user, by a refresh token shown; zero: none */
    int64_t now_ms;
};

/** A fresh code. Nothing is charged unless the verdict is AUTH_YES; otherwise
 * `*ret_wait_ms` is the time until it makes sense to ask again. */
CQ_MUST_CHECK enum cq_status challenge_make(struct pg *db, const struct auth_limits *limits,
                                            const struct code_ask *ask, enum auth_verdict *ret,
                                            int64_t *ret_wait_ms, struct cq_id *ret_challenge,
                                            char ret_code[CODE_DIGITS + 1]);

/** Try a code, from address `from`. A wrong one costs a try and a token of each budget; the right
 * one can be used once and costs nothing. `ret_name` lives in `*ret_rows`, owned by caller. */
CQ_MUST_CHECK enum cq_status challenge_try(struct pg *db, const struct auth_limits *limits,
                                           struct cq_id challenge, struct cq_span code,
                                           struct cq_id from, int64_t now_ms,
                                           enum auth_verdict *ret, int64_t *ret_wait_ms,
                                           char ret_number[PHONE_MAX + 1], struct cq_span *ret_name,
                                           struct pg_result **ret_rows);
