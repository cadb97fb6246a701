/* SPDX-License-Identifier: MIT */
#include "edge/ws/server.h"

#include "edge/ws/conn.h"
#include "edge/ws/guests.h"
#include "edge/ws/proxied.h"
#include "lib/base/count.h"
#include "lib/base/listen.h"
#include "lib/base/log.h"
#include "lib/base/origin.h"

#include <errno.h>
#include <ev.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    ACCEPTS_A_TURN = 64,
    RX_BYTES = 1024, /* bytes of one read; each idle socket holds a buffer of this size */
    HEADERS_MAX = 4096,
    HEADER_VALUE_MAX = TOKEN_TEXT_MAX + 16,
    HANDSHAKE_SECONDS = 10,
    DESCRIPTORS_KEPT = 128, /* for Kafka, logs and the rest */
    REASON_MAX = 120,
    HOST_MAX = 272, /* a name of 255, and a port */
    KEY_TEXT = 24,  /* 16 bytes in base64 */
};

/* One socket, from the accept to its end; libwebsockets' opaque pointer. */
struct visit {
    struct guest guest; /* first: one pointer is both */
    struct server *server;
    struct lws *wsi;         /* borrowed; NULL before libwebsockets has it */
    struct proxied *proxied; /* owned; while a PROXY header is read */
};

struct server {
    struct gateway *g;
    struct guests guests;
    uint32_t open_n;             /* visits */
    struct ev_loop *loop;        /* borrowed */
    struct lws_context *context; /* owned */
    struct lws_vhost *vhost;
    struct ev_io accept;
    int listener; /* bound; -1: closed for good */
    bool listening;
    bool accepting;
};

/* ---- the handshake -------------------------------------------------------------------- */

/* A whole answer, after which the connection ends. libwebsockets would only hang up on a refused
 * upgrade. `headers` are lines with their ends, or "". */
static int answer(struct lws *wsi, const char *status, const char *headers, const char *body)
{
    unsigned char text[LWS_PRE + 200];
    int n = snprintf((char *)text + LWS_PRE, sizeof text - LWS_PRE,
                     "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: "
                     "%zu\r\nConnection: close\r\n%s\r\n%s",
                     status, strlen(body), headers, body);

    lws_write(wsi, text + LWS_PRE, (size_t)n, LWS_WRITE_HTTP_HEADERS);
    return -1;
}

static int refuse(struct lws *wsi, const char *status)
{
    return answer(wsi, status, "", "");
}

/* The library takes any version and any key, and joins repeated headers with commas. */
static bool is_version_13(struct lws *wsi)
{
    char value[4];

    return lws_hdr_total_length(wsi, WSI_TOKEN_VERSION) == 2 &&
           lws_hdr_copy(wsi, value, sizeof value, WSI_TOKEN_VERSION) == 2 &&
           memcmp(value, "13", 2) == 0;
}

/* One Host, one key of 16 bytes in base64, no body: nothing that a proxy could read in another
 * way. */
static bool is_plain_upgrade(struct lws *wsi)
{
    char host[HOST_MAX];
    int n = lws_hdr_copy(wsi, host, sizeof host, WSI_TOKEN_HOST);

    return n > 0 && !memchr(host, ',', (size_t)n) &&
           lws_hdr_total_length(wsi, WSI_TOKEN_KEY) == KEY_TEXT &&
           !lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) &&
           !lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING);
}

static bool is_our_path(struct lws *wsi)
{
    char uri[8];

    return lws_hdr_copy(wsi, uri, sizeof uri, WSI_TOKEN_GET_URI) == 3 && strcmp(uri, "/ws") == 0;
}

/* Behind a trusted proxy the client's address is what the proxy says. False: too many of that
 * address. */
static bool name_client(struct gateway *g, struct lws *wsi)
{
    struct visit *v = lws_get_opaque_user_data(wsi);
    char value[HEADER_VALUE_MAX];
    int n = lws_hdr_copy(wsi, value, sizeof value, WSI_TOKEN_X_FORWARDED_FOR);
    struct cq_span list;

    if (n <= 0 || !v || !address_is_in(&g->trusted, v->guest.address))
        return true;
    list = span_of(value, (size_t)n);
    return guests_rename(&v->server->guests, &v->guest,
                         address_forwarded(&g->trusted, v->guest.address, &list, 1));
}

