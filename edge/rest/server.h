/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server.h - HTTP/1.1 on libh2o: one loop thread that reads requests, hands calls to
 * workers, submits to Kafka, and waits for the view on behalf of all of them. The loop thread owns
 * every call that no worker has.
 */
#pragma once

#include "edge/rest/rest.h"
#include "ingest/ingest.h"

struct server;

CQ_MUST_CHECK enum cq_status server_new(const struct rest_conf *conf, const char *listen,
                                        struct server **ret);
void server_free(struct server *s); /* stops and joins the threads */

/** One turn of the loop, at most `wait_ms`. CQ_FATAL: the producer is dead, be restarted. */
CQ_MUST_CHECK enum cq_status server_turn(struct server *s, int wait_ms);

/** No new connections from here on. */
void server_drain(struct server *s);

/** Calls that are not answered. */
size_t server_calls(const struct server *s);

/** The database and the log answer. */
bool server_is_ready(const struct server *s);
