/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/settle.h - files that are stored and whose MediaReady may not be in the log, because
 * whoever should have submitted it died or could not: it is submitted again, which is harmless when
 * it was there. What the log refuses is given up, and its object taken away once it is certain that
 * no earlier MediaReady was taken. It may hold up its thread for a minute.
 */
#pragma once

#include "lib/base/status.h"
#include "lib/pg/pg.h"
#include "lib/store/store.h"

enum {
    SETTLE_AFTER_MS = 10 * 60 * 1000, /* a request that is on its way has ended by then */
    SETTLE_DOUBLINGS = 7, /* it is submitted again after twice, four, … 128 times as long: a day */
};

enum settled {
    SETTLED_READY,   /* the view has it */
    SETTLED_REFUSED, /* by the log: its owner is not in the chat any more */
    SETTLED_UNFIT,   /* its row makes no action: a mistake of this program */
};

struct settle_conf {
    const char *brokers;
    int32_t partitions;
    struct pg *db;       /* ready */
    struct store *store; /* one that answers */
    /** Called for each; on this thread. */
    void (*told)(struct cq_id media, enum settled as);
    bool (*stop)(void *arg); /* whether to end early */
    void *arg;
};

/** All that is due. Ends early when told to stop, or when the view is late. Connects to the broker
 * only when there is something to do. CQ_AGAIN: the database, the broker or the store is away; the
 * next time goes on. */
CQ_MUST_CHECK enum cq_status settle_all(const struct settle_conf *conf);
