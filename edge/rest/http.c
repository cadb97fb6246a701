/* SPDX-License-Identifier: MIT */
#include "edge/rest/http.h"

#include "edge/rest/entry.h"
#include "lib/base/clock.h"
#include "lib/base/listen.h"
#include "lib/base/log.h"
#include "lib/base/origin.h"

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
    STATUS_TEXT_MAX = 128,
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
    struct http_ops ops;
    const char *origins;
    int64_t tus_part_bytes, tus_max_bytes;
    char csp[768];
    h2o_headers_command_t page_headers[4];
    struct watch watches[WATCHES_MAX];
    int watches_n;
};

struct api_handler {
    h2o_handler_t super;
    struct http *http;
};

/* What the request's pool holds: when it goes, the call loses its request. */
struct back {
    h2o_generator_t generator; /* of a stream */
    struct http *http;
    struct call *call;
    h2o_socket_t *sock; /* its input has the body, when the call did not get a copy */
};

static void back_dispose(void *p)
{
    struct back *b = p;
    struct call *c = b->call;

    if (!c)
        return;
    c->req = NULL;
    if (b->sock) { /* a worker may read there still: the buffer goes with the call */
        c->body_owner = entry_take_body(b->sock);
        c->body_free = entry_body_free;
    }
    if (c->lent)
        b->http->ops.ended(b->http->ops.arg, c);
}

static struct cq_span span_of_iovec(h2o_iovec_t v)
{
    return span_of(v.base, v.len);
}

static struct cq_span header(const h2o_req_t *req, const h2o_token_t *token)
{
    ssize_t i = h2o_find_header(&req->headers, token, -1);

    return i < 0 ? span_of(NULL, 0) : span_of_iovec(req->headers.entries[i].value);
}

/* ---- answers -------------------------------------------------------------------------- */

static void add_header(h2o_req_t *req, const h2o_token_t *token, struct cq_span value)
{
    h2o_iovec_t copy = h2o_strdup(&req->pool, (const char *)value.p, value.n);

    h2o_add_header(&req->pool, &req->res.headers, token, NULL, copy.base, copy.len);
}

static void add_named(h2o_req_t *req, const char *name, const char *value)
{
    h2o_iovec_t copy = h2o_strdup(&req->pool, value, strlen(value));

    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 0, NULL, copy.base,
                          copy.len);
}

static void add_cors(const struct http *h, h2o_req_t *req)
{
    ssize_t i = h2o_find_header_by_str(&req->headers, H2O_STRLIT("origin"), -1);
    char value[256];

    if (i < 0 || !origin_is_allowed(h->origins, span_of_iovec(req->headers.entries[i].value)))
        return;
    snprintf(value, sizeof value, "%.*s", (int)req->headers.entries[i].value.len,
             req->headers.entries[i].value.base);
    add_named(req, "access-control-allow-origin", value);
    add_named(req, "access-control-allow-headers",
              "authorization, content-type, range, tus-resumable, upload-offset, upload-length, "
              "upload-metadata, upload-checksum");
    add_named(req, "access-control-expose-headers",
              "location, retry-after, tus-resumable, tus-version, tus-extension, tus-max-size, "
              "tus-checksum-algorithm, upload-limit, upload-offset, upload-length");
    add_named(req, "access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
    add_named(req, "access-control-max-age", "600");
    add_named(req, "vary", "origin");
}

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 206:
        return "Partial Content";
    case 302:
        return "Found";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Payload Too Large";
    case 415:
        return "Unsupported Media Type";
    case 416:
        return "Range Not Satisfiable";
    case 422:
        return "Unprocessable Content";
    case 423:
        return "Locked";
    case 431:
        return "Request Header Fields Too Large";
    case 429:
        return "Too Many Requests";
    case 460:
        return "Checksum Mismatch";
    case 503:
        return "Service Unavailable";
    case 507:
        return "Insufficient Storage";
    default:
        return "Internal Server Error";
    }
}

static void add_retry_after(h2o_req_t *req, int seconds)
{
    char text[16];

    snprintf(text, sizeof text, "%d", seconds);
    if (seconds)
        add_named(req, "retry-after", text);
}

