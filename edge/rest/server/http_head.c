/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/http_head.h"

#include "lib/base/origin.h"

#include <stdio.h>

static void add_header(h2o_req_t *req, const h2o_token_t *token, struct cq_span value)
{
    h2o_iovec_t copy = h2o_strdup(&req->pool, (const char *)value.p, value.n);

    h2o_add_header(&req->pool, &req->res.headers, token, NULL, copy.base, copy.len);
}

void head_add(h2o_req_t *req, const char *name, struct cq_span value)
{
    h2o_iovec_t copy = h2o_strdup(&req->pool, (const char *)value.p, value.n);

    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 0, NULL, copy.base,
                          copy.len);
}

void head_add_text(h2o_req_t *req, const char *name, const char *value)
{
    head_add(req, name, span_str(value));
}

static void add_cors(h2o_req_t *req, const char *origins)
{
    ssize_t i = h2o_find_header_by_str(&req->headers, H2O_STRLIT("origin"), -1);
    struct cq_span origin;

    if (i < 0)
        return;
    origin = span_of_iovec(req->headers.entries[i].value);
    if (!origin_is_allowed(origins, origin))
        return;
    head_add(req, "access-control-allow-origin", origin);
    head_add_text(
        req, "access-control-allow-headers",
        "authorization, content-type, range, tus-resumable, upload-offset, upload-length, "
        "upload-metadata, upload-checksum");
    head_add_text(req, "access-control-expose-headers",
                  "location, retry-after, tus-resumable, tus-version, tus-extension, tus-max-size, "
                  "tus-checksum-algorithm, upload-limit, upload-offset, upload-length");
    head_add_text(req, "access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
    head_add_text(req, "access-control-max-age", "600");
    head_add_text(req, "vary", "origin");
}

const char *head_reason(int status)
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
        head_add_text(req, "retry-after", text);
}

void head_reply(h2o_req_t *req, const char *origins, int status, int retry_after_s,
                struct cq_span body)
{
    req->res.status = status;
    req->res.reason = head_reason(status);
    req->res.content_length = body.n;
    add_header(req, H2O_TOKEN_CONTENT_TYPE, span_str("application/json"));
    add_header(req, H2O_TOKEN_CACHE_CONTROL, span_str("no-store"));
    add_retry_after(req, retry_after_s);
    add_cors(req, origins);
    h2o_send_inline(req, (const char *)body.p, body.n); /* copies */
}

void head_of_call(h2o_req_t *req, const char *origins, const struct call *call)
{
    bool kept = false;

    req->res.status = call->reply.status;
    req->res.reason = head_reason(call->reply.status);
    req->res.content_length =
        call->reply.length >= 0 ? (size_t)call->reply.length : call->reply.body.n;
    if (call->reply.type || call->reply.body.n)
        add_header(req, H2O_TOKEN_CONTENT_TYPE,
                   span_str(call->reply.type ? call->reply.type : "application/json"));
    for (int i = 0; i < call->reply.headers_n; i++) {
        kept |= strcmp(call->reply.headers[i].name, "cache-control") == 0;
        head_add(req, call->reply.headers[i].name, call->reply.headers[i].value);
    }
    if (!kept)
        add_header(req, H2O_TOKEN_CACHE_CONTROL, span_str("no-store"));
    head_add_text(req, "x-request-id", call->request.id);
    add_retry_after(req, call->reply.retry_after_s);
    add_cors(req, origins);
}
