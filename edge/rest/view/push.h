/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/push.h - who can be woken by which token.
 */
#pragma once

#include "lib/pg/pg.h"
#include "schemas/records.gen.h"

struct push_target_row {
    struct cq_id user, device;
    int64_t offset; /* of what registered it */
};

/** Other devices that have this token without having claimed it, the oldest first. `*ret` is owned
 * by the caller. */
CQ_MUST_CHECK enum cq_status view_push_unclaimed(struct pg *db, const struct push_address *address,
                                                 struct cq_id device, int64_t limit,
                                                 struct pg_result **ret);
struct push_target_row push_target_at(const struct pg_result *rows, int i);

/** Whether somebody has the token by the claim at this offset, or by a later one. */
CQ_MUST_CHECK enum cq_status view_push_claimed(struct pg *db, const struct push_address *address,
                                               int64_t offset, bool *ret);