static void reply(const struct http *h, h2o_req_t *req, int status, int retry_after_s,
                  struct cq_span body)
{
    req->res.status = status;
    req->res.reason = reason_of(status);
    req->res.content_length = body.n;
    add_header(req, H2O_TOKEN_CONTENT_TYPE, span_str("application/json"));
    add_header(req, H2O_TOKEN_CACHE_CONTROL, span_str("no-store"));
    add_retry_after(req, retry_after_s);
    add_cors(h, req);
    h2o_send_inline(req, (const char *)body.p, body.n); /* copies */
}

static void reply_status(const struct http *h, h2o_req_t *req, int status, const char *word)
{
    cq_auto(buf) struct cq_buf text;

    buf_init(&text, STATUS_TEXT_MAX);
    buf_add_byte(&text, '{');
    out_word(&text, "status", word);
    buf_add_byte(&text, '}');
    reply(h, req, status, status == 503, buf_span(&text));
}

static void tell_failure(const struct http *h, const struct call *c)
{
    if (c->status >= 500)
        h->ops.failed(h->ops.arg, c);
}

static void reply_error(const struct http *h, h2o_req_t *req, int status, int retry_after_s,
                        const char *code, const char *message)
{
    struct call *c = call_new(NULL);

    if (!c)
        return;
    call_error(c, status, code, message);
    tell_failure(h, c);
    reply(h, req, status, retry_after_s, buf_span(&c->out));
    call_free(c);
}

static void set_head(const struct http *h, h2o_req_t *req, const struct call *c)
{
    bool kept = false;

    tell_failure(h, c);
    req->res.status = c->status;
    req->res.reason = reason_of(c->status);
    req->res.content_length = c->content_length >= 0 ? (size_t)c->content_length : c->out.n;
    if (c->content_type || c->out.n)
        add_header(req, H2O_TOKEN_CONTENT_TYPE,
                   span_str(c->content_type ? c->content_type : "application/json"));
    for (int i = 0; i < c->headers_n; i++) {
        h2o_iovec_t value =
            h2o_strdup(&req->pool, (const char *)c->headers[i].value.p, c->headers[i].value.n);

        kept |= strcmp(c->headers[i].name, "cache-control") == 0;
        h2o_add_header_by_str(&req->pool, &req->res.headers, c->headers[i].name,
                              strlen(c->headers[i].name), 0, NULL, value.base, value.len);
    }
    if (!kept)
        add_header(req, H2O_TOKEN_CACHE_CONTROL, span_str("no-store"));
    add_named(req, "x-request-id", c->request_id);
    add_retry_after(req, c->retry_after_s);
    add_cors(h, req);
}

void http_answer(struct http *h, struct call *c)
{
    h2o_req_t *req = c->req;
    h2o_generator_t *generator = req ? &((struct back *)c->back)->generator : NULL;

    if (req)
        ((struct back *)c->back)->call = NULL;
    if (req && c->streaming) { /* what was promised cannot be kept */
        h2o_send(req, NULL, 0, H2O_SEND_STATE_ERROR);
    } else if (req && c->is_head) {
        set_head(h, req, c);
        h2o_start_response(req, generator);
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    } else if (req) {
        set_head(h, req, c);
        h2o_send_inline(req, c->out.n ? (const char *)c->out.p : "", c->out.n); /* copies */
    }
    call_free(c);
}

static void on_proceed(h2o_generator_t *self, h2o_req_t *req)
{
    struct back *b = (struct back *)self;

    (void)req;
    b->call->lent = false;
    b->http->ops.more(b->http->ops.arg, b->call);
}

