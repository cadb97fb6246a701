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
    struct gateway *gateway;
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
static bool name_client(struct gateway *gateway, struct lws *wsi)
{
    struct visit *visit = lws_get_opaque_user_data(wsi);
    char value[HEADER_VALUE_MAX];
    int n = lws_hdr_copy(wsi, value, sizeof value, WSI_TOKEN_X_FORWARDED_FOR);
    struct cq_span list;

    if (n <= 0 || !visit || !address_is_in(&gateway->trusted, visit->guest.address))
        return true;
    list = span_of(value, (size_t)n);
    return guests_rename(&visit->server->guests, &visit->guest,
                         address_forwarded(&gateway->trusted, visit->guest.address, &list, 1));
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

/* Before the upgrade. Nonzero: hang up. `conn` is zeroed, and there is no conn_opened() yet. */
static int on_handshake(struct gateway *gateway, struct lws *wsi, struct conn *conn)
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
    if (gateway_is_draining(gateway) || gateway->conns_n == gateway->conns_max)
        return refuse(wsi, "503 Service Unavailable");
    if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN)) {
        n = lws_hdr_copy(wsi, value, sizeof value, WSI_TOKEN_ORIGIN);
        if (n < 0 || !origin_is_allowed(gateway->origins, span_of(value, (size_t)n)))
            return refuse(wsi, "403 Forbidden");
    }
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_AUTHORIZATION)) {
        n = lws_hdr_copy(wsi, value, sizeof value, WSI_TOKEN_HTTP_AUTHORIZATION);
        if (n < 0 || !conn_check_bearer(gateway, conn, span_of(value, (size_t)n)))
            return refuse(wsi, "401 Unauthorized");
    } else if (!name_client(gateway, wsi)) {
        count_add(COUNT_CONNECTIONS_REFUSED, 1);
        return refuse(wsi, "429 Too Many Requests");
    }
    if (has_token_in_query(wsi))
        conn_misplaced_token(conn);
    return 0;
}

/* ---- visits --------------------------------------------------------------------------- */

static void end_visit(struct visit *visit)
{
    guests_leave(&visit->server->guests, &visit->guest);
    visit->server->open_n--;
    free(visit);
}

static void adopt(struct visit *visit, int fd)
{
    struct lws *wsi = lws_adopt_socket_vhost(visit->server->vhost, fd);

    if (!wsi) { /* closed by the library */
        visit->server->gateway->refused++;
        end_visit(visit);
        return;
    }
    visit->wsi = wsi;
    lws_set_opaque_user_data(wsi, visit);
}

