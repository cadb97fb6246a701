/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/http.h - the one owner of h2o.h: requests become calls, calls become answers.
 */
#pragma once

#include "edge/rest/call.h"

struct http; /* opaque; loop thread */

struct http_ops {
    void *arg;
    /** A request that is none of the static ones. Returns a call to be run (its `req` is set by
     * http), or NULL with `*status` and `*code`, `*message` (static) set. Everything is borrowed.
     */
    struct call *(*request)(void *arg, struct cq_span method, struct cq_span path,
                            struct cq_span query, struct cq_span authorization,
                            struct cq_span address, int *status, const char **code,
                            const char **message, int *retry_after_s);
    /** Run it; the call is stolen. */
    void (*start)(void *arg, struct call *c);
    /** Run its step again: what it streams is sent up to here. */
    void (*more)(void *arg, struct call *c);
    /** A streamed call is over, or its client has gone; stolen. */
    void (*ended)(void *arg, struct call *c);
    /** For /readyz. */
    bool (*ready)(void *arg);
};

struct http_conf {
    const char *listen;      /* address:port */
    const char *web_root;    /* "" for no page */
    const char *ws_upstream; /* host:port of the tunnel for /ws, "" for none */
    const char *origins;     /* allowed, comma-separated */
    const char
        *media_origin; /* where files are redirected to, for the page's policy; "": nowhere */
    size_t body_max;   /* of the largest request */
    struct http_ops ops;
};

CQ_MUST_CHECK enum cq_status http_new(const struct http_conf *conf, struct http **ret);
void http_free(struct http *h);

void http_turn(struct http *h, int wait_ms);
void http_drain(struct http *h);

/** Call `fn` on the loop thread whenever `fd` is readable. */
CQ_MUST_CHECK enum cq_status http_watch(struct http *h, int fd, void (*fn)(void *arg), void *arg);

/** Send what a call streams. http has it until `more` or `ended` gives it back; the client must be
 * there (`req`). */
void http_stream(struct http *h, struct call *c);

/** Answer a call that http made, and free it. */
void http_answer(struct http *h, struct call *c);
