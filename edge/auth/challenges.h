/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/challenges.h - one-time codes: made, hashed, tried, used once. Schema auth.
 */
#pragma once

#include "edge/auth/phone.h"
#include "lib/pg/pg.h"

enum { CODE_DIGITS = 6, CODE_TRIES = 5, CODE_TTL_MS = 10 * 60 * 1000, CODE_RETRY_S = 60 };

enum auth_verdict {
    AUTH_YES,
    AUTH_NO,      /* wrong, expired, used, unknown: the client is not told which */
    AUTH_LIMITED, /* too many for this number */
};

/** A fresh code for `number`; `name` (n == 0: log-in, keep the name). */
CQ_MUST_CHECK enum cq_status challenge_make(struct pg *c, struct cq_span pepper, const char *number,
                                            struct cq_span name, int64_t per_hour, int64_t now_ms,
                                            enum auth_verdict *ret, struct cq_id *ret_challenge,
                                            char ret_code[CODE_DIGITS + 1]);

/** Try a code. A wrong one costs a try; the right one can be used once. `ret_name` lives in
 * `*ret_rows`, owned by caller. */
CQ_MUST_CHECK enum cq_status challenge_try(struct pg *c, struct cq_span pepper,
                                           struct cq_id challenge, struct cq_span code,
                                           int64_t now_ms, enum auth_verdict *ret,
                                           char ret_number[PHONE_MAX + 1], struct cq_span *ret_name,
                                           struct pg_result **ret_rows);