static bool has_token_in_query(struct lws *wsi)
{
    static const char *const names[] = { "token=", "access_token=", "jwt=", "authorization=" };
    char value[TOKEN_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (lws_get_urlarg_by_name(wsi, names[i], value, sizeof value))
            return true;
    return false;
}

/* Before the upgrade. Nonzero: hang up. `c` is zeroed, and there is no conn_opened() yet. */
static int on_handshake(struct gateway *g, struct lws *wsi, struct conn *c)
{
    char value[HEADER_VALUE_MAX];
    int n;

    if (lws_get_network_wsi(wsi) != wsi)
        return -1; /* inside HTTP/2: our raw writes would break its framing */
    if (!is_our_path(wsi))
        return refuse(wsi, "404 Not Found");
    if (!is_plain_upgrade(wsi))
        return refuse(wsi, "400 Bad Request");
    if (!is_version_13(wsi))
        return answer(wsi, "426 Upgrade Required",
                      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", "");
    if (g->draining || g->conns_n == g->conns_max)
        return refuse(wsi, "503 Service Unavailable");
    if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN)) {
        n = lws_hdr_copy(wsi, value, sizeof value, WSI_TOKEN_ORIGIN);
        if (n < 0 || !origin_is_allowed(g->origins, span_of(value, (size_t)n)))
            return refuse(wsi, "403 Forbidden");
    }
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_AUTHORIZATION)) {
        n = lws_hdr_copy(wsi, value, sizeof value, WSI_TOKEN_HTTP_AUTHORIZATION);
        if (n < 0 || !conn_check_bearer(g, c, span_of(value, (size_t)n)))
            return refuse(wsi, "401 Unauthorized");
    } else if (!name_client(g, wsi)) {
        count_add(COUNT_CONNECTIONS_REFUSED, 1);
        return refuse(wsi, "429 Too Many Requests");
    }
    c->token_in_query = has_token_in_query(wsi);
    return 0;
}

/* ---- visits --------------------------------------------------------------------------- */

static void end_visit(struct visit *v)
{
    guests_leave(&v->server->guests, &v->guest);
    v->server->open_n--;
    free(v);
}

static void adopt(struct visit *v, int fd)
{
    struct lws *wsi = lws_adopt_socket_vhost(v->server->vhost, fd);

    if (!wsi) { /* closed by the library */
        v->server->g->refused++;
        end_visit(v);
        return;
    }
    v->wsi = wsi;
    lws_set_opaque_user_data(wsi, v);
}

