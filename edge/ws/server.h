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
CQ_MUST_CHECK enum cq_status server_new(struct gateway *g, struct ev_loop *loop, const char *listen,
                                        struct server **ret, char *reterr, size_t reterr_n);
void server_free(struct server *s); /* NULL is fine; closes every socket */

/** Begin, pause or go on to accept. It pauses by itself when descriptors run out. Before the first
 * time nobody can connect. */
void server_accept(struct server *s, bool on);
bool server_is_accepting(const struct server *s);

/** About every 100 ms. */
void server_tick(struct server *s);

/** For good: the port goes to the other gateways. */
void server_stop_listening(struct server *s);

/** Most sockets that the process's descriptors allow. */
uint32_t server_sockets_max(void);

/* What conn.c may do to a socket. */

/** Whether an earlier write is not out yet. Then conn_flush is called when it is. */
bool socket_is_choked(struct conn *c);

/** Write bytes that are whole WebSocket frames, on a socket that is not choked; what the kernel
 * does not take is copied. False: the socket is broken. */
CQ_MUST_CHECK bool socket_write(struct conn *c, uint8_t *bytes, size_t n);

/** A valid token came: the socket counts to its user, and to its address no more. */
void socket_is_known(struct conn *c);

/** Call conn_flush when it can be written to. */
void socket_want_write(struct conn *c);

/** Send a close frame when possible. `reason` is copied, at most 120 bytes. */
void socket_close(struct conn *c, int code, struct cq_span reason);

/** Cut it now; conn_closed comes inside. Not from inside a callback of the same socket. */
void socket_kill(struct conn *c);
