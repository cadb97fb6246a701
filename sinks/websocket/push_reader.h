/* SPDX-License-Identifier: MIT */
/*
 * sinks/websocket/push_reader.h - reads ws.push for a sink: the group membership that shares the
 * slots among gateways, commits, pauses, dead letters. One thread.
 */
#pragma once

#include "lib/bus/bus.h"
#include "sinks/websocket/sink.h"

struct push_reader; /* opaque */

struct push_reader_conf {
    const char *brokers, *client_id, *instance;
};

CQ_MUST_CHECK enum cq_status push_reader_new(const struct push_reader_conf *conf,
                                             struct push_reader **ret);

/** Leaves the group. NULL is fine. */
void push_reader_free(struct push_reader *reader);

/** Start to feed `sink` (borrowed until push_reader_free). Before it nothing is read. */
CQ_MUST_CHECK enum cq_status push_reader_start(struct push_reader *reader, struct sink *sink);

/** Readable when push_reader_poll has something to do (eight bytes are to be read off it first). */
int push_reader_fd(struct push_reader *reader);

/** Route up to `max` records. `*ret_more`: there may be more, call again without waiting for the
 * descriptor. */
CQ_MUST_CHECK enum cq_status push_reader_poll(struct push_reader *reader, int max, int64_t wall_ms,
                                              bool *ret_more);

/** The sink's port to the log; `arg` is a push_reader. Commits that need not wait leave with the
 * next poll, all in one request. */
void push_reader_commit(void *arg, int32_t slot, int64_t next, bool wait);
void push_reader_pause(void *arg, int32_t slot, bool pause);

/** As consumer_show. */
void push_reader_show(const struct push_reader *reader);

/** Words for the last CQ_FATAL; "" for none. Borrowed. */
const char *push_reader_error(const struct push_reader *reader);