static void on_proxied(void *arg, int fd, bool known, struct cq_address client)
{
    struct visit *v = arg;

    v->proxied = NULL;
    if (fd >= 0 && known && !guests_rename(&v->server->guests, &v->guest, client)) {
        count_add(COUNT_CONNECTIONS_REFUSED, 1);
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        end_visit(v);
    else
        adopt(v, fd);
}

/* The socket that has been here longest without a token is closed to make room. */
static bool make_room(struct server *s)
{
    struct visit *v = (struct visit *)s->guests.first;

    if (!v)
        return false;
    count_add(COUNT_CONNECTIONS_REFUSED, 1);
    if (v->proxied)
        proxied_cancel(v->proxied);
    else
        lws_set_timeout(v->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
    return s->open_n < s->g->conns_max;
}

static void welcome(struct server *s, int fd, struct cq_address peer)
{
    struct visit *v = NULL;

    if (s->open_n < s->g->conns_max || make_room(s))
        v = calloc(1, sizeof *v);
    if (!v || !guests_enter(&s->guests, &v->guest, peer, s->g->mono_ms)) {
        count_add(COUNT_CONNECTIONS_REFUSED, 1);
        close(fd);
        free(v);
        return;
    }
    v->server = s;
    s->open_n++;
    if (!s->g->proxy_protocol || !address_is_in(&s->g->trusted, peer))
        adopt(v, fd);
    else if (!(v->proxied = proxied_start(s->loop, fd, on_proxied, v)))
        end_visit(v);
}

static void cancel_proxied(struct server *s, int64_t older_than_ms)
{
    struct guest *next;

    for (struct guest *x = s->guests.first; x && x->since_ms <= older_than_ms; x = next) {
        struct visit *v = (struct visit *)x;

        next = x->next;
        if (v->proxied)
            proxied_cancel(v->proxied);
    }
}

void server_tick(struct server *s)
{
    cancel_proxied(s, s->g->mono_ms - HANDSHAKE_SECONDS * 1000);
}

void socket_is_known(struct conn *c)
{
    struct visit *v = lws_get_opaque_user_data(c->wsi);

    if (v)
        guests_leave(&v->server->guests, &v->guest);
}

/* ---- events --------------------------------------------------------------------------- */

static int on_plain_http(struct lws *wsi, const char *path)
{
    return path && strcmp(path, "/healthz") == 0 ? answer(wsi, "200 OK", "", "ok")
                                                 : refuse(wsi, "404 Not Found");
}

static int on_receive(struct lws *wsi, struct conn *c, const void *in, size_t n)
{
    /* In pieces: `first` is of the message, and its end is the end of the last fragment. */
    conn_received(c, span_of(in, n), lws_is_first_fragment(wsi) && !c->rx.n,
                  lws_is_final_fragment(wsi) && !lws_remaining_packet_payload(wsi),
                  lws_frame_is_binary(wsi));
    return 0;
}

/* The peer's close frame: nothing, or a code and a reason in UTF-8. The library judges the codes
 * and most of the text, not a sequence that ends early. Nonzero: it is closed with our own code. */
static int on_peer_close(struct lws *wsi, struct cq_span in)
{
    static unsigned char form[] = "close of one byte", text[] = "bad utf8";

    if (in.n == 1)
        lws_close_reason(wsi, LWS_CLOSE_STATUS_PROTOCOL_ERR, form, sizeof form - 1);
    else if (in.n > 2 && !span_is_utf8(span_of(in.p + 2, in.n - 2)))
        lws_close_reason(wsi, LWS_CLOSE_STATUS_INVALID_PAYLOAD, text, sizeof text - 1);
    else
        return 0;
    return -1;
}

/* The library sends the close frame because this returns -1, once: a second -1 would cut the socket
 * before the peer has read it. */
static int on_writable(struct conn *c)
{
    if (!c->closing) {
        conn_flush(c);
        return 0;
    }
    if (!c->close_asked)
        return 0;
    c->close_asked = false;
    return -1;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t n)
{
    struct conn *c = user;
    struct gateway *g = lws_context_user(lws_get_context(wsi));

    switch ((int)reason) { /* libwebsockets knows many more */
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        /* No HTTP/2. `in` is not looked at: after an unknown Upgrade it points to freed memory. */
        return lws_hdr_total_length(wsi, WSI_TOKEN_HTTP2_SETTINGS) ? -1 : 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        gateway_now(g);
        return on_handshake(g, wsi, c);
    case LWS_CALLBACK_ESTABLISHED:
        return conn_opened(g, c, wsi) ? 0 : -1;
    case LWS_CALLBACK_RECEIVE:
        return c->wsi ? on_receive(wsi, c, in, n) : -1;
    case LWS_CALLBACK_RECEIVE_PONG:
        c->heard_ms = g->mono_ms;
        c->pinged = false;
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return on_writable(c);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL: /* first sign of every close that is not ours */
        if (c && c->wsi && !c->closing) {
            conn_ended(c);
            c->closing_ms = g->mono_ms;
        }
        return reason == LWS_CALLBACK_WS_PEER_INITIATED_CLOSE ? on_peer_close(wsi, span_of(in, n))
                                                              : 0;
    case LWS_CALLBACK_CLOSED: /* also comes for refused handshakes, with c->wsi NULL */
        if (c && c->wsi)
            conn_closed(c);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY: /* of every socket, upgraded or not */
        if (lws_get_opaque_user_data(wsi))
            end_visit(lws_get_opaque_user_data(wsi));
        lws_set_opaque_user_data(wsi, NULL);
        return 0;
    case LWS_CALLBACK_HTTP:
        return on_plain_http(wsi, in);
    default:
        return 0;
    }
}

/* ---- what conn.c does ----------------------------------------------------------------- */

bool socket_is_choked(struct conn *c)
{
    return lws_partial_buffered(c->wsi) != 0;
}

/* libwebsockets would frame and send one message a call, each a system call of 6 us. Our bytes are
 * whole frames, as many as there are, and LWS_WRITE_RAW passes them on untouched: with no extension
 * negotiated and no HTTP/2 around (on_handshake() sees to both) nothing else writes inside them,
 * for its own pings, pongs and closes are whole frames too and go through the same buffer. */
bool socket_write(struct conn *c, uint8_t *bytes, size_t n)
{
    return lws_write(c->wsi, bytes, n, LWS_WRITE_RAW) >= 0;
}

void socket_want_write(struct conn *c)
{
    lws_callback_on_writable(c->wsi);
}

void socket_close(struct conn *c, int code, struct cq_span reason)
{
    unsigned char text[REASON_MAX];
    size_t n = reason.n < sizeof text ? reason.n : sizeof text;

    memcpy(text, reason.p, n);
    lws_close_reason(c->wsi, (enum lws_close_status)code, text, n);
    c->close_asked = true;
    lws_callback_on_writable(c->wsi);
}

void socket_kill(struct conn *c)
{
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

/* ---- the listener --------------------------------------------------------------------- */

static struct cq_address address_of(const struct sockaddr_storage *sa)
{
    struct cq_address a = { { 0 } };

    if (sa->ss_family == AF_INET)
        return address_of_v4((const uint8_t *)&((const struct sockaddr_in *)sa)->sin_addr);
    if (sa->ss_family == AF_INET6)
        memcpy(a.b, &((const struct sockaddr_in6 *)sa)->sin6_addr, sizeof a.b);
    return a;
}

static void on_accept(struct ev_loop *loop, struct ev_io *w, int revents)
{
    struct server *s = w->data;

    (void)loop;
    (void)revents;
    gateway_now(s->g);
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage sa = { 0 };
        socklen_t sa_n = sizeof sa;
        int fd = accept4(s->listener, (struct sockaddr *)&sa, &sa_n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                server_accept(s, false); /* out of descriptors: the next tick tries again */
            return;
        }
        welcome(s, fd, address_of(&sa));
    }
}

void server_accept(struct server *s, bool on)
{
    /* Listen only now: the kernel shares connections among all listeners, whether they accept or
     * not. */
    if (on && !s->listening && listen(s->listener, BACKLOG) != 0) {
        gateway_fail(s->g, "listen");
        return;
    }
    s->listening |= on;
    if (on)
        ev_io_start(s->loop, &s->accept);
    else
        ev_io_stop(s->loop, &s->accept);
    s->accepting = on;
}

void server_stop_listening(struct server *s)
{
    server_accept(s, false);
    close(s->listener);
    s->listener = -1;
}

bool server_is_accepting(const struct server *s)
{
    return s->accepting;
}

uint32_t server_sockets_max(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024 - DESCRIPTORS_KEPT;
    if (limit.rlim_cur > CONNS_MAX + DESCRIPTORS_KEPT)
        return CONNS_MAX;
    return limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? (uint32_t)limit.rlim_cur - DESCRIPTORS_KEPT
                                                 : DESCRIPTORS_KEPT;
}

/* Bound, not listening: see server_accept(). */
static int open_listener(const char *address)
{
    static const int one = 1;
    const char *why = "";
    int fd = listen_bind(address, LISTEN_NONBLOCK | LISTEN_SHARED, &why);

    if (fd < 0)
        log_debug("cannot_listen", LOG_S("address", address), LOG_S("why", why));
    else /* accepted sockets inherit it */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* ---- life ----------------------------------------------------------------------------- */

static void on_library_log(int level, const char *line)
{
    log_debug("libwebsockets", LOG_I("severity", level), LOG_S("text", line));
}

static enum cq_status open_library(struct server *s)
{
    static const struct lws_protocols protocols[] = {
        { .name = "chasqui",
          .callback = on_event,
          .per_session_data_size = sizeof(struct conn),
          .rx_buffer_size = RX_BYTES,
          .tx_packet_size = OUT_MAX + REPLIES_MAX },
        { 0 },
    };
    /* No pings of the library's: its timers are one sorted list that every insertion walks;
     * conn_tick() does it. */
    static const lws_retry_bo_t no_pings = { 0 };
    void *loops[] = { s->loop };
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_VALIDATE_UTF8,
        .foreign_loops = loops,
        .user = s->g,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .vhost_name = "chasqui",
        .server_string = "chasqui",
        .max_http_header_data = HEADERS_MAX,
        .timeout_secs = HANDSHAKE_SECONDS,
        .keepalive_timeout = HANDSHAKE_SECONDS,
        .retry_and_idle_policy = &no_pings,
        .fd_limit_per_thread = s->g->conns_max + DESCRIPTORS_KEPT,
    };

    lws_set_log_level(LLL_ERR | LLL_WARN, on_library_log);
    s->context = lws_create_context(&info);
    s->vhost = s->context ? lws_get_vhost_by_name(s->context, "chasqui") : NULL;
    return s->vhost ? CQ_OK : CQ_FATAL;
}

enum cq_status server_new(struct gateway *g, struct ev_loop *loop, const char *address,
                          struct server **ret, char *reterr, size_t reterr_n)
{
    struct server *s = calloc(1, sizeof *s);

    if (!s)
        return CQ_FATAL;
    s->g = g;
    s->loop = loop;
    guests_init(&s->guests, &g->trusted, g->guests_per_address, g->conns_max);
    s->listener = open_listener(address);
    if (s->listener < 0 || open_library(s) != CQ_OK) {
        snprintf(reterr, reterr_n, "%s",
                 s->listener < 0 ? "cannot listen there" : "libwebsockets or its libev plugin");
        server_free(s);
        return CQ_FATAL;
    }
    ev_io_init(&s->accept, on_accept, s->listener, EV_READ);
    s->accept.data = s;
    *ret = s;
    return CQ_OK;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    if (s->accepting)
        server_accept(s, false);
    if (s->listener >= 0)
        close(s->listener);
    cancel_proxied(s, INT64_MAX);
    if (s->context)
        lws_context_destroy(s->context);
    guests_release(&s->guests);
    free(s);
}
