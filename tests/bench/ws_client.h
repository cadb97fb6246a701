/* SPDX-License-Identifier: MIT */
/*
 * tests/bench/ws_client.h - the least WebSocket client (RFC 6455) that a load generator needs:
 * non-blocking, masked text frames out, several frames a read and a write, no extensions.
 */
#pragma once

#include "lib/base/buf.h"

#include <netinet/in.h>

enum {
    WS_READ_BYTES = 256 * 1024, /* one read(2), shared by all sockets */
    WS_OUT_MAX = 4 * 1024 * 1024,
    WS_FRAME_MAX = 64 * 1024,
};

enum ws_state { WS_CLOSED, WS_CONNECTING, WS_UPGRADING, WS_OPEN };

struct ws_conn {
    int fd;
    enum ws_state state;
    bool wants_out;     /* EPOLLOUT is armed */
    int close_code;     /* of the server's close frame; 1006 without one; 0 while open */
    struct cq_buf out;  /* to be written */
    struct cq_buf rest; /* start of a frame whose end has not come */
};

/** One whole text frame; `text` is borrowed. */
typedef void ws_text_fn(void *arg, struct ws_conn *c, struct cq_span text);

/** Begin to connect from `from` (port 0) to `to`; false when the kernel refuses. Ends in
 * WS_CONNECTING. */
bool ws_open(struct ws_conn *conn, const struct sockaddr_in *from, const struct sockaddr_in *to);
void ws_close(struct ws_conn *conn);

/** The socket became writable first: queue the upgrade request. False: it did not connect. */
bool ws_begin_upgrade(struct ws_conn *conn, const char *host);

/** Queue a masked text frame. False: the out buffer is full. */
bool ws_text(struct ws_conn *conn, struct cq_span text);

/** Write what is queued. False: the connection is gone. What is left waits for writability. */
bool ws_flush(struct ws_conn *conn);

/** One read(2) and `fn` for each whole text frame in it. False: the connection is gone. */
bool ws_read(struct ws_conn *conn, ws_text_fn *fn, void *arg);
