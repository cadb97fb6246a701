/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/conn.h - one connection: authentication, frames, answers. Called by server.c and
 * gateway.c on the loop.
 */
#pragma once

#include "edge/ws/gateway.h"

/** Before the upgrade: is this Authorization value (NULL: none) good? Keeps the claims. False:
 * refuse. */
CQ_MUST_CHECK bool conn_check_bearer(struct gateway *gateway, struct conn *conn,
                                     struct cq_span value);

/** The upgrade is done. False: too many connections. */
CQ_MUST_CHECK bool conn_opened(struct gateway *gateway, struct conn *conn, struct lws *wsi);

/** The handshake had a token in the address, where it must not be: conn_opened() closes it. */
void conn_misplaced_token(struct conn *conn);

/** The peer is closing, or gone: no more frames in either direction. May be called twice. */
void conn_ended(struct conn *conn);

/** Whether our close frame has to be sent now. True once for each conn_close(). */
CQ_MUST_CHECK bool conn_take_close(struct conn *conn);

/** The socket has ended: the memory goes now. */
void conn_gone(struct conn *conn);

/** A piece of a message; `last` ends it. */
void conn_received(struct conn *conn, struct cq_span piece, bool first, bool last, bool binary);

/** Send a close frame soon, and ignore whatever the peer still sends. */
void conn_close(struct conn *conn, int code, struct cq_span reason);

/** Write what waits, in one call; later if the socket is choked. */
void conn_flush(struct conn *conn);

/** About once a second. */
void conn_tick(struct conn *conn);

/** Have it flushed at the end of this turn. */
void conn_wake(struct conn *conn);

/** The sink's port: put one more frame into the write that conn_flush() makes. */
bool conn_add_frame(void *conn, struct cq_span head, struct cq_span body);

/** The sink's port: the session is over, and its socket is to be closed. */
void conn_session_over(void *conn, int code, struct cq_span reason);

/** The answer to a send. Never closes the socket, since the caller may be walking over several
 * sends. */
void conn_answer(struct conn *conn, bool stored, struct cq_span client_id, struct cq_id id);
