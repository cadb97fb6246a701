/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/places.h - private to lib/bus: what groups have committed, asked and set from outside of
 * them. Blocks for up to 10 s a call. The library's Admin API is not used: its requests for offsets
 * of groups abort the process when a coordinator is not found at once (librdkafka 2.0.2). A client
 * that names the group and never joins it may ask as well.
 */
#pragma once

#include "lib/bus/bus.h"

#include <librdkafka/rdkafka.h>

/** A client of `group` that is no member of it; NULL: none. To be ended by places_close(). */
rd_kafka_t *places_open(const char *brokers, const char *group);
void places_close(rd_kafka_t *rk); /* NULL is fine */

/** Commits of the client's group for partitions [first, first + n) of a topic; partitions without
 * one are left out. CQ_AGAIN: the coordinator does not answer. */
CQ_MUST_CHECK enum cq_status places_commits(rd_kafka_t *rk, const char *topic, int32_t first,
                                            int32_t n, reader_commit_fn *fn, void *arg);

/** Set a commit of the client's group, which must have no members. */
rd_kafka_resp_err_t places_move(rd_kafka_t *rk, const char *topic, int32_t partition, int64_t next,
                                const char *meta);

/** Remember, with a client of BUS_FLOOR_GROUP, that a partition once reached `next`. Never lowers
 * what is there. */
CQ_MUST_CHECK enum cq_status places_raise(rd_kafka_t *rk, const char *topic, int32_t partition,
                                          int64_t next);
