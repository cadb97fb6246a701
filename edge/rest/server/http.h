/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/http.h - the server, on libh2o: it listens, turns the loop, and hands requests
 * to http_request.c, which makes calls of them, and calls to http_answer.c.
 */
#pragma once

#include "edge/rest/server/http_ops.h"

struct http; /* opaque; loop thread */

struct http_conf {
    const struct api_conf *api; /* for what answers OPTIONS */
    const char *listen;         /* address:port */
    const char *web_root;       /* "" for no page */
    const char *ws_upstream;    /* host:port of the tunnel for /ws, "" for none */
    const char *origins;        /* allowed, comma-separated */
    const char *media_origin;   /* files are redirected there, for the page's policy; "": nowhere */
    struct door_conf door;      /* all but `grant` */
    struct http_ops ops;
};

/** Listen and answer. `conf`'s texts are borrowed. `*ret` is owned by the caller. CQ_FATAL: the
 * address cannot be had (logged at debug), or no memory. */
CQ_MUST_CHECK enum cq_status http_new(const struct http_conf *conf, struct http **ret);

/** Connections that are still open end with the process. NULL is fine. */
void http_free(struct http *http);

/** Run what is due, waiting for it `wait_ms` at most. */
void http_turn(struct http *http, int wait_ms);

/** Stop listening; connections end with the answer under way. */
void http_drain(struct http *http);

/** Call `fn` on the loop thread whenever `fd` is readable; `fd` stays the caller's. CQ_FATAL: too
 * many of them, or no descriptor left. */
CQ_MUST_CHECK enum cq_status http_watch(struct http *http, int fd, void (*fn)(void *arg),
                                        void *arg);
