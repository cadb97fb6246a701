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

static void finish(struct proxied *p, bool good, bool known, struct cq_address client)
{
    proxied_fn *done = p->done;
    void *arg = p->arg;
    int fd = p->fd;

    ev_io_stop(p->loop, &p->readable);
    free(p);
    if (!good)
        close(fd);
    done(arg, good ? fd : -1, known, client);
}

/* Take `n` bytes, which were seen already. */
static bool take(struct proxied *p, size_t n)
{
    if (recv(p->fd, p->header + p->n, n, MSG_DONTWAIT) != (ssize_t)n)
        return false;
    p->n += n;
    return true;
}

/* What is seen and is not the whole header yet belongs to it: it is taken, so that only more of it
 * wakes the loop again. Of the piece with its end, as much is taken as is the header's. */
static void on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
    struct proxied *p = w->data;
    ssize_t got = recv(p->fd, p->header + p->n, sizeof p->header - p->n, MSG_PEEK | MSG_DONTWAIT);
    struct cq_address client = { { 0 } };
    bool known = false;
    size_t n = 0;

    (void)loop;
    (void)revents;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        finish(p, false, false, client);
        return;
    }
    switch (proxy_header_read(span_of(p->header, p->n + (size_t)got), &n, &known, &client)) {
    case PROXY_MORE:
        if (p->n + (size_t)got == sizeof p->header || !take(p, (size_t)got))
            finish(p, false, false, client);
        break;
    case PROXY_DONE:
        finish(p, take(p, n - p->n), known, client);
        break;
    case PROXY_BAD:
        finish(p, false, false, client);
        break;
    }
}

struct proxied *proxied_start(struct ev_loop *loop, int fd, proxied_fn *done, void *arg)
{
    struct proxied *p = calloc(1, sizeof *p);

    if (!p) {
        close(fd);
        return NULL;
    }
    p->loop = loop;
    p->fd = fd;
    p->done = done;
    p->arg = arg;
    ev_io_init(&p->readable, on_readable, fd, EV_READ);
    p->readable.data = p;
    ev_io_start(loop, &p->readable);
    return p;
}

void proxied_cancel(struct proxied *p)
{
    finish(p, false, false, (struct cq_address){ { 0 } });
}
