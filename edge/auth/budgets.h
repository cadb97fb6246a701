/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/budgets.h - quotas of codes, guesses, lookups, links and exports: for a phone number, for an address
 * and in all. Token buckets in schema auth: every copy of edge-rest shares them, and a restart
 * forgets nothing. A bucket holds `most` tokens and gains as many in its period, evenly.
 */
#pragma once

#include "edge/auth/phone.h"
#include "lib/pg/pg.h"

/** The numbers are in auth.budgets: never reuse one. */
enum budget {
    BUDGET_CODES_ADDRESS,       /* an hour */
    BUDGET_CODES_ALL,           /* an hour */
    BUDGET_GUESSES_NUMBER,      /* a day */
    BUDGET_GUESSES_ADDRESS,     /* an hour */
    BUDGET_GUESSES_ALL,         /* an hour */
    BUDGET_LOOKUPS_ADDRESS,     /* a day */
    BUDGET_LOOKUPS_ALL,         /* a day */
    BUDGET_LINKS_ADDRESS,       /* an hour */
    BUDGET_LINKS_ALL,           /* an hour */
    BUDGET_LINK_MISSES_ADDRESS, /* an hour */
    BUDGET_EXPORTS_USER,        /* a day */
    BUDGET_N
};

#define AUTH_HOUR_MS ((int64_t)3600 * 1000)
#define AUTH_DAY_MS (24 * AUTH_HOUR_MS)

/** Fixed at start. */
struct auth_limits {
    struct cq_span pepper;
    int64_t most[BUDGET_N];
    int64_t codes_number_hour, codes_number_day; /* a number and lane: challenges.h */
    int64_t lookups_user_day;                    /* lookups.h */
};

/** The key of a bucket. Without the pepper nobody can tell from it what is limited. */
struct cq_id budget_key(const struct auth_limits *limits, const char *what, struct cq_id id);

/** Take `n` tokens if at least `keep` are left after that. `*ret_wait_ms` is 0 when they were
 * taken, else the time until they could be. May be part of the caller's transaction. */
CQ_MUST_CHECK enum cq_status budget_take(struct pg *db, const struct auth_limits *limits,
                                         enum budget kind, struct cq_id key, int64_t n,
                                         int64_t keep, int64_t now_ms, int64_t *ret_wait_ms);

/** Give back one token that was taken. */
CQ_MUST_CHECK enum cq_status budget_give_back(struct pg *db, const struct auth_limits *limits,
                                              enum budget kind, struct cq_id key);

/** How much of a bucket is used up, in percent. */
CQ_MUST_CHECK enum cq_status budget_used(struct pg *db, enum budget kind, struct cq_id key,
                                         int64_t now_ms, int64_t *ret_percent);
