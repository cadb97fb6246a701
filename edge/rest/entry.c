/* SPDX-License-Identifier: MIT */
#include "edge/rest/entry.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    REFUSAL_MAX = 1024,
    FORWARDED_MAX = 8, /* lines of X-Forwarded-For */
    UNREAD_MS = 30 * 1000,
};

struct entry {
    struct door door;
    struct entry_conf conf;
    h2o_socket_cb http_read;  /* libh2o's, known from the first connection on */
    struct entry_conn *aside; /* libh2o has put its own callback there, or will */
    int64_t now_ms, tick_ms;
};

struct entry_conn {
    struct door_conn door; /* first: one pointer is both */
    struct entry *entry;
    h2o_socket_t *sock;
    struct entry_conn *aside_prev, *aside_next;
    bool is_aside;
    bool passed; /* the request that libh2o is given was looked at */
    bool inside; /* in libh2o's callback */
    bool gone;   /* closed meanwhile */
};

struct entry_body {
    struct entry *entry;
    h2o_buffer_t *input;
    struct cq_id user;
    size_t charge;
};

static struct entry_conn *conn_of(h2o_req_t *req)
{
    return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

static struct cq_span input_of(const struct entry_conn *c)
{
    return span_of(c->sock->input->bytes, c->sock->input->size);
}

/* ---- whose turn it is ----------------------------------------------------------------- */

static void set_aside(struct entry_conn *c)
{
    struct entry *e = c->entry;

    if (c->is_aside)
        return;
    c->aside_prev = NULL;
    c->aside_next = e->aside;
    if (e->aside)
        e->aside->aside_prev = c;
    e->aside = c;
    c->is_aside = true;
}

static void take_from_aside(struct entry_conn *c)
{
    if (!c->is_aside)
        return;
    CQ_ASSERT(c->aside_prev || c->entry->aside == c);
    if (c->aside_prev)
        c->aside_prev->aside_next = c->aside_next;
    else
        c->entry->aside = c->aside_next;
    if (c->aside_next)
        c->aside_next->aside_prev = c->aside_prev;
    c->is_aside = false;
}

static void on_close(void *arg)
{
    struct entry_conn *c = arg;

    take_from_aside(c);
    door_leave(&c->entry->door, &c->door);
    c->gone = true;
    if (!c->inside)
        free(c);
}

/* libh2o closes a connection, and forgets what it knows of it, when its read fails. */
static void close_conn(struct entry_conn *c)
{
    c->entry->http_read(c->sock, "closed");
}

/* ---- what door.h says ----------------------------------------------------------------- */

static void rename_peer(const struct entry_conn *c)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
    struct sockaddr_in four = { .sin_family = AF_INET };

    memcpy(&six.sin6_addr, c->door.address.b, sizeof c->door.address.b);
    if (address_to_v4(c->door.address, (uint8_t *)&four.sin_addr))
        h2o_socket_setpeername(c->sock, (struct sockaddr *)&four, sizeof four);
    else
        h2o_socket_setpeername(c->sock, (struct sockaddr *)&six, sizeof six);
}

/* libh2o doubles a buffer that is too small, and copies it: one of the right size costs what it is
 * charged. It holds what was read so far, and nothing points into it before a request runs. */
static void make_room(struct entry_conn *c, size_t room_n)
{
    h2o_buffer_t *old = c->sock->input, *fresh;

    if (!room_n || old->capacity == room_n || old->size > room_n)
        return;
    h2o_buffer_init(&fresh, &h2o_socket_buffer_prototype);
    memcpy(h2o_buffer_reserve(&fresh, room_n).base, old->bytes, old->size);
    fresh->size = old->size;
    h2o_buffer_dispose(&c->sock->input);
    c->sock->input = fresh;
}

/* libh2o expects no answer now and has written its last one whole, so that the socket takes a few
 * bytes at once. What the client still sends is read and thrown away for a moment: closing with
 * unread bytes would reset the connection before the client has read why. */
