/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/codes.h - sends one-time codes to their provider: a thread of its own, a bounded
 * queue, a time limit for each code and a circuit breaker. No worker ever waits for the provider. A
 * code that cannot be sent is counted and dropped; its owner asks again.
 */
#pragma once

#include "edge/auth/challenges.h"

enum {
    CODES_HELD_MAX = 256,       /* reserved, waiting or under way */
    CODES_IN_FLIGHT_MAX = 32,   /* requests to the provider at once */
    CODES_REQUEST_MS = 10000,   /* of one request, connecting included */
    CODES_AGE_MAX_MS = 60000,   /* a code that waited longer is given up */
    CODES_FAILURES_MAX = 5,     /* in a row, then nothing is sent … */
    CODES_PAUSE_MS = 2000,      /* … for this long, doubled at each failed trial … */
    CODES_PAUSE_MAX_MS = 60000, /* … up to this */
    CODES_FULL_RETRY_S = 5,
};

struct code_lane; /* any thread, except where said */

/** Begin to send to `url`, which is borrowed. CQ_FATAL without memory or threads. `*ret` is owned
 * by the caller. */
CQ_MUST_CHECK enum cq_status code_lane_start(const char *url, struct code_lane **ret);

/** Ends the thread within one turn; what waits or is under way is given up. NULL is fine. */
void code_lane_stop(struct code_lane *lane);

/** Take one of the CODES_HELD_MAX places. 0: it is the caller's, who then calls code_lane_send() or
 * code_lane_cancel() once. Otherwise the seconds after which another try makes sense: the queue is
 * full, or the provider fails. Never waits. */
CQ_MUST_CHECK int code_lane_reserve(struct code_lane *lane);
void code_lane_cancel(struct code_lane *lane);

/** Send it, on the place reserved before. Both are copied. */
void code_lane_send(struct code_lane *lane, const char *number, const char *code);
