/* SPDX-License-Identifier: MIT */
/*
 * lib/http/transfer.h - one request after another to another service over a kept connection, with
 * bodies of any size in both directions. Blocks; one thread.
 */
#pragma once

#include "lib/base/auto.h"
#include "lib/base/buf.h"
#include "lib/base/status.h"

struct transfer;

enum { TRANSFER_KEPT_MAX = 64 * 1024, TRANSFER_TEXT_MAX = 256 };

struct transfer *transfer_new(void); /* owned by caller; NULL without memory */
void transfer_free(struct transfer *transfer);

struct transfer_request {
    const char *method;
    const char *url;            /* http or https */
    const char *const *headers; /* lines `name: value` */
    size_t headers_n;
    struct cq_span body;
    const char *ca_file; /* PEM: what https servers are checked against; NULL: the system's */
    /** Bytes of a 2xx answer, as they come; false ends the transfer. NULL: kept in the reply. */
    bool (*sink)(void *arg, struct cq_span bytes);
    void *arg;
};

struct transfer_reply {
    int status;     /* 0: no answer */
    int64_t length; /* of the body, as announced; -1: not announced */
    char etag[TRANSFER_TEXT_MAX];
    char checksum[TRANSFER_TEXT_MAX]; /* x-amz-checksum-sha256: base64; "": not said */
    struct cq_span body; /* what was kept, at most TRANSFER_KEPT_MAX; borrowed until the next run */
};

/** Run it. CQ_OK: an answer of any status came whole. CQ_AGAIN: no connection, or it broke, or
 * nothing moved for 10 s; transfer_why() says which. CQ_POISON: the sink ended it. */
CQ_MUST_CHECK enum cq_status transfer_run(struct transfer *transfer,
                                          const struct transfer_request *req,
                                          struct transfer_reply *ret);

/** Words for a log line; borrowed until the next run. */
const char *transfer_why(const struct transfer *transfer);
