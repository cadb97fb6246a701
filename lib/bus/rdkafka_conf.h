/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/rdkafka_conf.h - private to lib/bus: settings of librdkafka from a list of pairs.
 */
#pragma once

#include "lib/base/status.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

/** A configuration with the settings every client here shares, then name, value, …, NULL on top.
 *  NULL when one is refused; owned by caller. */
rd_kafka_conf_t *rdkafka_conf_new(const char *brokers, const char *client_id,
                                  const char *const *pairs);

/** A client that took `conf` over (freed on failure too). NULL on failure. */
rd_kafka_t *rdkafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf);
