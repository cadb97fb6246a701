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

void gateway_now(struct gateway *g)
{
    (void)g;
}

void gateway_fail(struct gateway *g, const char *why)
{
    (void)g;
    fprintf(stderr, "ws_echo: %s\n", why);
    exit(1);
}

bool conn_check_bearer(struct gateway *g, struct conn *c, struct cq_span value)
{
    (void)g;
    (void)c;
    (void)value;
    return true;
}

bool conn_opened(struct gateway *g, struct conn *c, struct lws *wsi)
{
    c->g = g;
    c->wsi = wsi;
    buf_init(&c->rx, MESSAGE_MAX);
    buf_init(&c->replies, ECHO_WAITING_MAX);
    g->conns_n++;
    return true;
}

void conn_ended(struct conn *c)
{
    c->closing = true;
}

void conn_closed(struct conn *c)
{
    c->g->conns_n--;
    buf_release(&c->rx);
    buf_release(&c->replies);
    c->wsi = NULL;
}

void conn_received(struct conn *c, struct cq_span piece, bool first, bool last, bool binary)
{
    uint8_t head[WIRE_HEAD_MAX];
    size_t head_n;

    (void)first;
    if (c->closing)
        return;
    buf_add_span(&c->rx, piece);
    if (!last && !c->rx.failed)
        return;
    head_n = wire_head(WIRE_FIN_TEXT + (binary ? WIRE_BINARY : 0), c->rx.n, head);
    buf_add(&c->replies, head, head_n);
    buf_add_span(&c->replies, buf_span(&c->rx));
    if (c->rx.failed || c->replies.failed) {
        conn_ended(c);
        socket_close(c, CLOSE_TOO_LARGE, span_str("64 KiB at most"));
        return;
    }
    buf_clear(&c->rx);
    socket_want_write(c); /* behind a pong that the library owes */
}

void conn_flush(struct conn *c)
{
    if (!c->replies.n || c->closing)
        return;
    if (socket_is_choked(c)) {
        socket_want_write(c);
        return;
    }
    if (!socket_write(c, c->replies.p, c->replies.n))
        socket_close(c, CLOSE_GOING_AWAY, span_str("broken"));
    buf_clear(&c->replies);
}

int main(int argc, char **argv)
{
    static struct gateway g = { .conns_max = ECHO_CONNS,
                                .guests_per_address = ECHO_CONNS,
                                .origins = "*" };
    struct ev_loop *loop = ev_default_loop(0);
    char why[128] = "";

    if (argc != 2 || server_new(&g, loop, argv[1], &g.server, why, sizeof why) != CQ_OK) {
        fprintf(stderr, "ws_echo HOST:PORT %s\n", why);
        return 2;
    }
    server_accept(g.server, true);
    printf("ready\n");
    fflush(stdout);
    ev_run(loop, 0);
    return 0;
}
