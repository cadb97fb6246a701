/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/conn.h - one connection: authentication, frames, answers. Called by server.c and
 * gateway.c on the loop.
 */
#pragma once

#include "edge/ws/gateway.h"

/** Before the upgrade: is this Authorization value (NULL: none) good? Keeps the claims. False:
 * refuse. */
CQ_MUST_CHECK bool conn_check_bearer(struct gateway *g, struct conn *c, struct cq_span value);

/** The upgrade is done. False: too many connections. */
CQ_MUST_CHECK bool conn_opened(struct gateway *g, struct conn *c, struct lws *wsi);

/** The peer is closing, or gone: no more frames in either direction. May be called twice. */
void conn_ended(struct conn *c);

/** The memory goes now. */
void conn_closed(struct conn *c);

/** A piece of a message; `last` ends it. */
void conn_received(struct conn *c, struct cq_span piece, bool first, bool last, bool binary);

/** Send a close frame soon, and ignore whatever the peer still sends. */
void conn_close(struct conn *c, int code, struct cq_span reason);

/** Write what waits, in one call; later if the socket is choked. */
void conn_flush(struct conn *c);

/** About once a second. */
void conn_tick(struct conn *c);

/** Mark for the flush at the end of this turn. */
void conn_wake(struct conn *c);

/** The sink's port: one more frame into the write that conn_flush puts together; the session is
 * over. */
bool conn_add_frame(void *conn, struct cq_span head, struct cq_span body);
void conn_session_over(void *conn, int code, struct cq_span reason);

/** The answer to a send. Never closes the socket, since the caller may be walking over several
 * sends. */
void conn_answer(struct conn *c, bool stored, struct cq_span client_id, struct cq_id id);
