/* SPDX-License-Identifier: MIT */
#include "edge/ws/proxied.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct proxied {
    struct ev_loop *loop; /* borrowed */
    struct ev_io readable;
    int fd;
    proxied_fn *done;
    void *arg;
    size_t n;
    uint8_t header[PROXY_HEADER_MAX];
};

static void finish(struct proxied *proxied, bool good, bool known, struct cq_address client)
{
    proxied_fn *done = proxied->done;
    void *arg = proxied->arg;
    int fd = proxied->fd;

    ev_io_stop(proxied->loop, &proxied->readable);
    free(proxied);
    if (!good)
        close(fd);
    done(arg, good ? fd : -1, known, client);
}

/* Take `n` bytes, which were seen already. */
static bool take(struct proxied *proxied, size_t n)
{
    if (recv(proxied->fd, proxied->header + proxied->n, n, MSG_DONTWAIT) != (ssize_t)n)
        return false;
    proxied->n += n;
    return true;
}

/* Bytes that are seen before the header is whole belong to it. They are taken, so that only
 * further bytes wake the loop again. Of the piece in which it ends, only the header's own bytes
 * are taken. */
static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int revents)
{
    struct proxied *proxied = watcher->data;
    ssize_t got = recv(proxied->fd, proxied->header + proxied->n,
                       sizeof proxied->header - proxied->n, MSG_PEEK | MSG_DONTWAIT);
    struct cq_address client = { { 0 } };
    bool known = false;
    size_t n = 0;

    (void)loop;
    (void)revents;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        finish(proxied, false, false, client);
        return;
    }
    switch (proxy_header_read(span_of(proxied->header, proxied->n + (size_t)got), &n, &known,
                              &client)) {
    case PROXY_MORE:
        if (proxied->n + (size_t)got == sizeof proxied->header || !take(proxied, (size_t)got))
            finish(proxied, false, false, client);
        break;
    case PROXY_DONE:
        finish(proxied, take(proxied, n - proxied->n), known, client);
        break;
    case PROXY_BAD:
        finish(proxied, false, false, client);
        break;
    }
}

struct proxied *proxied_start(struct ev_loop *loop, int fd, proxied_fn *done, void *arg)
{
    struct proxied *proxied = calloc(1, sizeof *proxied);

    if (!proxied) {
        close(fd);
        return NULL;
    }
    proxied->loop = loop;
    proxied->fd = fd;
    proxied->done = done;
    proxied->arg = arg;
    ev_io_init(&proxied->readable, on_readable, fd, EV_READ);
    proxied->readable.data = proxied;
    ev_io_start(loop, &proxied->readable);
    return proxied;
}

void proxied_cancel(struct proxied *proxied)
{
    finish(proxied, false, false, (struct cq_address){ { 0 } });
}
