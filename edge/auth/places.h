/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/places.h - the addresses from which a user logged in or refreshed lately. Schema auth;
 * only HMACs of them are kept.
 */
#pragma once

#include "edge/auth/budgets.h"

enum { PLACES_MAX = 8 /* of a user, the latest */ };
#define PLACE_TTL_MS (90 * AUTH_DAY_MS)

/** The place that stands for the address `from`, for this user only. */
struct cq_id place_of(const struct auth_limits *limits, struct cq_id user, struct cq_id from);

/** Whether the user was seen at `place` in the last 90 days. */
CQ_MUST_CHECK enum cq_status place_is_known(struct pg *db, struct cq_id user, struct cq_id place,
                                            int64_t now_ms, bool *ret);

/** Note that the user was at `from`, proved by a code or a refresh token. The oldest place above
 * PLACES_MAX is forgotten. */
CQ_MUST_CHECK enum cq_status place_remember(struct pg *db, const struct auth_limits *limits,
                                            struct cq_id user, struct cq_id from, int64_t now_ms);
