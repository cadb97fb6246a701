/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/entry.h"

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

static struct cq_span input_of(const struct entry_conn *conn)
{
    return span_of(conn->sock->input->bytes, conn->sock->input->size);
}

/* ---- whose turn it is ----------------------------------------------------------------- */

static void set_aside(struct entry_conn *conn)
{
    struct entry *entry = conn->entry;

    if (conn->is_aside)
        return;
    conn->aside_prev = NULL;
    conn->aside_next = entry->aside;
    if (entry->aside)
        entry->aside->aside_prev = conn;
    entry->aside = conn;
    conn->is_aside = true;
}

static void take_from_aside(struct entry_conn *conn)
{
    if (!conn->is_aside)
        return;
    CQ_ASSERT(conn->aside_prev || conn->entry->aside == conn);
    if (conn->aside_prev)
        conn->aside_prev->aside_next = conn->aside_next;
    else
        conn->entry->aside = conn->aside_next;
    if (conn->aside_next)
        conn->aside_next->aside_prev = conn->aside_prev;
    conn->is_aside = false;
}

static void on_close(void *arg)
{
    struct entry_conn *conn = arg;

    take_from_aside(conn);
    door_leave(&conn->entry->door, &conn->door);
    conn->gone = true;
    if (!conn->inside)
        free(conn);
}

/* libh2o closes a connection, and forgets what it knows of it, when its read fails. */
static void close_conn(struct entry_conn *conn)
{
    conn->entry->http_read(conn->sock, "closed");
}

/* ---- what door.h says ----------------------------------------------------------------- */

static void rename_peer(const struct entry_conn *conn)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
    struct sockaddr_in four = { .sin_family = AF_INET };

    memcpy(&six.sin6_addr, conn->door.address.b, sizeof conn->door.address.b);
    if (address_to_v4(conn->door.address, (uint8_t *)&four.sin_addr))
        h2o_socket_setpeername(conn->sock, (struct sockaddr *)&four, sizeof four);
    else
        h2o_socket_setpeername(conn->sock, (struct sockaddr *)&six, sizeof six);
}

/* libh2o doubles a buffer that is too small, and copies it: one of the right size costs what it is
 * charged. It holds what was read so far, and nothing points into it before a request runs. */
static void make_room(struct entry_conn *conn, size_t room_n)
{
    h2o_buffer_t *old = conn->sock->input, *fresh;

    if (!room_n || old->capacity == room_n || old->size > room_n)
        return;
    h2o_buffer_init(&fresh, &h2o_socket_buffer_prototype);
    memcpy(h2o_buffer_reserve(&fresh, room_n).base, old->bytes, old->size);
    fresh->size = old->size;
    h2o_buffer_dispose(&conn->sock->input);
    conn->sock->input = fresh;
}

/* libh2o expects no answer now and has written its last one whole, so that the socket takes a few
 * bytes at once. What the client still sends is read and thrown away for a moment: closing with
 * unread bytes would reset the connection before the client has read why. */
