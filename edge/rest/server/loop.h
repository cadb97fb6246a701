/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/loop.h - HTTP/1.1 on libh2o: one loop thread that reads requests, hands calls to
 * workers, submits to Kafka, and waits for the view on behalf of all of them. The loop thread owns
 * every call that no worker has.
 */
#pragma once

#include "edge/rest/server/conf.h"
#include "ingest/ingest.h"

struct rest_loop;

/** Listen, and start the threads. `conf` is borrowed; `*ret` is owned by the caller. CQ_FATAL: the
 * address cannot be had, or no memory or threads. */
CQ_MUST_CHECK enum cq_status rest_loop_new(const struct server_conf *conf, struct rest_loop **ret);
void rest_loop_free(struct rest_loop *loop); /* stops and joins the threads */

/** One turn of the loop, at most `wait_ms`. CQ_FATAL: the producer is dead, and the process
 * has to be restarted. */
CQ_MUST_CHECK enum cq_status rest_loop_turn(struct rest_loop *loop, int wait_ms);

/** Why rest_loop_turn() was CQ_FATAL, for the log. Borrowed. */
const char *rest_loop_error(const struct rest_loop *loop);

/** As ingest_log_is_cut(). */
bool rest_loop_log_is_cut(const struct rest_loop *loop, struct bus_cut *ret);

/** No new connections from here on. */
void rest_loop_drain(struct rest_loop *loop);

/** How many calls are not answered yet. */
size_t rest_loop_calls(const struct rest_loop *loop);

/** Whether the database and the log answer. */
bool rest_loop_is_ready(const struct rest_loop *loop);
