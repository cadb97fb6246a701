/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/sweep.h - the ends of uploads, by a thread of its own: what nobody finished is taken
 * away, what a link may have brought afterwards, too, what its owner took away (remove.h), or
 * nothing shows (unshown.h), and what
 * is stored gets into the log (settle.h).
 */
#pragma once

#include "lib/base/status.h"
#include "sinks/media/settle.h"

struct sweep;

enum {
    /* An upload to which something comes now and then lives this many times as long at most. */
    SWEEP_PENDING_TIMES = 7,
    /* A link's object is looked for soon after the link's end, for its room, and a last time when
     * even the slowest PUT that began in time has ended. */
    SWEEP_LINK_SOON_MS = 60 * 1000,
    SWEEP_LINK_LATE_MS = 24 * 3600 * 1000,
    SWEEP_DELETED_MAX = 1000, /* in one pass: what waits behind them has its turn in a minute */
};

struct sweep_conf {
    const char *database_url;
    const char *brokers;
    int32_t partitions;
    struct store_conf store;
    int64_t pending_ms; /* without any activity for so long */
    int64_t unshown_ms; /* a complete file that nothing shows for so long; 0: it stays */
    /* On the sweep's thread. `stuck`: the store does not delete what was taken away, since now. */
    void (*told)(struct cq_id media, enum settled as);
    void (*stuck)(struct cq_id media, const char *why);
};

CQ_MUST_CHECK enum cq_status sweep_start(const struct sweep_conf *conf, struct sweep **ret);
void sweep_stop(struct sweep *sweep); /* NULL is fine */
