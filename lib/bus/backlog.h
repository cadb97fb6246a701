/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/backlog.h - what a producer has in flight to one partition, and the backlog that waits
 * behind it.
 *
 * librdkafka 2.0.2 sends nothing more to a partition while five records or more of an idempotent
 * producer are in flight to it, and while others wait behind them its thread spins: it takes a
 * whole core from the broker that it waits for. So the library is given only what it can send at
 * once: the records of one turn. Those of later turns are kept here until the earlier ones are
 * reported. Knows no Kafka and reads no clock.
 */
#pragma once

#include "lib/bus/bus.h"

struct held; /* a copy of a record */

struct backlog {
    int in_flight;             /* handed over and not reported */
    uint64_t turn;             /* in which the first of them was handed over */
    struct held *first, *last; /* owned; what waits, in order */
};

/** Whether a record of turn `turn` must be held: something is before it that was not handed over,
 * or was in another turn and is not reported. */
bool backlog_must_wait(const struct backlog *backlog, uint64_t turn);

/** Keep a copy of `send`. False: out of memory, nothing is kept. */
bool backlog_hold(struct backlog *backlog, const struct bus_send *send);

/** The first that waits; NULL: none. Borrowed until backlog_drop(). */
const struct bus_send *backlog_first(const struct backlog *backlog);

/** Forget the first that waits. */
void backlog_drop(struct backlog *backlog);

/** A record was handed over in turn `turn`. */
void backlog_sent(struct backlog *backlog, uint64_t turn);

/** A report came. True: it was the last, and something waits. */
bool backlog_reported(struct backlog *backlog);

/** Forget all that waits. */
void backlog_release(struct backlog *backlog);

/** Bytes of a record's key, value and headers. */
size_t backlog_bytes_of(const struct bus_send *send);
