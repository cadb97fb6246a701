/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/rdkafka_conf.h - private to lib/bus: settings of librdkafka from a list of pairs, and
 * what its errors mean.
 */
#pragma once

#include "lib/bus/bus.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

/** A configuration with the settings every client here shares, then name, value, …, NULL on top.
 *  NULL when one is refused; owned by caller. */
rd_kafka_conf_t *rdkafka_conf_new(const char *brokers, const char *client_id,
                                  const char *const *pairs);

/* A fetch that does not gather is answered then though there is nothing. */
enum { RDKAFKA_FETCH_IDLE_MS = 500 };

/** The same for a consumer of a group, which does not gather yet. */
rd_kafka_conf_t *rdkafka_conf_consumer(const struct consumer_conf *conf);

/** Whether what failed so may succeed a little later, with nobody's help: a leader or a coordinator
 * moves, a broker is away, a group changes its members. Every call that asks a broker decides by
 * this function whether to ask again. All other errors need an operator, or a restart. */
bool rdkafka_heals(rd_kafka_resp_err_t err);

/** The offset of the first record at `at_ms` or later, or -1 for none; with
 * RD_KAFKA_OFFSET_BEGINNING or _END in place of a time: of that end. One question for each end, and
 * not rd_kafka_query_watermark_offsets(), which takes a partition for empty when only one of its
 * two questions is answered. `*ret` means nothing after an error. */
rd_kafka_resp_err_t rdkafka_find_offset(rd_kafka_t *rk, const char *topic, int32_t partition,
                                        int64_t at_ms, int timeout_ms, int64_t *ret);

/** What `m`, which is no error, brought: borrowed from it, without a handle. */
struct bus_record rdkafka_record(const rd_kafka_message_t *m);

/** The smallest question there is, which names no topic: 0 when a broker answered within
 * `timeout_ms`. */
rd_kafka_resp_err_t rdkafka_ask(rd_kafka_t *rk, int timeout_ms);

/** A client that took `conf` over (freed on failure too). NULL on failure. */
rd_kafka_t *rdkafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf);

/** From its next request on, a running consumer fetches so: answered once there are `min_bytes`, or
 * after `wait_ms`. Call from the thread that polls it. */
void rdkafka_fetch_as(rd_kafka_t *rk, int32_t wait_ms, int32_t min_bytes);

/* Of security.c: what bus_security_use() was told, for each client. */

/** Put it into a configuration; false when the library refuses a part of it. */
bool security_set(rd_kafka_conf_t *conf);

/** Call once for a new client. */
void security_client_ready(rd_kafka_t *rk);

/** For each error callback: logs it, and tells whoever wants to hear that brokers refuse us. */
void security_note_error(int err, const char *reason);

/** The settings to look at after such an error; NULL when it is none of security. */
const char *security_settings(int err, const char *reason);
