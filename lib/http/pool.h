/* SPDX-License-Identifier: MIT */
/*
 * lib/http/pool.h - many requests at once over few connections: libcurl's multi interface, HTTP/2
 * where it is spoken. Requests are queued by libcurl while the server allows no more streams;
 * connections are reopened by it when they go away. A request whose outcome is unknown after that
 * is reported as unknown.
 */
#pragma once

#include "lib/base/buf.h"

struct http_pool; /* opaque; one thread */

enum { HTTP_POOL_MAX = 4096, HTTP_ANSWER_MAX = 64 * 1024, HTTP_ERROR_MAX = 128 };

struct http_answer {
    enum cq_status st;     /* CQ_OK: the server answered. CQ_AGAIN: nobody knows what it did */
    int status;            /* HTTP status, 0 without an answer */
    int64_t retry_after_s; /* 0: not said */
    struct cq_span body;   /* borrowed; cut at HTTP_ANSWER_MAX */
    const char *error;     /* words of the library when st is CQ_AGAIN; borrowed */
};

/** Called once for each started request, inside http_pool_turn(). May start others. */
typedef void http_done_fn(void *arg, uint64_t opaque, const struct http_answer *a);

struct http_pool_conf {
    int max;            /* requests in flight, at most HTTP_POOL_MAX */
    int connections;    /* to one host */
    int64_t timeout_ms; /* of one request */
    bool outside; /* requests go where clients say: https alone, to public addresses and without a
                     proxy; an answer that is long is cut off and not read to its end */
    bool private_too; /* of `outside`: addresses of one's own network, too */
    int total;        /* connections in all; 0: as many as it takes */
    bool http1; /* HTTP/1.1, one request at a time on a connection: then none waits for a connection
                   that hangs to say which protocol the server speaks */
    const char *ca_file; /* "" or NULL: the system's; copied */
    http_done_fn *done;
    void *arg;
};

struct http_request {
    const char *url;            /* https, or http for a host of the operator's own */
    const char *const *headers; /* NULL-terminated, `Name: value`; copied */
    struct cq_span body;        /* copied */
    uint64_t opaque;
};

/** CQ_FATAL when the library cannot be set up. `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status http_pool_new(const struct http_pool_conf *conf,
                                           struct http_pool **ret);

/** What is in flight is given up and not reported. NULL is fine. */
void http_pool_free(struct http_pool *pool);

/** POST. CQ_OK: `done` comes once. CQ_AGAIN: `max` are in flight, or no memory. */
CQ_MUST_CHECK enum cq_status http_pool_post(struct http_pool *pool,
                                            const struct http_request *request);

/** Move data and report the requests that ended. Waits up to `timeout_ms` for something to happen
 * there, or for one of `fds` to be readable. CQ_FATAL when the library gives up. */
CQ_MUST_CHECK enum cq_status http_pool_turn(struct http_pool *pool, const int *fds, int fds_n,
                                            int timeout_ms);

/** How many requests were posted and not reported yet. */
int http_pool_in_flight(const struct http_pool *pool);
