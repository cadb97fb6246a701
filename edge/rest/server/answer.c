/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/answer.h"

#include "lib/base/count.h"
#include "lib/pg/view_guard.h"

#include <stdarg.h>
#include <stdio.h>

/* Drop headers that described a file when an error is sent instead: a browser keeps a 404 that says
 * "immutable" for a year. */
static void drop_file_headers(struct call *call)
{
    static const char *const of_files[] = { "etag", "cache-control", "content-disposition",
                                            "accept-ranges" };
    int kept = 0;

    for (int i = 0; i < call->reply.headers_n; i++) {
        bool drop = false;

        for (size_t k = 0; k < ARRAY_LEN(of_files); k++)
            drop |= strcmp(call->reply.headers[i].name, of_files[k]) == 0;
        if (!drop)
            call->reply.headers[kept++] = call->reply.headers[i];
    }
    call->reply.headers_n = kept;
}

static void error_of(struct call *call, int status, const char *code, const char *format,
                     va_list args)
{
    struct cq_buf *body = &call->reply.body;

    drop_file_headers(call);
    call->reply.status = status;
    call->reply.type = NULL;
    call->reply.length = -1;
    call->reply.error = code;
    vsnprintf(call->reply.error_text, sizeof call->reply.error_text, format, args);
    buf_clear(body);
    buf_add_str(body, "{\"error\":{");
    out_text(body, "code", span_str(code));
    out_text(body, "message", span_str(call->reply.error_text));
    out_text(body, "requestId", span_str(call->request.id));
    buf_add_str(body, "}}");
}

enum call_next call_error(struct call *call, int status, const char *code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_of(call, status, code, format, args);
    va_end(args);
    return CALL_REPLY;
}

enum call_next call_bad_request(struct call *call, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_of(call, 400, "bad_request", format, args);
    va_end(args);
    return CALL_REPLY;
}

enum call_next call_internal(struct call *call)
{
    return call_error(call, 500, "internal", "internal error: report it with the requestId");
}

enum call_next call_not_found(struct call *call)
{
    return call_error(call, 404, "not_found", "not found, or not visible to you");
}

enum call_next call_unavailable(struct call *call, const char *message)
{
    call->reply.retry_after_s = 1;
    return call_error(call, 503, "unavailable", "%s", message);
}

enum call_next call_unknown(struct call *call)
{
    count_add(COUNT_UNKNOWN_ANSWERS, 1);
    return call_unavailable(call,
                            "unknown whether it was stored: send it again with the same clientId");
}

enum call_next call_doors_closed(struct call *call)
{
    call->reply.retry_after_s = CALL_INCOMPLETE_S;
    return call_error(call, 503, "restoring",
                      "accounts are being restored: ask again after Retry-After seconds");
}

enum call_next call_view_incomplete(struct call *call)
{
    call->reply.retry_after_s = CALL_INCOMPLETE_S;
    return call_error(
        call, 503, "view_incomplete",
        "the database is being rebuilt from the log: ask again after Retry-After seconds");
}

enum call_next call_database(struct call *call, enum cq_status st)
{
    if (st == CQ_AGAIN && call->worker.db && view_is_incomplete(call->worker.db))
        return call_view_incomplete(call);
    if (st == CQ_AGAIN)
        return call_unavailable(
            call, "the database cannot be read now: ask again after Retry-After seconds");
    if (st == CQ_POISON)
        return call_bad_request(call, "a value in the request is out of range");
    return call_internal(call);
}

enum call_next call_limited(struct call *call, int64_t wait_ms, const char *message)
{
    call->reply.retry_after_s = (int)(wait_ms / 1000) + 1;
    return call_error(call, 429, "rate_limited", "%s", message);
}

enum call_next call_reply(struct call *call, int status)
{
    if (call->reply.body.failed)
        return call_error(call, 413, "too_large",
                          "the answer is too large: ask for less, with limit");
    call->reply.status = status;
    return CALL_REPLY;
}

void call_header(struct call *call, const char *name, struct cq_span value)
{
    struct cq_span copy = arena_copy(call->arena, value);

    if (call->reply.headers_n < CALL_HEADERS_MAX && (copy.p || !value.n))
        call->reply.headers[call->reply.headers_n++] = (struct call_header){ name, copy };
}

void call_header_i64(struct call *call, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)value);
    call_header(call, name, span_str(text));
}