static void on_proxied(void *arg, int fd, bool known, struct cq_address client)
{
    struct visit *visit = arg;

    visit->proxied = NULL;
    if (fd >= 0 && known && !guests_rename(&visit->server->guests, &visit->guest, client)) {
        count_add(COUNT_CONNECTIONS_REFUSED, 1);
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        end_visit(visit);
    else
        adopt(visit, fd);
}

/* The socket that has been here longest without a token is closed to make room. */
static bool make_room(struct server *server)
{
    struct visit *visit = (struct visit *)server->guests.first;

    if (!visit)
        return false;
    count_add(COUNT_CONNECTIONS_REFUSED, 1);
    if (visit->proxied)
        proxied_cancel(visit->proxied);
    else
        lws_set_timeout(visit->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
    return server->open_n < server->gateway->conns_max;
}

static void welcome(struct server *server, int fd, struct cq_address peer)
{
    struct visit *visit = NULL;

    if (server->open_n < server->gateway->conns_max || make_room(server))
        visit = calloc(1, sizeof *visit);
    if (!visit || !guests_enter(&server->guests, &visit->guest, peer, server->gateway->mono_ms)) {
        count_add(COUNT_CONNECTIONS_REFUSED, 1);
        close(fd);
        free(visit);
        return;
    }
    visit->server = server;
    server->open_n++;
    if (!server->gateway->proxy_protocol || !address_is_in(&server->gateway->trusted, peer))
        adopt(visit, fd);
    else if (!(visit->proxied = proxied_start(server->loop, fd, on_proxied, visit)))
        end_visit(visit);
}

static void cancel_proxied(struct server *server, int64_t older_than_ms)
{
    struct guest *next;

    for (struct guest *guest = server->guests.first; guest && guest->since_ms <= older_than_ms;
         guest = next) {
        struct visit *visit = (struct visit *)guest;

        next = guest->next;
        if (visit->proxied)
            proxied_cancel(visit->proxied);
    }
}

void server_tick(struct server *server)
{
    cancel_proxied(server, server->gateway->mono_ms - HANDSHAKE_SECONDS * 1000);
}

void socket_is_known(struct conn *conn)
{
    struct visit *visit = lws_get_opaque_user_data(conn->wsi);

    if (visit)
        guests_leave(&visit->server->guests, &visit->guest);
}

/* ---- events --------------------------------------------------------------------------- */

static int on_plain_http(struct lws *wsi, const char *path)
{
    return path && strcmp(path, "/healthz") == 0 ? answer(wsi, "200 OK", "", "ok")
                                                 : refuse(wsi, "404 Not Found");
}

static int on_receive(struct lws *wsi, struct conn *conn, const void *in, size_t n)
{
    /* A message comes in pieces: it begins with the first piece of its first fragment, and ends
     * with the last piece of its last. */
    conn_received(conn, span_of(in, n), lws_is_first_fragment(wsi) && !conn->rx.n,
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
static int on_writable(struct conn *conn)
{
    if (conn_take_close(conn))
        return -1;
    conn_flush(conn);
    return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t n)
{
    struct conn *conn = user;
    struct gateway *gateway = lws_context_user(lws_get_context(wsi));

    switch ((int)reason) { /* libwebsockets knows many more */
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        /* No HTTP/2. `in` is not looked at: after an unknown Upgrade it points to freed memory. */
        return lws_hdr_total_length(wsi, WSI_TOKEN_HTTP2_SETTINGS) ? -1 : 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        gateway_now(gateway);
        return on_handshake(gateway, wsi, conn);
    case LWS_CALLBACK_ESTABLISHED:
        return conn_opened(gateway, conn, wsi) ? 0 : -1;
    case LWS_CALLBACK_RECEIVE:
        return conn_state_is_open(conn->state) ? on_receive(wsi, conn, in, n) : -1;
    case LWS_CALLBACK_RECEIVE_PONG:
        conn->heard_ms = gateway->mono_ms;
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return on_writable(conn);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL: /* first sign of every close that is not ours */
        if (conn)
            conn_ended(conn);
        return reason == LWS_CALLBACK_WS_PEER_INITIATED_CLOSE ? on_peer_close(wsi, span_of(in, n))
                                                              : 0;
    case LWS_CALLBACK_CLOSED: /* also comes for refused handshakes */
        if (conn && conn_state_is_open(conn->state))
            conn_gone(conn);
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

bool socket_is_choked(struct conn *conn)
{
    return lws_partial_buffered(conn->wsi) != 0;
}

/* libwebsockets would frame and send one message a call, each a system call of 6 us. Our bytes are
 * whole frames, as many as there are, and LWS_WRITE_RAW passes them on untouched: with no extension
 * negotiated and no HTTP/2 around (on_handshake() sees to both) nothing else writes inside them,
 * for its own pings, pongs and closes are whole frames too and go through the same buffer. */
bool socket_write(struct conn *conn, uint8_t *bytes, size_t n)
{
    return lws_write(conn->wsi, bytes, n, LWS_WRITE_RAW) >= 0;
}

void socket_want_write(struct conn *conn)
{
    lws_callback_on_writable(conn->wsi);
}

void socket_close(struct conn *conn, int code, struct cq_span reason)
{
    unsigned char text[REASON_MAX];
    size_t n = reason.n < sizeof text ? reason.n : sizeof text;

    memcpy(text, reason.p, n);
    lws_close_reason(conn->wsi, (enum lws_close_status)code, text, n);
    lws_callback_on_writable(conn->wsi);
}

void socket_kill(struct conn *conn)
{
    lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

/* ---- the listener --------------------------------------------------------------------- */

static struct cq_address address_of(const struct sockaddr_storage *sa)
{
    struct cq_address address = { { 0 } };

    if (sa->ss_family == AF_INET)
        return address_of_v4((const uint8_t *)&((const struct sockaddr_in *)sa)->sin_addr);
    if (sa->ss_family == AF_INET6)
        memcpy(address.b, &((const struct sockaddr_in6 *)sa)->sin6_addr, sizeof address.b);
    return address;
}

static void on_accept(struct ev_loop *loop, struct ev_io *watcher, int revents)
{
    struct server *server = watcher->data;

    (void)loop;
    (void)revents;
    gateway_now(server->gateway);
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage sa = { 0 };
        socklen_t sa_n = sizeof sa;
        int fd =
            accept4(server->listener, (struct sockaddr *)&sa, &sa_n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                server_accept(server, false); /* out of descriptors: the next tick tries again */
            return;
        }
        welcome(server, fd, address_of(&sa));
    }
}

void server_accept(struct server *server, bool on)
{
    /* Listen only now: the kernel shares connections among all listeners, whether they accept or
     * not. */
    if (on && !server->listening && listen(server->listener, BACKLOG) != 0) {
        gateway_fail(server->gateway, "listen");
        return;
    }
    server->listening |= on;
    if (on)
        ev_io_start(server->loop, &server->accept);
    else
        ev_io_stop(server->loop, &server->accept);
    server->accepting = on;
}

void server_stop_listening(struct server *server)
{
    server_accept(server, false);
    close(server->listener);
    server->listener = -1;
}

bool server_is_accepting(const struct server *server)
{
    return server->accepting;
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

static enum cq_status open_library(struct server *server)
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
    void *loops[] = { server->loop };
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_VALIDATE_UTF8,
        .foreign_loops = loops,
        .user = server->gateway,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .vhost_name = "chasqui",
        .server_string = "chasqui",
        .max_http_header_data = HEADERS_MAX,
        .timeout_secs = HANDSHAKE_SECONDS,
        .keepalive_timeout = HANDSHAKE_SECONDS,
        .retry_and_idle_policy = &no_pings,
        .fd_limit_per_thread = server->gateway->conns_max + DESCRIPTORS_KEPT,
    };

    lws_set_log_level(LLL_ERR | LLL_WARN, on_library_log);
    server->context = lws_create_context(&info);
    server->vhost = server->context ? lws_get_vhost_by_name(server->context, "chasqui") : NULL;
    return server->vhost ? CQ_OK : CQ_FATAL;
}

enum cq_status server_new(struct gateway *gateway, struct ev_loop *loop, const char *address,
                          struct server **ret, char *reterr, size_t reterr_n)
{
    struct server *server = calloc(1, sizeof *server);

    if (!server)
        return CQ_FATAL;
    server->gateway = gateway;
    server->loop = loop;
    guests_init(&server->guests, &gateway->trusted, gateway->guests_per_address,
                gateway->conns_max);
    server->listener = open_listener(address);
    if (server->listener < 0 || open_library(server) != CQ_OK) {
        snprintf(reterr, reterr_n, "%s",
                 server->listener < 0 ? "cannot listen there"
                                      : "libwebsockets or its libev plugin");
        server_free(server);
        return CQ_FATAL;
    }
    ev_io_init(&server->accept, on_accept, server->listener, EV_READ);
    server->accept.data = server;
    *ret = server;
    return CQ_OK;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    if (server->accepting)
        server_accept(server, false);
    if (server->listener >= 0)
        close(server->listener);
    cancel_proxied(server, INT64_MAX);
    if (server->context)
        lws_context_destroy(server->context);
    guests_release(&server->guests);
    free(server);
}
