/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/lookups.h - how many strangers' numbers a user may ask about in 24 hours. A stranger is
 * anybody with whom the user shares no chat; whether the number is registered makes no difference.
 * The same number again within 24 hours is free. Schema auth.
 */
#pragma once

#include "edge/auth/budgets.h"

enum { LOOKUP_IDS_MAX = 100 };

/** Charge the strangers among the users `ids` (at most LOOKUP_IDS_MAX) to this user, to the address
 * and to all, or to none of these. `*ret_wait_ms` is 0 when all may be answered, else the time
 * until they might be. */
CQ_MUST_CHECK enum cq_status lookup_charge(struct pg *db, const struct auth_limits *limits,
                                           struct cq_id user, struct cq_id from,
                                           const struct cq_id *ids, size_t n, int64_t now_ms,
                                           int64_t *ret_wait_ms);
