/* SPDX-License-Identifier: MIT */
/*
 * tests/long/echo.c - edge/ws/server.c as it is shipped, with an echo where conn.c and gateway.c
 * are: what Autobahn's cases want from a server. `ws_echo HOST:PORT` serves until it is ended.
 * Never part of chasqui.
 */
#include "edge/ws/conn.h"
#include "edge/ws/reply.h"
#include "edge/ws/server.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

enum { ECHO_CONNS = 256, ECHO_WAITING_MAX = 1024 * 1024, MESSAGE_MAX = 64 * 1024, WIRE_BINARY = 1 };

void gateway_now(struct gateway *gateway)
{
    (void)gateway;
}

void gateway_fail(struct gateway *gateway, const char *why)
{
    (void)gateway;
    fprintf(stderr, "ws_echo: %s\n", why);
    exit(1);
}

bool conn_check_bearer(struct gateway *gateway, struct conn *conn, struct cq_span value)
{
    (void)gateway;
    (void)conn;
    (void)value;
    return true;
}

bool conn_opened(struct gateway *gateway, struct conn *conn, struct lws *wsi)
{
    conn_state_move(&conn->state, CONN_GUEST);
    conn->gateway = gateway;
    conn->wsi = wsi;
    buf_init(&conn->rx, MESSAGE_MAX);
    buf_init(&conn->replies, ECHO_WAITING_MAX);
    gateway->conns_n++;
    return true;
}

void conn_misplaced_token(struct conn *conn)
{
    (void)conn;
}

void conn_ended(struct conn *conn)
{
    if (conn_state_is_live(conn->state))
        conn_state_move(&conn->state, CONN_CLOSED);
}

static void close_soon(struct conn *conn, int code, struct cq_span reason)
{
    conn_state_move(&conn->state, CONN_CLOSING);
    socket_close(conn, code, reason);
}

bool conn_take_close(struct conn *conn)
{
    if (conn->state != CONN_CLOSING)
        return false;
    conn_state_move(&conn->state, CONN_CLOSED);
    return true;
}

void conn_gone(struct conn *conn)
{
    conn_state_move(&conn->state, CONN_GONE);
    conn->gateway->conns_n--;
    buf_release(&conn->rx);
    buf_release(&conn->replies);
    conn->wsi = NULL;
}

void conn_received(struct conn *conn, struct cq_span piece, bool first, bool last, bool binary)
{
    uint8_t head[WIRE_HEAD_MAX];
    size_t head_n;

    (void)first;
    if (!conn_state_is_live(conn->state))
        return;
    buf_add_span(&conn->rx, piece);
    if (!last && !conn->rx.failed)
        return;
    head_n = wire_head(WIRE_FIN_TEXT + (binary ? WIRE_BINARY : 0), conn->rx.n, head);
    buf_add(&conn->replies, head, head_n);
    buf_add_span(&conn->replies, buf_span(&conn->rx));
    if (conn->rx.failed || conn->replies.failed) {
        close_soon(conn, CLOSE_TOO_LARGE, span_str("64 KiB at most"));
        return;
    }
    buf_clear(&conn->rx);
    socket_want_write(conn); /* behind a pong that the library owes */
}

void conn_flush(struct conn *conn)
{
    if (!conn->replies.n || !conn_state_is_live(conn->state))
        return;
    if (socket_is_choked(conn)) {
        socket_want_write(conn);
        return;
    }
    if (!socket_write(conn, conn->replies.p, conn->replies.n))
        close_soon(conn, CLOSE_GOING_AWAY, span_str("broken"));
    buf_clear(&conn->replies);
}

int main(int argc, char **argv)
{
    static struct gateway gateway = { .conns_max = ECHO_CONNS,
                                      .guests_per_address = ECHO_CONNS,
                                      .origins = "*" };
    struct ev_loop *loop = ev_default_loop(0);
    char why[128] = "";

    if (argc != 2 ||
        server_new(&gateway, loop, argv[1], &gateway.server, why, sizeof why) != CQ_OK) {
        fprintf(stderr, "ws_echo HOST:PORT %s\n", why);
        return 2;
    }
    server_accept(gateway.server, true);
    printf("ready\n");
    fflush(stdout);
    ev_run(loop, 0);
    return 0;
}
