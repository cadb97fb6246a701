/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/presence.h - who may see whether somebody is here, and when he was here last.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/pg/pg.h"

struct presence_ask {
    struct cq_id user, reader;
    int64_t now_ms;
};

/** Whether `user` shows `reader` when he is here: to nobody, to his contacts (to whom he has written),
 * or to all who may know him. Who shows his own to nobody sees that of nobody. CQ_AGAIN without
 * memory. */
CQ_MUST_CHECK enum cq_status view_presence_shown(struct pg *db, struct cq_arena *arena,
                                                 const struct presence_ask *ask, bool *ret);

/** When a device of his last asked for a token: his last quarter of an hour here. 0: nobody knows. */
CQ_MUST_CHECK enum cq_status view_seen_at(struct pg *db, struct cq_id user, int64_t *ret_ms);
