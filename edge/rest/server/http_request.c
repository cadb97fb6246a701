/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/http_request.h"

#include "edge/rest/server/entry.h"
#include "edge/rest/server/http_head.h"
#include "lib/base/log.h"

struct handler {
    h2o_handler_t super;
    const struct http_site *site;
};

static struct cq_span header(const h2o_req_t *req, const h2o_token_t *token)
{
    ssize_t i = h2o_find_header(&req->headers, token, -1);

    return i < 0 ? span_of(NULL, 0) : span_of_iovec(req->headers.entries[i].value);
}

/* The door has not seen a request that came behind another one in the same read. What two readers
 * of the stream might understand differently is refused here, and ends the connection (RFC 9112,
 * section 11.2). */
static bool refuse_framing(const struct http_site *site, h2o_req_t *req)
{
    const char *fault = entry_run(req);

    if (!fault)
        return false;
    log_debug("framing_refused", LOG_S("why", fault));
    req->http1_is_persistent = 0;
    answer_error(site, req, 400, 0, "bad_request", fault);
    return true;
}

static void copy_headers(const h2o_req_t *req, struct call *call)
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
            call->request.header[i] =
                arena_copy(call->arena, span_of_iovec(req->headers.entries[at].value));
    }
}

/* A body stays where it was read, and is held once: from here to the answer h2o reads no more into
 * that buffer. What is not there (chunks that h2o has moved) is copied. */
static void take_body(h2o_req_t *req, struct call *call, struct back *back)
{
    h2o_socket_t *sock = req->conn->callbacks->get_socket(req->conn);
    const char *input = sock->input->bytes;

    if (req->entity.len && req->entity.base >= input &&
        req->entity.base + req->entity.len <= input + sock->input->size) {
        call->request.body = span_of_iovec(req->entity);
        back->sock = sock;
        return;
    }
    buf_init(&call->request.body_bytes, req->entity.len);
    buf_add(&call->request.body_bytes, req->entity.base, req->entity.len);
    call->request.body = buf_span(&call->request.body_bytes);
}

static void start_call(const struct http_site *site, h2o_req_t *req, struct call *call)
{
    struct back *back = back_new(site, req, call);

    call->request.is_head = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
    copy_headers(req, call);
    take_body(req, call, back);
    site->ops.start(site->ops.arg, call);
}

static void handle_api(const struct http_site *site, h2o_req_t *req, struct cq_span path,
                       struct cq_span query)
{
    struct http_refusal no = { 0 };
    struct call *call = site->ops.request(
        site->ops.arg,
        &(struct http_request){ .method = span_of_iovec(req->method),
                                .path = path,
                                .query = query,
                                .authorization = header(req, H2O_TOKEN_AUTHORIZATION),
                                .client = entry_client(req) },
        &no);

    if (call && !(call->route->flags & ROUTE_RAW) && req->entity.len > CALL_BODY_MAX) {
        call_free(call);
        answer_error(site, req, 413, 0, "too_large", CALL_BODY_WORDS);
    } else if (call) {
        start_call(site, req, call);
    } else {
        if (*no.allow)
            head_add_text(req, "allow", no.allow);
        answer_error(site, req, no.status, no.retry_after_s, no.code, no.message);
    }
}

static bool starts_with(struct cq_span span, const char *prefix)
{
    size_t n = strlen(prefix);

    return span.n >= n && memcmp(span.p, prefix, n) == 0;
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

/* What stands under /v/ has the hash of its tree in its path, and never changes: edge/web/pack. The
 * rest is asked for each time. h2o drops the header of what it refuses. */
static void say_how_long(h2o_req_t *req, struct cq_span path)
{
    head_add_text(req, "cache-control",
                  starts_with(path, "/v/") ? "public, max-age=31536000, immutable" : "no-cache");
}

static void reply_options(const struct http_site *site, h2o_req_t *req, struct cq_span path)
{
    struct call *call = call_new(site->api);

    if (!call)
        return;
    site->ops.options(call, path);
    for (int i = 0; i < call->reply.headers_n; i++)
        head_add(req, call->reply.headers[i].name, call->reply.headers[i].value);
    head_reply(req, site->origins, 204, 0, span_str(""));
    call_free(call);
}

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    const struct http_site *site = ((struct handler *)self)->site;
    size_t path_n = req->query_at == SIZE_MAX ? req->path.len : req->query_at;
    struct cq_span path = span_of(req->path.base, path_n);
    struct cq_span query = path_n < req->path.len
                               ? span_of(req->path.base + path_n + 1, req->path.len - path_n - 1)
                               : span_of(NULL, 0);
    const char *word;
    bool ready;

    if (refuse_framing(site, req))
        return 0;
    if (is_probe(path) && !is_read(req)) {
        head_add_text(req, "allow", "GET, HEAD");
        answer_error(site, req, 405, 0, "method_not_allowed",
                     "not with this method: Allow has those of this path");
    } else if (span_eq_str(path, "/healthz")) {
        answer_status(site, req, 200, "alive");
    } else if (span_eq_str(path, "/readyz")) {
        word = site->ops.ready(site->ops.arg, &ready);
        answer_status(site, req, ready ? 200 : 503, word);
    } else if (!starts_with(path, "/api/")) {
        say_how_long(req, path);
        return -1; /* the page's, or nobody's */
    } else if (h2o_memis(req->method.base, req->method.len, H2O_STRLIT("OPTIONS"))) {
        reply_options(site, req, path);
    } else {
        handle_api(site, req, path, query);
    }
    return 0;
}

/* The tunnel's requests do not come by on_request(). */
static int on_tunnel(h2o_handler_t *self, h2o_req_t *req)
{
    if (refuse_framing(((struct handler *)self)->site, req))
        return 0;
    entry_tunnel(req);
    return -1;
}

static void add_handler(const struct http_site *site, h2o_pathconf_t *path,
                        int (*on_req)(h2o_handler_t *, h2o_req_t *))
{
    struct handler *handler = (struct handler *)h2o_create_handler(path, sizeof *handler);

    handler->super.on_req = on_req;
    handler->site = site;
}

void requests_serve(const struct http_site *site, h2o_pathconf_t *path)
{
    add_handler(site, path, on_request);
}

void requests_guard_tunnel(const struct http_site *site, h2o_pathconf_t *path)
{
    add_handler(site, path, on_tunnel);
}
