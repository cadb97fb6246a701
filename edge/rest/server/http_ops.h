/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/http_ops.h - what the server asks of its owner, the loop of the role. All on the
 * loop thread.
 */
#pragma once

#include "edge/rest/server/door.h"
#include "edge/rest/server/route.h"
#include "lib/base/address.h"

/** A request of the API: neither a probe nor for the page. Borrowed. */
struct http_request {
    struct cq_span method, path, query, authorization;
    struct cq_address client;
};

/** Why there is no call for it. The texts are static. */
struct http_refusal {
    int status, retry_after_s;
    const char *code, *message;
    char allow[ROUTE_METHODS_MAX]; /* methods, for 405; "" for none */
};

struct http_ops {
    void *arg;
    /** Returns a call to be run (the server sets its loop.req), or NULL with *ret set. */
    struct call *(*request)(void *arg, const struct http_request *in, struct http_refusal *ret);
    /** Headers for the answer to OPTIONS of a path, into `call`. */
    void (*options)(struct call *call, struct cq_span path);
    /** See struct door_conf. */
    struct door_grant (*grant)(void *arg, const struct request_head *head);
    /** Run it; the call is stolen. */
    void (*start)(void *arg, struct call *call);
    /** Run its step again: what it has streamed so far is sent. */
    void (*more)(void *arg, struct call *call);
    /** A streamed call is over, or its client has gone; stolen. */
    void (*ended)(void *arg, struct call *call);
    /** Log that a request is answered with a status of 500 or above. Borrowed. */
    void (*failed)(void *arg, const struct call *call);
    /** For /readyz: a static word for the state, and whether it is 200 or 503. */
    const char *(*ready)(void *arg, bool *ret_ready);
};