static void refuse(struct entry_conn *conn, const struct door_answer *why)
{
    struct entry *entry = conn->entry;
    struct cq_span input = input_of(conn);
    struct request_head head = { 0 };
    char text[REFUSAL_MAX];
    size_t n;
    int fd = h2o_socket_get_fd(conn->sock);

    if (framing_read(input, &head))
        head.origin = span_of(NULL, 0);
    n = entry->conf.refusal(entry->conf.arg, why, head.origin, text, sizeof text);
    log_debug("refused", LOG_I("status", why->status), LOG_S("why", why->message));
    count_add(COUNT_REQUESTS_REFUSED, 1);
    if (send(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n ||
        shutdown(fd, SHUT_WR) != 0) {
        close_conn(conn);
        return;
    }
    h2o_buffer_consume(&conn->sock->input, conn->sock->input->size);
}

static void on_read(h2o_socket_t *sock, const char *err);

/* Put our callback where libh2o has put its own; true: libh2o waits for input. */
static bool step_in(struct entry_conn *conn)
{
    if (conn->sock->_cb.read != conn->entry->http_read)
        return false;
    conn->sock->_cb.read = on_read;
    return true;
}

/* False: the connection is gone. */
static bool pass(struct entry_conn *conn)
{
    bool head_only = conn->door.state == DOOR_BODY; /* libh2o is to say 100 */

    conn->passed = true;
    conn->inside = true;
    conn->entry->http_read(conn->sock, NULL);
    conn->inside = false;
    if (conn->gone) {
        free(conn);
        return false;
    }
    if (conn->sock->_cb.read == on_read && !head_only) {
        log_debug("framing_differs");
        close_conn(conn); /* libh2o waits for more where we have seen the end */
        return false;
    }
    set_aside(conn);
    return true;
}

/* Look at the input. Afterwards the connection may be gone. */
static void look(struct entry_conn *conn)
{
    struct entry *entry = conn->entry;

    for (;;) {
        struct door_answer answer =
            door_look(&entry->door, &conn->door, input_of(conn), entry->now_ms);

        switch (answer.verdict) {
        case DOOR_SKIP:
            h2o_buffer_consume(&conn->sock->input, answer.skip_n);
            if (answer.renamed)
                rename_peer(conn);
            if (!conn->sock->input->size)
                return;
            continue;
        case DOOR_WAIT:
            make_room(conn, answer.room_n);
            return;
        case DOOR_PASS:
            make_room(conn, answer.room_n);
            pass(conn);
            return;
        case DOOR_REFUSE:
            refuse(conn, &answer);
            return;
        case DOOR_DROP:
            close_conn(conn);
            return;
        }
    }
}

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct entry_conn *conn = sock->on_close.data;
    size_t n = sock->input->size;

    conn->entry->now_ms = clock_mono_ms();
    if (err) {
        close_conn(conn);
    } else if (conn->door.state != DOOR_REFUSED) {
        look(conn);
    } else {
        h2o_buffer_consume(&sock->input, n);
        if (!door_discard(&conn->door, n))
            close_conn(conn);
    }
}

/* ---- connections ---------------------------------------------------------------------- */

static struct cq_address address_of(h2o_socket_t *sock)
{
    struct sockaddr_storage sa = { 0 };
    struct cq_address address = { { 0 } };

    h2o_socket_getpeername(sock, (struct sockaddr *)&sa);
    if (sa.ss_family == AF_INET)
        return address_of_v4((const uint8_t *)&((struct sockaddr_in *)&sa)->sin_addr);
    if (sa.ss_family == AF_INET6)
        memcpy(address.b, &((struct sockaddr_in6 *)&sa)->sin6_addr, sizeof address.b);
    return address;
}

static bool enter(struct entry *entry, struct entry_conn *conn, struct cq_address peer)
{
    struct door_conn *instead;

    while (!door_enter(&entry->door, &conn->door, peer, entry->now_ms, &instead)) {
        count_add(COUNT_CONNECTIONS_REFUSED, 1);
        if (!instead)
            return false;
        close_conn((struct entry_conn *)instead);
    }
    return true;
}

void entry_accept(struct entry *entry, h2o_socket_t *sock)
{
    static const int unread_ms = UNREAD_MS;
    struct entry_conn *conn = calloc(1, sizeof *conn);

    entry->now_ms = clock_mono_ms();
    if (!conn || !enter(entry, conn, address_of(sock))) {
        free(conn);
        h2o_socket_close(sock);
        return;
    }
    conn->entry = entry;
    conn->sock = sock;
    sock->on_close.cb = on_close;
    sock->on_close.data = conn;
    /* else a client that does not read its answer holds its connection for ever; no harm if it
     * fails */
    if (setsockopt(h2o_socket_get_fd(sock), IPPROTO_TCP, TCP_USER_TIMEOUT, &unread_ms,
                   sizeof unread_ms) != 0)
        log_debug("no_user_timeout");
    h2o_accept(entry->conf.accept, sock);
    if (!entry->http_read)
        entry->http_read = sock->_cb.read;
    step_in(conn);
}

