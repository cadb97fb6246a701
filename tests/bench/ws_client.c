/* SPDX-License-Identifier: MIT */
#include "tests/bench/ws_client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10, NO_CLOSE_FRAME = 1006 };

/* Not zero: servers skip the unmasking of a zero key, which browsers never send. */
static const uint8_t mask[8] = { 0x5a, 0xc3, 0x17, 0x99, 0x5a, 0xc3, 0x17, 0x99 };

bool ws_open(struct ws_conn *conn, const struct sockaddr_in *from, const struct sockaddr_in *to)
{
    int on = 1;

    buf_init(&conn->out, WS_OUT_MAX);
    buf_init(&conn->rest, WS_FRAME_MAX + 64);
    conn->close_code = 0;
    conn->wants_out = false;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0)
        return false;
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* Let connect() choose the port, by the whole address pair. */
    setsockopt(conn->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(conn->fd, (const struct sockaddr *)from, sizeof *from) ||
        (connect(conn->fd, (const struct sockaddr *)to, sizeof *to) && errno != EINPROGRESS)) {
        close(conn->fd);
        return false;
    }
    conn->state = WS_CONNECTING;
    return true;
}

void ws_close(struct ws_conn *conn)
{
    if (conn->state == WS_CLOSED)
        return;
    close(conn->fd);
    buf_release(&conn->out);
    buf_release(&conn->rest);
    conn->state = WS_CLOSED;
    if (!conn->close_code)
        conn->close_code = NO_CLOSE_FRAME;
}

bool ws_begin_upgrade(struct ws_conn *conn, const char *host)
{
    int err = 0;
    socklen_t n = sizeof err;

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &err, &n) || err)
        return false;
    buf_printf(&conn->out,
               "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Y2hhc3F1aSBsb2FkIGdlbg==\r\n\r\n",
               host);
    conn->state = WS_UPGRADING;
    return true;
}

static bool frame_add(struct ws_conn *conn, uint8_t opcode, struct cq_span body)
{
    size_t head = body.n < 126 ? 6 : 8, i = 0;
    uint8_t *p = buf_reserve(&conn->out, head + body.n);

    if (!p)
        return false;
    p[0] = 0x80 | opcode;
    if (body.n < 126) {
        p[1] = 0x80 | (uint8_t)body.n;
    } else {
        p[1] = 0x80 | 126;
        p[2] = (uint8_t)(body.n >> 8);
        p[3] = (uint8_t)body.n;
    }
    memcpy(p + head - 4, mask, 4);
    for (; i + 8 <= body.n; i += 8) {
        uint64_t value, keyed;
        memcpy(&value, body.p + i, 8);
        memcpy(&keyed, mask, 8);
        value ^= keyed;
        memcpy(p + head + i, &value, 8);
    }
    for (; i < body.n; i++)
        p[head + i] = body.p[i] ^ mask[i % 4];
    conn->out.n += head + body.n;
    return true;
}

bool ws_text(struct ws_conn *conn, struct cq_span text)
{
    return text.n <= WS_FRAME_MAX - 1 && frame_add(conn, OP_TEXT, text);
}

bool ws_flush(struct ws_conn *conn)
{
    ssize_t n;

    if (conn->out.failed)
        return false;
    if (conn->out.n == 0)
        return true;
    n = send(conn->fd, conn->out.p, conn->out.n, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if ((size_t)n < conn->out.n)
        memmove(conn->out.p, conn->out.p + n, conn->out.n - (size_t)n);
    conn->out.n -= (size_t)n;
    return true;
}

/* Bytes of the response head, 0 while it is incomplete, -1 when it is no 101. */
static ssize_t upgrade_head(struct cq_span in)
{
    const uint8_t *end = memmem(in.p, in.n, "\r\n\r\n", 4);

    if (in.n >= 12 && memcmp(in.p, "HTTP/1.1 101", 12) != 0)
        return -1;
    return end ? end + 4 - in.p : 0;
}

/* One frame off the front of `in`. Returns its whole size, 0 while incomplete, -1 when
 * malformed. */
static ssize_t frame_parse(struct cq_span in, uint8_t *ret_opcode, struct cq_span *ret_body)
{
    size_t head = 2, n;

    if (in.n < 2)
        return 0;
    n = in.p[1] & 0x7f;
    if (!(in.p[0] & 0x80) || (in.p[1] & 0x80) || n == 127)
        return -1; /* fragments, masked server frames and frames of 64 KiB are not in the
                    * protocol */
    if (n == 126) {
        if (in.n < 4)
            return 0;
        n = (size_t)in.p[2] << 8 | in.p[3];
        head = 4;
    }
    if (in.n < head + n)
        return 0;
    *ret_opcode = in.p[0] & 0x0f;
    *ret_body = span_of(in.p + head, n);
    return (ssize_t)(head + n);
}

static bool frame_take(struct ws_conn *conn, uint8_t opcode, struct cq_span body, ws_text_fn *fn,
                       void *arg)
{
    if (opcode == OP_TEXT) {
        fn(arg, conn, body);
    } else if (opcode == OP_PING) {
        return frame_add(conn, OP_PONG, body);
    } else if (opcode == OP_CLOSE) {
        conn->close_code = body.n >= 2 ? body.p[0] << 8 | body.p[1] : NO_CLOSE_FRAME;
        return false;
    }
    return true;
}

/* Frames of `in` from the front. False: the connection is gone. `*ret_used`: bytes done with. */
static bool frames_take(struct ws_conn *conn, struct cq_span in, ws_text_fn *fn, void *arg,
                        size_t *ret_used)
{
    size_t used = 0;

    if (conn->state == WS_UPGRADING) {
        ssize_t head = upgrade_head(in);
        if (head < 0)
            return false;
        used = (size_t)head;
        if (head > 0)
            conn->state = WS_OPEN;
    }
    while (conn->state == WS_OPEN) {
        uint8_t opcode;
        struct cq_span body;
        ssize_t n = frame_parse(span_of(in.p + used, in.n - used), &opcode, &body);

        if (n < 0)
            return false;
        if (n == 0)
            break;
        used += (size_t)n;
        if (!frame_take(conn, opcode, body, fn, arg))
            return false;
    }
    *ret_used = used;
    return true;
}

bool ws_read(struct ws_conn *conn, ws_text_fn *fn, void *arg)
{
    static uint8_t bytes[WS_FRAME_MAX + 64 + WS_READ_BYTES]; /* one thread */
    size_t kept = conn->rest.n, used = 0;
    enum ws_state before = conn->state;
    ssize_t n;

    if (kept)
        memcpy(bytes, conn->rest.p, kept);
    n = recv(conn->fd, bytes + kept, WS_READ_BYTES, 0);
    if (n == 0)
        return false;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (!frames_take(conn, span_of(bytes, kept + (size_t)n), fn, arg, &used))
        return false;
    if (before == WS_UPGRADING && conn->state == WS_OPEN)
        fn(arg, conn, span_str("")); /* the upgrade is done */
    buf_clear(&conn->rest);
    buf_add(&conn->rest, bytes + used, kept + (size_t)n - used);
    return !conn->rest.failed;
}
