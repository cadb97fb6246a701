/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/server.h - sockets: one libwebsockets context on one libev loop, and our own listener,
 * which shares its port with other gateways (SO_REUSEPORT). The one owner of libwebsockets.h.
 */
#pragma once

#include "edge/ws/gateway.h"

struct ev_loop;

/** `listen` is "address:port". CQ_FATAL with a reason when the address or the library does not
 * work. */
CQ_MUST_CHECK enum cq_status server_new(struct gateway *gateway, struct ev_loop *loop,
                                        const char *listen, struct server **ret, char *reterr,
                                        size_t reterr_n);
void server_free(struct server *server); /* NULL is fine; closes every socket */

/** Begin, pause or resume accepting. It pauses by itself when descriptors run out. Until it has
 * begun nobody can connect. */
void server_accept(struct server *server, bool on);
bool server_is_accepting(const struct server *server);

/** About every 100 ms. */
void server_tick(struct server *server);

/** For good: the port goes to the other gateways. */
void server_stop_listening(struct server *server);

/** Most sockets that the process's descriptors allow. */
uint32_t server_sockets_max(void);

/* What conn.c may do to a socket. */

/** Whether an earlier write is not out yet. Then conn_flush is called when it is. */
bool socket_is_choked(struct conn *conn);

/** Write bytes that are whole WebSocket frames, on a socket that is not choked; what the kernel
 * does not take is copied. False: the socket is broken. */
CQ_MUST_CHECK bool socket_write(struct conn *conn, uint8_t *bytes, size_t n);

/** A valid token came: the socket is counted as its user's, and no longer as its address's. */
void socket_is_known(struct conn *conn);

/** Call conn_flush when it can be written to. */
void socket_want_write(struct conn *conn);

/** Send a close frame when possible. `reason` is copied, at most 120 bytes. */
void socket_close(struct conn *conn, int code, struct cq_span reason);

/** Cut it now; conn_gone comes inside. Not from inside a callback of the same socket. */
void socket_kill(struct conn *conn);
