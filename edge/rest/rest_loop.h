/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/rest_loop.h - HTTP/1.1 on libh2o: one loop thread that reads requests, hands calls to
 * workers, submits to Kafka, and waits for the view on behalf of all of them. The loop thread owns
 * every call that no worker has.
 */
#pragma once

#include "edge/rest/rest.h"
#include "ingest/ingest.h"

struct rest_loop;

CQ_MUST_CHECK enum cq_status rest_loop_new(const struct rest_conf *conf, const char *listen,
                                           struct rest_loop **ret);
void rest_loop_free(struct rest_loop *s); /* stops and joins the threads */

/** One turn of the loop, at most `wait_ms`. CQ_FATAL: the producer is dead, be restarted. */
CQ_MUST_CHECK enum cq_status rest_loop_turn(struct rest_loop *s, int wait_ms);

/** Words for CQ_FATAL. Borrowed. */
const char *rest_loop_error(const struct rest_loop *s);

/** As ingest_log_is_cut(). */
bool rest_loop_log_is_cut(const struct rest_loop *s, struct bus_cut *ret);

/** No new connections from here on. */
void rest_loop_drain(struct rest_loop *s);

/** Calls that are not answered. */
size_t rest_loop_calls(const struct rest_loop *s);

/** The database and the log answer. */
bool rest_loop_is_ready(const struct rest_loop *s);