static void refuse(struct entry_conn *c, const struct door_answer *why)
{
    struct entry *e = c->entry;
    struct cq_span input = input_of(c);
    struct request_head head = { 0 };
    char text[REFUSAL_MAX];
    size_t n;
    int fd = h2o_socket_get_fd(c->sock);

    if (framing_read(input, &head))
        head.origin = span_of(NULL, 0);
    n = e->conf.refusal(e->conf.arg, why, head.origin, text, sizeof text);
    log_debug("refused", LOG_I("status", why->status), LOG_S("why", why->message));
    count_add(COUNT_REQUESTS_REFUSED, 1);
    if (send(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n ||
        shutdown(fd, SHUT_WR) != 0) {
        close_conn(c);
        return;
    }
    h2o_buffer_consume(&c->sock->input, c->sock->input->size);
}

static void on_read(h2o_socket_t *sock, const char *err);

/* Put our callback where libh2o has put its own; true: libh2o waits for input. */
static bool step_in(struct entry_conn *c)
{
    if (c->sock->_cb.read != c->entry->http_read)
        return false;
    c->sock->_cb.read = on_read;
    return true;
}

/* False: the connection is no more. */
static bool pass(struct entry_conn *c)
{
    bool head_only = c->door.state == DOOR_BODY; /* libh2o is to say 100 */

    c->passed = true;
    c->inside = true;
    c->entry->http_read(c->sock, NULL);
    c->inside = false;
    if (c->gone) {
        free(c);
        return false;
    }
    if (c->sock->_cb.read == on_read && !head_only) {
        log_debug("framing_differs");
        close_conn(c); /* libh2o waits for more where we have seen the end */
        return false;
    }
    set_aside(c);
    return true;
}

/* What is in the input; afterwards the connection may be no more. */
static void look(struct entry_conn *c)
{
    struct entry *e = c->entry;

    for (;;) {
        struct door_answer a = door_look(&e->door, &c->door, input_of(c), e->now_ms);

        switch (a.verdict) {
        case DOOR_SKIP:
            h2o_buffer_consume(&c->sock->input, a.skip_n);
            if (a.renamed)
                rename_peer(c);
            if (!c->sock->input->size)
                return;
            continue;
        case DOOR_WAIT:
            make_room(c, a.room_n);
            return;
        case DOOR_PASS:
            make_room(c, a.room_n);
            pass(c);
            return;
        case DOOR_REFUSE:
            refuse(c, &a);
            return;
        case DOOR_DROP:
            close_conn(c);
            return;
        }
    }
}

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct entry_conn *c = sock->on_close.data;
    size_t n = sock->input->size;

    c->entry->now_ms = clock_mono_ms();
    if (err) {
        close_conn(c);
    } else if (c->door.state != DOOR_REFUSED) {
        look(c);
    } else {
        h2o_buffer_consume(&sock->input, n);
        if (!door_discard(&c->door, n))
            close_conn(c);
    }
}

/* ---- connections ---------------------------------------------------------------------- */

static struct cq_address address_of(h2o_socket_t *sock)
{
    struct sockaddr_storage sa = { 0 };
    struct cq_address a = { { 0 } };

    h2o_socket_getpeername(sock, (struct sockaddr *)&sa);
    if (sa.ss_family == AF_INET)
        return address_of_v4((const uint8_t *)&((struct sockaddr_in *)&sa)->sin_addr);
    if (sa.ss_family == AF_INET6)
        memcpy(a.b, &((struct sockaddr_in6 *)&sa)->sin6_addr, sizeof a.b);
    return a;
}

static bool enter(struct entry *e, struct entry_conn *c, struct cq_address peer)
{
    struct door_conn *instead;

    while (!door_enter(&e->door, &c->door, peer, e->now_ms, &instead)) {
        count_add(COUNT_CONNECTIONS_REFUSED, 1);
        if (!instead)
            return false;
        close_conn((struct entry_conn *)instead);
    }
    return true;
}

void entry_accept(struct entry *e, h2o_socket_t *sock)
{
    static const int unread_ms = UNREAD_MS;
    struct entry_conn *c = calloc(1, sizeof *c);

    e->now_ms = clock_mono_ms();
    if (!c || !enter(e, c, address_of(sock))) {
        free(c);
        h2o_socket_close(sock);
        return;
    }
    c->entry = e;
    c->sock = sock;
    sock->on_close.cb = on_close;
    sock->on_close.data = c;
    /* who does not read its answer would hold its connection for ever; failing is no harm */
    if (setsockopt(h2o_socket_get_fd(sock), IPPROTO_TCP, TCP_USER_TIMEOUT, &unread_ms,
                   sizeof unread_ms) != 0)
        log_debug("no_user_timeout");
    h2o_accept(e->conf.accept, sock);
    if (!e->http_read)
        e->http_read = sock->_cb.read;
    step_in(c);
}

