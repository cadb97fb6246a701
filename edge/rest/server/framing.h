/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/framing.h - the head of a request, read strictly (pure). Whatever two readers of
 * one stream could understand differently is refused: libh2o 2.2 takes the first of two
 * Content-Lengths, the last of two Hosts and either line end, and a proxy in front that chooses
 * otherwise would see other requests on the same connection than we do.
 */
#pragma once

#include "lib/base/span.h"

/** What of a head matters before its body is read. Spans point into the bytes that were read. */
struct request_head {
    struct cq_span method;
    struct cq_span target;        /* with its query */
    struct cq_span authorization; /* {NULL,0}: absent; the same for origin */
    struct cq_span origin;
    size_t n;              /* bytes up to and with the empty line */
    uint64_t body_n;       /* of Content-Length; 0 when there is none */
    bool chunked;          /* the body's length comes with the body */
    bool expects_continue; /* the client waits for 100 before it sends the body */
};

enum head_scan { HEAD_MORE, HEAD_WHOLE, HEAD_BAD };

/** Look for the end of the head in `raw`, of which `seen_n` bytes were looked at before and had
 * none. HEAD_BAD: a line feed without its carriage return, or two empty lines in front. */
enum head_scan framing_scan(struct cq_span raw, size_t seen_n);

/**
 * Read the head at the start of `raw`, which may go on with the body; header names in either case.
 * NULL when it is plain, and *ret is set; else a static reason. Refused are: a line that does not
 * end in CRLF or no empty line, a request line other than `METHOD target HTTP/1.0 or 1.1`, `%00` in
 * the path, a folded line, a name that is no token, a control character in a value; more than one
 * Host, Content-Length, Transfer-Encoding or Authorization, both of the lengths, a length that is
 * no number of at most 15 digits, a Transfer-Encoding other than `chunked`, or any in HTTP/1.0; no
 * Host in HTTP/1.1; an Upgrade to anything but `websocket`, and HTTP2-Settings.
 */
const char *framing_read(struct cq_span raw, struct request_head *ret);
