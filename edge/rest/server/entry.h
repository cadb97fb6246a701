/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/entry.h - door.h on libh2o's sockets. libh2o 2.2 has no place where a head can
 * be looked at before its body is read. So the callback with which its HTTP/1 code waits for input
 * is taken off each socket and kept; ours stands there instead, and calls it when door.h lets the
 * input pass. libh2o puts its own back for each next request, always before that is read: from a
 * write's callback, and the loop polls only later; entry_turn() sees to it in between. Nothing of
 * this is used once a connection is a tunnel.
 *
 * Everything on the loop thread.
 */
#pragma once

#include "edge/rest/server/door.h"

#include <h2o.h>

struct entry;

struct entry_conf {
    struct door_conf door;
    h2o_accept_ctx_t *accept; /* borrowed */
    /** Write the answer to a refused request of a page of `origin` ({NULL,0}: of no page) into
     * `out`. Returns its length; 0: it cannot. */
    size_t (*refusal)(void *arg, const struct door_answer *why, struct cq_span origin, char *out,
                      size_t cap);
    void *arg; /* of refusal */
};

/** `*ret` is owned by the caller. CQ_FATAL: no memory, or less body memory than
 * door_memory_least(). */
CQ_MUST_CHECK enum cq_status entry_new(const struct entry_conf *conf, struct entry **ret);

/** Its connections are closed by then, or end with the process. */
void entry_free(struct entry *entry);

/** A new connection; `sock` is stolen. */
void entry_accept(struct entry *entry, h2o_socket_t *sock);

/** After each turn of the loop. */
void entry_turn(struct entry *entry, int64_t now_ms);

/** At the start of every request's handler. NULL, or a static reason to refuse it. */
const char *entry_run(h2o_req_t *req);

/** The request is to become a tunnel; if it does not, its connection ends with the answer. */
void entry_tunnel(h2o_req_t *req);

/** The client of a request: the peer, or whom it came from when the peer is a trusted proxy. */
struct cq_address entry_client(h2o_req_t *req);

/** A body that outlives its connection: its bytes, and what it is charged. */
struct entry_body;

/** Take the input of a socket that is about to close, with its charge. Owned by caller. */
struct entry_body *entry_take_body(h2o_socket_t *sock);
void entry_body_free(void *body);