void http_stream(struct http *h, struct call *c)
{
    h2o_req_t *req = c->req;
    struct back *b = c->back;
    h2o_iovec_t piece = h2o_iovec_init(c->out.p, c->out.n);

    c->lent = true;
    if (!c->streaming) {
        set_head(h, req, c);
        c->streaming = true;
        b->generator.proceed = on_proceed;
        h2o_start_response(req, &b->generator);
    }
    h2o_send(req, &piece, 1, c->last ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

/* What the door refuses is answered without libh2o, which has not seen the request. */
static size_t write_refusal(void *arg, const struct door_answer *why, struct cq_span origin,
                            char *out, size_t cap)
{
    const struct http *h = arg;
    struct call *c = call_new(NULL);
    bool open = origin.n && origin_is_allowed(h->origins, origin);
    char retry[32] = "";
    int n;

    if (!c)
        return 0;
    call_error(c, why->status, why->code, why->message);
    tell_failure(h, c);
    if (why->retry_after_s)
        snprintf(retry, sizeof retry, "Retry-After: %d\r\n", why->retry_after_s);
    n = snprintf(out, cap,
                 "HTTP/1.1 %d %s\r\nConnection: close\r\nServer: chasqui\r\nContent-Type: "
                 "application/json\r\nCache-Control: no-store\r\n%s%s%.*s%sContent-Length: "
                 "%zu\r\n\r\n%.*s",
                 why->status, reason_of(why->status), retry,
                 open ? "Access-Control-Allow-Origin: " : "", open ? (int)origin.n : 0,
                 (const char *)origin.p, open ? "\r\nVary: origin\r\n" : "", c->out.n,
                 SPAN_FMT(c->out));
    call_free(c);
    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

/* ---- requests ------------------------------------------------------------------------- */

/* Behind another request in the same read, the door has not seen this one: what two readers of one
 * stream may understand differently is refused here, and the connection ends with it (RFC 9112,
 * section 11.2). */
static bool refuse_framing(const struct http *h, h2o_req_t *req)
{
    const char *fault = entry_run(req);

    if (!fault)
        return false;
    log_debug("framing_refused", LOG_S("why", fault));
    req->http1_is_persistent = 0;
    reply_error(h, req, 400, 0, "bad_request", fault);
    return true;
}

static void copy_headers(const h2o_req_t *req, struct call *c)
{
    static const char *const names[] = {
        [IN_RANGE] = "range",
        [IN_IF_RANGE] = "if-range",
        [IN_IF_NONE_MATCH] = "if-none-match",
        [IN_CONTENT_TYPE] = "content-type",
        [IN_TUS_RESUMABLE] = "tus-resumable",
        [IN_UPLOAD_OFFSET] = "upload-offset",
        [IN_UPLOAD_LENGTH] = "upload-length",
        [IN_UPLOAD_METADATA] = "upload-metadata",
        [IN_UPLOAD_CHECKSUM] = "upload-checksum",
    };

    _Static_assert(ARRAY_LEN(names) == IN_N, "a name for each header");
    for (int i = 0; i < IN_N; i++) {
        ssize_t at = h2o_find_header_by_str(&req->headers, names[i], strlen(names[i]), -1);
        const h2o_token_t *token = h2o_lookup_token(names[i], strlen(names[i]));

        if (token) /* names that h2o knows are compared by their address */
            at = h2o_find_header(&req->headers, token, -1);
        if (at >= 0)
            c->in[i] = arena_copy(c->arena, span_of_iovec(req->headers.entries[at].value));
    }
}

/* A body stays where it was read, and is held once: from here to the answer h2o reads no more into
 * that buffer. What is not there (chunks that h2o has moved) is copied. */
static void take_body(h2o_req_t *req, struct call *c)
{
    h2o_socket_t *sock = req->conn->callbacks->get_socket(req->conn);
    const char *input = sock->input->bytes;

    if (req->entity.len && req->entity.base >= input &&
        req->entity.base + req->entity.len <= input + sock->input->size) {
        c->body = span_of_iovec(req->entity);
        ((struct back *)c->back)->sock = sock;
        return;
    }
    buf_init(&c->body_bytes, req->entity.len);
    buf_add(&c->body_bytes, req->entity.base, req->entity.len);
    c->body = buf_span(&c->body_bytes);
}

static void start_call(struct http *h, h2o_req_t *req, struct call *c)
{
    struct back *b = h2o_mem_alloc_shared(&req->pool, sizeof *b, back_dispose);

    *b = (struct back){ .http = h, .call = c };
    c->back = b;
    c->req = req;
    c->is_head = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
    copy_headers(req, c);
    take_body(req, c);
    h->ops.start(h->ops.arg, c);
}

static void handle_api(struct http *h, h2o_req_t *req, struct cq_span path, struct cq_span query)
{
    struct http_refusal no = { .status = 500,
                               .code = "internal",
                               .message = "internal error: report it with the requestId" };
    struct call *c = h->ops.request(
        h->ops.arg,
        &(struct http_request){ .method = span_of_iovec(req->method),
                                .path = path,
                                .query = query,
                                .authorization = header(req, H2O_TOKEN_AUTHORIZATION),
                                .client = address_key(entry_client(req)) },
        &no);

    if (c && !c->is_raw && req->entity.len > CALL_BODY_MAX) {
        call_free(c);
        reply_error(h, req, 413, 0, "too_large", "body: 64 KiB at most");
    } else if (c) {
        start_call(h, req, c);
    } else {
        if (*no.allow)
            add_named(req, "allow", no.allow);
        reply_error(h, req, no.status, no.retry_after_s, no.code, no.message);
    }
}

static bool starts_with(struct cq_span s, const char *prefix)
{
    size_t n = strlen(prefix);

    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

static bool is_probe(struct cq_span path)
{
    return span_eq_str(path, "/healthz") || span_eq_str(path, "/readyz");
}

static bool is_read(const h2o_req_t *req)
{
    return h2o_memis(req->method.base, req->method.len, H2O_STRLIT("GET")) ||
           h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
}

/* What a client may ask before it uploads: tus 1.0 and, for the size of a piece, which tus has no
 * word for, draft-ietf-httpbis-resumable-upload. */
static void reply_options(const struct http *h, h2o_req_t *req, struct cq_span path)
{
    char text[96];

    if (h->tus_part_bytes && starts_with(path, "/api/media")) {
        add_named(req, "tus-resumable", "1.0.0");
        add_named(req, "tus-version", "1.0.0");
        add_named(req, "tus-extension", "creation,creation-with-upload,checksum,termination");
        add_named(req, "tus-checksum-algorithm", "sha256,sha1");
        snprintf(text, sizeof text, "%lld", (long long)h->tus_max_bytes);
        add_named(req, "tus-max-size", text);
        snprintf(text, sizeof text, "max-size=%lld, max-append-size=%lld",
                 (long long)h->tus_max_bytes, (long long)h->tus_part_bytes);
        add_named(req, "upload-limit", text);
    }
    reply(h, req, 204, 0, span_str(""));
}

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    struct http *h = ((struct api_handler *)self)->http;
    size_t path_n = req->query_at == SIZE_MAX ? req->path.len : req->query_at;
    struct cq_span path = span_of(req->path.base, path_n);
    struct cq_span query = path_n < req->path.len
                               ? span_of(req->path.base + path_n + 1, req->path.len - path_n - 1)
                               : span_of(NULL, 0);
    const char *word;
    bool ready;

    if (refuse_framing(h, req))
        return 0;
    if (is_probe(path) && !is_read(req)) {
        add_named(req, "allow", "GET, HEAD");
        reply_error(h, req, 405, 0, "method_not_allowed",
                    "not with this method: Allow has those of this path");
    } else if (span_eq_str(path, "/healthz")) {
        reply_status(h, req, 200, "alive");
    } else if (span_eq_str(path, "/readyz")) {
        word = h->ops.ready(h->ops.arg, &ready);
        reply_status(h, req, ready ? 200 : 503, word);
    } else if (!starts_with(path, "/api/")) {
        return -1; /* the page's, or nobody's */
    } else if (h2o_memis(req->method.base, req->method.len, H2O_STRLIT("OPTIONS"))) {
        reply_options(h, req, path);
    } else {
        handle_api(h, req, path, query);
    }
    return 0;
}

/* ---- the loop ------------------------------------------------------------------------- */

static void on_accept(h2o_socket_t *listener, const char *err)
{
    struct http *h = listener->data;
    h2o_socket_t *sock;

    if (err)
        return;
    for (int i = 0; i < ACCEPTS_A_TURN && (sock = h2o_evloop_socket_accept(listener)); i++)
        entry_accept(h->entry, sock);
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

/* In front of the tunnel, whose requests do not come by on_request(). */
static int on_tunnel(h2o_handler_t *self, h2o_req_t *req)
{
    if (refuse_framing(((struct api_handler *)self)->http, req))
        return 0;
    entry_tunnel(req);
    return -1;
}

static void add_handler(struct http *h, h2o_pathconf_t *path,
                        int (*on_req)(h2o_handler_t *, h2o_req_t *))
{
    struct api_handler *api = (struct api_handler *)h2o_create_handler(path, sizeof *api);

    api->super.on_req = on_req;
    api->http = h;
}

static void register_tunnel(struct http *h, h2o_hostconf_t *host, const struct http_conf *conf)
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
    add_handler(h, path, on_tunnel);
    h2o_proxy_register_reverse_proxy(path, &url, &vars);
}

static void register_page(struct http *h, h2o_pathconf_t *path, const char *web_root)
{
    static h2o_iovec_t names[] = { { H2O_STRLIT("content-security-policy") },
                                   { H2O_STRLIT("x-content-type-options") },
                                   { H2O_STRLIT("referrer-policy") } };
    /* a file that a user sent has a stricter policy of its own */
    const h2o_headers_command_t cmds[] = {
        { H2O_HEADERS_CMD_SETIFEMPTY, &names[0], { h->csp, strlen(h->csp) } },
        { H2O_HEADERS_CMD_SET, &names[1], { H2O_STRLIT("nosniff") } },
        { H2O_HEADERS_CMD_SET, &names[2], { H2O_STRLIT("no-referrer") } },
        { H2O_HEADERS_CMD_NULL, NULL, { NULL, 0 } },
    };
    static const char *index[] = { "index.html", NULL };

    memcpy(h->page_headers, cmds, sizeof cmds);
    h2o_headers_register(path, h->page_headers);
    if (*web_root)
        h2o_file_register(path, web_root, index, NULL, 0);
}

static void configure(struct http *h, const struct http_conf *conf)
{
    h2o_hostconf_t *host;
    h2o_pathconf_t *path;

    h2o_config_init(&h->config);
    h->config.server_name = h2o_iovec_init(H2O_STRLIT("chasqui"));
    h->config.http1.upgrade_to_http2 = 0; /* its h2 has no defence against rapid reset */
    h->config.http1.req_timeout = REQUEST_MS;
    snprintf(h->csp, sizeof h->csp, CSP, conf->media_origin, conf->media_origin);
    h->config.max_request_entity_size = 2 * conf->door.body_max; /* the door refuses before */
    host = h2o_config_register_host(&h->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    register_tunnel(h, host, conf);
    path = h2o_config_register_path(host, "/", 0);
    add_handler(h, path, on_request);
    register_page(h, path, conf->web_root);
}

static enum cq_status open_entry(struct http *h, const struct http_conf *conf)
{
    struct entry_conf ec = {
        .door = conf->door, .accept = &h->accept, .refusal = write_refusal, .arg = h
    };

    ec.door.grant = conf->ops.grant;
    ec.door.arg = conf->ops.arg;
    return entry_new(&ec, &h->entry);
}

enum cq_status http_new(const struct http_conf *conf, struct http **ret)
{
    struct http *h = calloc(1, sizeof *h);
    int fd = listen_fd(conf->listen);

    if (!h || fd < 0 || open_entry(h, conf) != CQ_OK) {
        if (fd >= 0)
            close(fd);
        free(h);
        return CQ_FATAL;
    }
    h->ops = conf->ops;
    h->origins = conf->origins;
    h->tus_part_bytes = conf->tus_part_bytes;
    h->tus_max_bytes = conf->tus_max_bytes;
    configure(h, conf);
    h->loop = h2o_evloop_create();
    h2o_context_init(&h->ctx, h->loop, &h->config);
    h->accept.ctx = &h->ctx;
    h->accept.hosts = h->config.hosts;
    h->listener = h2o_evloop_socket_create(h->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    h->listener->data = h;
    h2o_socket_read_start(h->listener, on_accept);
    *ret = h;
    return CQ_OK;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    http_drain(h);
    for (int i = 0; i < h->watches_n; i++)
        h2o_socket_close(h->watches[i].sock);
    /* libh2o 2.2 has no way to end a loop with connections open; what is left goes with the
     * process */
    entry_free(h->entry);
    free(h);
}

void http_turn(struct http *h, int wait_ms)
{
    h2o_evloop_run(h->loop, wait_ms);
    entry_turn(h->entry, clock_mono_ms());
}

void http_drain(struct http *h)
{
    if (!h->listener)
        return;
    h2o_socket_close(h->listener);
    h->listener = NULL;
    h2o_context_request_shutdown(&h->ctx);
}

static void on_watched(h2o_socket_t *sock, const char *err)
{
    struct watch *w = sock->data;

    if (!err)
        w->fn(w->arg);
}

enum cq_status http_watch(struct http *h, int fd, void (*fn)(void *arg), void *arg)
{
    int copy = fd >= 0 && h->watches_n < WATCHES_MAX ? dup(fd) : -1;
    struct watch *w = &h->watches[h->watches_n];

    if (copy < 0)
        return CQ_FATAL;
    w->sock = h2o_evloop_socket_create(h->loop, copy, H2O_SOCKET_FLAG_DONT_READ);
    w->fn = fn;
    w->arg = arg;
    w->sock->data = w;
    h2o_socket_read_start(w->sock, on_watched);
    h->watches_n++;
    return CQ_OK;
}
