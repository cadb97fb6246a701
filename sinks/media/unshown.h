/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/unshown.h - files that are ready and that nothing shows after a while: no message, no
 * preview, no profile and no group. They are taken away in their owners' names, as an owner would
 * (MediaDeleted). Each file is asked about once; one that was shown by then stays.
 */
#pragma once

#include "lib/pg/pg.h"

enum {
    UNSHOWN_PASS_MAX = 200, /* in one pass: what waits behind them has its turn in a minute */
};

struct unshown_conf {
    const char *brokers;
    int32_t partitions;
    struct pg *db;    /* ready */
    int64_t after_ms; /* since it was complete */
    bool (*stop)(void *arg);
    void *arg;
};

/** All that are due, UNSHOWN_PASS_MAX at most. Nothing is asked before the view has all that its log
 * had when the pass began, and nothing while it is made anew. Connects to the broker only when there
 * is something to do. CQ_AGAIN: the database or the broker is away, or the view late; the next time
 * goes on. */
CQ_MUST_CHECK enum cq_status unshown_all(const struct unshown_conf *conf);