static void look_at_aside(struct entry *e)
{
    struct entry_conn *next;

    for (struct entry_conn *c = e->aside; c; c = next) {
        next = c->aside_next;
        if (!step_in(c))
            continue;
        take_from_aside(c);
        if (c->door.state != DOOR_BUSY)
            continue;
        door_again(&e->door, &c->door, c->sock->input->size, e->now_ms);
        c->passed = false;
        if (c->sock->input->size) /* of the next request */
            look(c);
    }
}

static void look_at_time(struct entry *e)
{
    struct door_conn *next;

    for (struct door_conn *d = e->door.all; d; d = next) {
        struct entry_conn *c = (struct entry_conn *)d;
        struct door_answer a = door_tick(&e->door, d, c->sock->input->size, e->now_ms);

        next = d->all_next;
        if (a.verdict == DOOR_REFUSE)
            refuse(c, &a);
        else if (a.verdict == DOOR_DROP)
            close_conn(c);
    }
}

void entry_turn(struct entry *e, int64_t now_ms)
{
    e->now_ms = now_ms;
    look_at_aside(e);
    if (now_ms - e->tick_ms < DOOR_TICK_MS)
        return;
    e->tick_ms = now_ms;
    look_at_time(e);
    count_set(COUNT_CONNECTIONS, e->door.conns_n);
    count_set(COUNT_BODY_BYTES, (int64_t)e->door.pool_used);
}

/* ---- requests ------------------------------------------------------------------------- */

const char *entry_run(h2o_req_t *req)
{
    struct entry_conn *c = conn_of(req);
    const char *fault = door_run(&c->entry->door, &c->door, input_of(c), c->passed);

    c->passed = false;
    return fault;
}

void entry_tunnel(h2o_req_t *req)
{
    struct entry_conn *c = conn_of(req);

    req->http1_is_persistent = 0; /* whatever comes of it, no request is read here again */
    door_tunnel(&c->entry->door, &c->door);
}

struct cq_address entry_client(h2o_req_t *req)
{
    struct entry_conn *c = conn_of(req);
    struct cq_span lists[FORWARDED_MAX];
    size_t n = 0;

    for (ssize_t i = -1; (i = h2o_find_header(&req->headers, H2O_TOKEN_X_FORWARDED_FOR, i)) >= 0;) {
        if (n == FORWARDED_MAX) /* the right-most count */
            memmove(lists, lists + 1, --n * sizeof *lists);
        lists[n++] = span_of(req->headers.entries[i].value.base, req->headers.entries[i].value.len);
    }
    return address_forwarded(c->entry->conf.door.trusted, c->door.address, lists, n);
}

struct entry_body *entry_take_body(h2o_socket_t *sock)
{
    struct entry_conn *c = sock->on_close.data;
    struct entry_body *b = h2o_mem_alloc(sizeof *b); /* or ends the process */

    b->entry = c->entry;
    b->input = sock->input;
    b->user = c->door.user;
    b->charge = door_take_charge(&c->door);
    h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
    return b;
}

void entry_body_free(void *body)
{
    struct entry_body *b = body;

    h2o_buffer_dispose(&b->input);
    if (b->charge)
        door_pay(&b->entry->door, b->user, b->charge);
    free(b);
}

/* ---- life ----------------------------------------------------------------------------- */

enum cq_status entry_new(const struct entry_conf *conf, struct entry **ret)
{
    struct entry *e = calloc(1, sizeof *e);

    if (!e)
        return CQ_FATAL;
    e->conf = *conf;
    if (!door_init(&e->door, &conf->door)) {
        free(e);
        return CQ_FATAL;
    }
    *ret = e;
    return CQ_OK;
}

void entry_free(struct entry *e)
{
    if (!e)
        return;
    door_release(&e->door);
    free(e);
}