static void look_at_aside(struct entry *entry)
{
    struct entry_conn *next;

    for (struct entry_conn *conn = entry->aside; conn; conn = next) {
        next = conn->aside_next;
        if (!step_in(conn))
            continue;
        take_from_aside(conn);
        if (conn->door.state != DOOR_BUSY)
            continue;
        door_again(&entry->door, &conn->door, conn->sock->input->size, entry->now_ms);
        conn->passed = false;
        if (conn->sock->input->size) /* of the next request */
            look(conn);
    }
}

static void look_at_time(struct entry *entry)
{
    struct door_conn *next;

    for (struct door_conn *each = entry->door.all; each; each = next) {
        struct entry_conn *conn = (struct entry_conn *)each;
        struct door_answer answer =
            door_tick(&entry->door, each, conn->sock->input->size, entry->now_ms);

        next = each->all_next;
        if (answer.verdict == DOOR_REFUSE)
            refuse(conn, &answer);
        else if (answer.verdict == DOOR_DROP)
            close_conn(conn);
    }
}

void entry_turn(struct entry *entry, int64_t now_ms)
{
    entry->now_ms = now_ms;
    look_at_aside(entry);
    if (now_ms - entry->tick_ms < DOOR_TICK_MS)
        return;
    entry->tick_ms = now_ms;
    look_at_time(entry);
    count_set(COUNT_CONNECTIONS, entry->door.conns_n);
    count_set(COUNT_BODY_BYTES, (int64_t)entry->door.pool_used);
}

/* ---- requests ------------------------------------------------------------------------- */

const char *entry_run(h2o_req_t *req)
{
    struct entry_conn *conn = conn_of(req);
    const char *fault = door_run(&conn->entry->door, &conn->door, input_of(conn), conn->passed);

    conn->passed = false;
    return fault;
}

void entry_tunnel(h2o_req_t *req)
{
    struct entry_conn *conn = conn_of(req);

    req->http1_is_persistent = 0; /* whatever comes of it, no request is read here again */
    door_tunnel(&conn->entry->door, &conn->door);
}

struct cq_address entry_client(h2o_req_t *req)
{
    struct entry_conn *conn = conn_of(req);
    struct cq_span lists[FORWARDED_MAX];
    size_t n = 0;

    for (ssize_t i = -1; (i = h2o_find_header(&req->headers, H2O_TOKEN_X_FORWARDED_FOR, i)) >= 0;) {
        if (n == FORWARDED_MAX) /* the last ones count */
            memmove(lists, lists + 1, --n * sizeof *lists);
        lists[n++] = span_of(req->headers.entries[i].value.base, req->headers.entries[i].value.len);
    }
    return address_forwarded(conn->entry->conf.door.trusted, conn->door.address, lists, n);
}

struct entry_body *entry_take_body(h2o_socket_t *sock)
{
    struct entry_conn *conn = sock->on_close.data;
    struct entry_body *body = h2o_mem_alloc(sizeof *body); /* never NULL: it ends the process */

    body->entry = conn->entry;
    body->input = sock->input;
    body->user = conn->door.user;
    body->charge = door_take_charge(&conn->door);
    h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
    return body;
}

void entry_body_free(void *body)
{
    struct entry_body *own = body;

    h2o_buffer_dispose(&own->input);
    if (own->charge)
        door_pay(&own->entry->door, own->user, own->charge);
    free(own);
}

/* ---- life ----------------------------------------------------------------------------- */

enum cq_status entry_new(const struct entry_conf *conf, struct entry **ret)
{
    struct entry *entry = calloc(1, sizeof *entry);

    if (!entry)
        return CQ_FATAL;
    entry->conf = *conf;
    if (!door_init(&entry->door, &conf->door)) {
        free(entry);
        return CQ_FATAL;
    }
    *ret = entry;
    return CQ_OK;
}

void entry_free(struct entry *entry)
{
    if (!entry)
        return;
    door_release(&entry->door);
    free(entry);
}
