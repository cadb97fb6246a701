/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/intake.h - the loop over chat.events: each record is taken once, behind the guard of
 * lib/bus/hold.h, and the commit stands before the oldest one whose work is not done. What a record
 * means is its user's. One thread.
 */
#pragma once

#include "lib/bus/hold.h"

struct intake_ops {
    /** Whether another record can be taken; without room all partitions are paused. */
    bool (*room)(void *arg);
    /** It may leave work behind, and does not fail: what cannot be decoded is passed over. */
    void (*take)(void *arg, const struct bus_record *rec);
    /** The lowest offset of a partition whose work is not done; `next` when all before it is. */
    int64_t (*undone)(void *arg, int32_t partition, int64_t next);
    /** The partition is another's: its work is dropped. */
    void (*drop)(void *arg, int32_t partition);
};

struct intake_conf {
    const char *brokers;
    const char *instance; /* "" or NULL: dynamic membership */
    const struct intake_ops *ops;
    void *arg;
};

struct intake; /* opaque */

/** `conf` is borrowed for this call, but for `brokers`, `ops` and `arg`. */
CQ_MUST_CHECK enum cq_status intake_new(const struct intake_conf *conf, struct intake **ret);
void intake_free(struct intake *intake); /* NULL is fine */

/** Take what there is, waiting up to `wait_ms` for the first record, and commit about once a second.
 * CQ_OK or CQ_FATAL. */
CQ_MUST_CHECK enum cq_status intake_turn(struct intake *intake, int wait_ms);

/** Commit what is done now: at the end. */
void intake_commit(struct intake *intake);

/** Partitions that are ours. */
int intake_owned(const struct intake *intake);

/** Words for the last CQ_FATAL, for a log line; "" for none. Borrowed. */
const char *intake_error(const struct intake *intake);
