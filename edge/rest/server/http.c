/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/http.h"

#include "edge/rest/server/entry.h"
#include "edge/rest/server/http_request.h"
#include "lib/base/clock.h"
#include "lib/base/listen.h"
#include "lib/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    REQUEST_MS = 60 * 60 * 1000, /* never: the door has its own times, which are much shorter */
    UPSTREAM_MS = 30 * 1000,
    TUNNEL_MS = 120 * 1000, /* the gateway pings each 30 s */
    ACCEPTS_A_TURN = 32,
    BACKLOG = 1024,
    WATCHES_MAX = 4,
};

/* %s: where files may be redirected to */
static const char CSP[] = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: "
                          "blob: %s; media-src 'self' blob: %s; object-src 'none'; "
                          "base-uri 'none'; frame-ancestors 'none'";

struct watch {
    h2o_socket_t *sock;
    void (*fn)(void *arg);
    void *arg;
};

struct http {
    h2o_globalconf_t config;
    h2o_context_t ctx;
    h2o_loop_t *loop;
    h2o_accept_ctx_t accept;
    struct entry *entry;
    h2o_socket_t *listener;
    struct http_site site;
    char csp[768];
    h2o_headers_command_t page_headers[4];
    struct watch watches[WATCHES_MAX];
    int watches_n;
};

static void on_accept(h2o_socket_t *listener, const char *err)
{
    struct http *http = listener->data;
    h2o_socket_t *sock;

    if (err)
        return;
    for (int i = 0; i < ACCEPTS_A_TURN && (sock = h2o_evloop_socket_accept(listener)); i++)
        entry_accept(http->entry, sock);
}

static int listen_fd(const char *address)
{
    const char *why = "";
    int fd = listen_bind(address, LISTEN_NONBLOCK | LISTEN_SHARED, &why);

    if (fd >= 0 && listen(fd, BACKLOG) != 0) {
        why = strerror(errno);
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        log_debug("cannot_listen", LOG_S("address", address), LOG_S("why", why));
    return fd;
}

static void register_tunnel(struct http *http, h2o_hostconf_t *host, const struct http_conf *conf)
{
    h2o_proxy_config_vars_t vars = { .io_timeout = UPSTREAM_MS,
                                     .preserve_host = 1,
                                     .use_proxy_protocol = conf->door.proxy_protocol,
                                     .websocket = { 1, TUNNEL_MS } };
    h2o_pathconf_t *path;
    char text[128];
    h2o_url_t url;
    int n = snprintf(text, sizeof text, "http://%s/ws", conf->ws_upstream);

    if (!*conf->ws_upstream || n >= (int)sizeof text || h2o_url_parse(text, (size_t)n, &url) != 0)
        return;
    path = h2o_config_register_path(host, "/ws", 0);
    requests_guard_tunnel(&http->site, path);
    h2o_proxy_register_reverse_proxy(path, &url, &vars);
}

static void register_page(struct http *http, h2o_pathconf_t *path, const char *web_root)
{
    static h2o_iovec_t names[] = { { H2O_STRLIT("content-security-policy") },
                                   { H2O_STRLIT("x-content-type-options") },
                                   { H2O_STRLIT("referrer-policy") } };
    /* a file that a user sent has a stricter policy of its own */
    const h2o_headers_command_t cmds[] = {
        { H2O_HEADERS_CMD_SETIFEMPTY, &names[0], { http->csp, strlen(http->csp) } },
        { H2O_HEADERS_CMD_SET, &names[1], { H2O_STRLIT("nosniff") } },
        { H2O_HEADERS_CMD_SET, &names[2], { H2O_STRLIT("no-referrer") } },
        { H2O_HEADERS_CMD_NULL, NULL, { NULL, 0 } },
    };
    static const char *index[] = { "index.html", NULL };

    memcpy(http->page_headers, cmds, sizeof cmds);
    h2o_headers_register(path, http->page_headers);
    if (*web_root)
        h2o_file_register(path, web_root, index, NULL, H2O_FILE_FLAG_SEND_COMPRESSED);
}

static void configure(struct http *http, const struct http_conf *conf)
{
    h2o_hostconf_t *host;
    h2o_pathconf_t *path;

    h2o_config_init(&http->config);
    http->config.server_name = h2o_iovec_init(H2O_STRLIT("chasqui"));
    http->config.http1.upgrade_to_http2 = 0; /* its h2 has no defence against rapid reset */
    http->config.http1.req_timeout = REQUEST_MS;
    snprintf(http->csp, sizeof http->csp, CSP, conf->media_origin, conf->media_origin);
    http->config.max_request_entity_size = 2 * conf->door.body_max; /* the door refuses before */
    host = h2o_config_register_host(&http->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    register_tunnel(http, host, conf);
    path = h2o_config_register_path(host, "/", 0);
    requests_serve(&http->site, path);
    register_page(http, path, conf->web_root);
}

static enum cq_status open_entry(struct http *http, const struct http_conf *conf)
{
    struct entry_conf ec = {
        .door = conf->door, .accept = &http->accept, .refusal = answer_refused, .arg = &http->site
    };

    ec.door.grant = conf->ops.grant;
    ec.door.arg = conf->ops.arg;
    return entry_new(&ec, &http->entry);
}

enum cq_status http_new(const struct http_conf *conf, struct http **ret)
{
    struct http *http = calloc(1, sizeof *http);
    int fd = listen_fd(conf->listen);

    if (!http || fd < 0 || open_entry(http, conf) != CQ_OK) {
        if (fd >= 0)
            close(fd);
        free(http);
        return CQ_FATAL;
    }
    http->site = (struct http_site){ conf->ops, conf->origins, conf->api };
    configure(http, conf);
    http->loop = h2o_evloop_create();
    h2o_context_init(&http->ctx, http->loop, &http->config);
    http->accept.ctx = &http->ctx;
    http->accept.hosts = http->config.hosts;
    http->listener = h2o_evloop_socket_create(http->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    http->listener->data = http;
    h2o_socket_read_start(http->listener, on_accept);
    *ret = http;
    return CQ_OK;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    http_drain(http);
    for (int i = 0; i < http->watches_n; i++)
        h2o_socket_close(http->watches[i].sock);
    /* libh2o 2.2 has no way to end a loop with connections open; what is left goes with the
     * process */
    entry_free(http->entry);
    free(http);
}

void http_turn(struct http *http, int wait_ms)
{
    h2o_evloop_run(http->loop, wait_ms);
    entry_turn(http->entry, clock_mono_ms());
}

void http_drain(struct http *http)
{
    if (!http->listener)
        return;
    h2o_socket_close(http->listener);
    http->listener = NULL;
    h2o_context_request_shutdown(&http->ctx);
}

static void on_watched(h2o_socket_t *sock, const char *err)
{
    struct watch *watch = sock->data;

    if (!err)
        watch->fn(watch->arg);
}

enum cq_status http_watch(struct http *http, int fd, void (*fn)(void *arg), void *arg)
{
    int copy = fd >= 0 && http->watches_n < WATCHES_MAX ? dup(fd) : -1;
    struct watch *watch = &http->watches[http->watches_n];

    if (copy < 0)
        return CQ_FATAL;
    watch->sock = h2o_evloop_socket_create(http->loop, copy, H2O_SOCKET_FLAG_DONT_READ);
    watch->fn = fn;
    watch->arg = arg;
    watch->sock->data = watch;
    h2o_socket_read_start(watch->sock, on_watched);
    http->watches_n++;
    return CQ_OK;
}
