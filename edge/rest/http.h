/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/http.h - the one owner of h2o.h: requests become calls, calls become answers.
 */
#pragma once

#include "edge/rest/call.h"
#include "edge/rest/door.h"

struct http; /* opaque; loop thread */

/** A request that is none of the static ones. Borrowed. */
struct http_request {
    struct cq_span method, path, query, authorization;
    struct cq_id client; /* key of the client's address */
};

/** Why there is no call for it. The texts are static. */
struct http_refusal {
    int status, retry_after_s;
    const char *code, *message;
    char allow[64]; /* methods, for 405; "" for none */
};

struct http_ops {
    void *arg;
    /** Returns a call to be run (its `req` is set by http), or NULL with *ret set. */
    struct call *(*request)(void *arg, const struct http_request *in, struct http_refusal *ret);
    /** See struct door_conf. */
    struct door_grant (*grant)(void *arg, const struct request_head *head);
    /** Run it; the call is stolen. */
    void (*start)(void *arg, struct call *c);
    /** Run its step again: what it streams is sent up to here. */
    void (*more)(void *arg, struct call *c);
    /** A streamed call is over, or its client has gone; stolen. */
    void (*ended)(void *arg, struct call *c);
    /** A request is answered with a status of 500 or above: told to the log. Borrowed. */
    void (*failed)(void *arg, const struct call *c);
    /** For /readyz: a static word for the state, and whether it is 200 or 503. */
    const char *(*ready)(void *arg, bool *ret_ready);
};

struct http_conf {
    const char *listen;      /* address:port */
    const char *web_root;    /* "" for no page */
    const char *ws_upstream; /* host:port of the tunnel for /ws, "" for none */
    const char *origins;     /* allowed, comma-separated */
    const char
        *media_origin;      /* where files are redirected to, for the page's policy; "": nowhere */
    int64_t tus_part_bytes; /* largest piece of a file, 0: no files; what OPTIONS says of tus */
    int64_t tus_max_bytes;  /* largest file */
    struct door_conf door;  /* all but `grant` */
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
