/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/commits.h - the commits of one client of a group, one request at a time.
 *
 * librdkafka sends a request again by itself when the broker says that it timed out or is still
 * loading. With two under way, the older one could be stored after the newer one, and the group
 * would be found behind where it was. So the next request leaves when the last one was answered;
 * meanwhile, what is to be committed is gathered. Used by the thread that polls the consumer.
 */
#pragma once

#include "lib/base/status.h"

#include <librdkafka/rdkafka.h>
#include <stdint.h>

/** A commit of this partition did not happen. */
typedef void commits_failed_fn(void *arg, const char *topic, int32_t partition);

struct commits {
    rd_kafka_t *rk;                            /* borrowed; NULL: closed */
    rd_kafka_queue_t *answers;                 /* owned */
    rd_kafka_topic_partition_list_t *gathered; /* owned; for the next request; NULL: nothing */
    uint64_t sent;                             /* requests so far … */
    uint64_t answered;     /* … of which so many were answered: all, or all but the last */
    enum cq_status last;   /* what became of the last that was answered: CQ_OK or CQ_POISON */
    uint64_t begun;        /* the request that commits_begin() waits for; 0: none */
    enum cq_status became; /* CQ_AGAIN until it was answered, then as in `last` */
    commits_failed_fn *failed;
    void *arg;
};

/** `rk` is borrowed until commits_close(). `fd` >= 0 is written to (eight bytes) when an answer is
 * there for commits_serve(). `failed` is called by any of the functions below. */
void commits_open(struct commits *commits, rd_kafka_t *rk, int fd, commits_failed_fn *failed,
                  void *arg);

/** What was gathered or not answered is forgotten. */
void commits_close(struct commits *commits);

/** Gather `next` (offset of the first record not done) with `meta` (text, may be NULL; copied) for
 * the next request. It takes the place of one that was gathered for the same partition. */
void commits_add(struct commits *commits, const char *topic, int32_t partition, int64_t next,
                 const char *meta);

/** What was gathered never leaves: its partitions went to somebody else. */
void commits_forget(struct commits *commits);

/** Take an answer if there is one, and let what was gathered leave if no request is under way. */
void commits_serve(struct commits *commits);

/** Until nothing is gathered and nothing under way, or for `wait_ms`. */
void commits_drain(struct commits *commits, int wait_ms);

/** Wait until what was gathered is answered, at most until `until_ms` of clock_mono_ms(); 0: as long
 * as the library repeats it. CQ_OK: stored; CQ_AGAIN: not all of it. */
CQ_MUST_CHECK enum cq_status commits_wait(struct commits *commits, int64_t until_ms);

/** Follow the request that has what was gathered; an earlier one is followed no more. */
void commits_begin(struct commits *commits);

/** What became of it: CQ_OK stored, CQ_POISON not, or none is followed; CQ_AGAIN: not answered
 * after `wait_ms`. */
CQ_MUST_CHECK enum cq_status commits_end(struct commits *commits, int wait_ms);
