/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/http_answer.h - the answers of the server, on libh2o: those of calls, and those
 * to requests that become none. All on the loop thread.
 */
#pragma once

#include "edge/rest/server/http_ops.h"

#include <h2o.h>

/** What requests and answers need to know of their server. Borrowed by all of them. */
struct http_site {
    struct http_ops ops;
    const char *origins; /* allowed, comma-separated */
    const struct api_conf *api;
};

/** What ties a call to its request. The request's pool owns it: when that goes, `call` has lost its
 * request (loop.req is NULL), or is handed to `ops.ended` when it streams. */
struct back {
    h2o_generator_t generator; /* of a stream */
    const struct http_site *site;
    struct call *call;  /* NULL once it was answered */
    h2o_socket_t *sock; /* its input has the body; NULL: the call got a copy */
};

/** Tie `call` to `req`: sets its loop.req and loop.back. */
struct back *back_new(const struct http_site *site, h2o_req_t *req, struct call *call);

/** Answer a call that `ops.request` made, unless its client has gone, and free it. */
void answer_call(struct call *call);

/** Send what a call streams. The server has it until `ops.more` or `ops.ended` gives it back; the
 * client must be there (loop.req). */
void answer_stream(struct call *call);

/** `{"status":word}`. */
void answer_status(const struct http_site *site, h2o_req_t *req, int status, const char *word);

/** The error of a request that has no call. `retry_after_s` 0: without Retry-After. */
void answer_error(const struct http_site *site, h2o_req_t *req, int status, int retry_after_s,
                  const char *code, const char *message);

/** The answer to what the door refuses, which libh2o has not seen: its bytes into `out`; returns
 * how many, 0 when there is no room or no memory. `arg` is a struct http_site (see struct
 * entry_conf). */
size_t answer_refused(void *arg, const struct door_answer *why, struct cq_span origin, char *out,
                      size_t cap);
