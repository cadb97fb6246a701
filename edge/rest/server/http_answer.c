/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/http_answer.h"

#include "edge/rest/server/answer.h"
#include "edge/rest/server/entry.h"
#include "edge/rest/server/http_head.h"
#include "lib/base/origin.h"

enum { STATUS_TEXT_MAX = 128 };

static void back_dispose(void *p)
{
    struct back *back = p;
    struct call *call = back->call;

    if (!call)
        return;
    call->loop.req = NULL;
    if (back->sock) { /* a worker may read there still: the buffer goes with the call */
        call->request.body_owner = entry_take_body(back->sock);
        call->request.body_free = entry_body_free;
    }
    if (call->loop.lent)
        back->site->ops.ended(back->site->ops.arg, call);
}

struct back *back_new(const struct http_site *site, h2o_req_t *req, struct call *call)
{
    struct back *back = h2o_mem_alloc_shared(&req->pool, sizeof *back, back_dispose);

    *back = (struct back){ .site = site, .call = call };
    call->loop.back = back;
    call->loop.req = req;
    return back;
}

void answer_status(const struct http_site *site, h2o_req_t *req, int status, const char *word)
{
    cq_auto(buf) struct cq_buf text = { 0 };

    buf_init(&text, STATUS_TEXT_MAX);
    buf_add_byte(&text, '{');
    out_word(&text, "status", word);
    buf_add_byte(&text, '}');
    head_reply(req, site->origins, status, status == 503, buf_span(&text));
}

static void tell_failure(const struct http_site *site, const struct call *call)
{
    if (call->reply.status >= 500)
        site->ops.failed(site->ops.arg, call);
}

void answer_error(const struct http_site *site, h2o_req_t *req, int status, int retry_after_s,
                  const char *code, const char *message)
{
    struct call *call = call_new(NULL);

    if (!call)
        return;
    call_error(call, status, code, "%s", message);
    tell_failure(site, call);
    head_reply(req, site->origins, status, retry_after_s, buf_span(&call->reply.body));
    call_free(call);
}

void answer_call(struct call *call)
{
    h2o_req_t *req = call->loop.req;
    struct back *back = req ? call->loop.back : NULL;

    if (req)
        back->call = NULL;
    if (req && call->loop.streaming) { /* what was promised cannot be kept */
        h2o_send(req, NULL, 0, H2O_SEND_STATE_ERROR);
    } else if (req && call->request.is_head) {
        tell_failure(back->site, call);
        head_of_call(req, back->site->origins, call);
        h2o_start_response(req, &back->generator);
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    } else if (req) {
        tell_failure(back->site, call);
        head_of_call(req, back->site->origins, call);
        h2o_send_inline(req, call->reply.body.n ? (const char *)call->reply.body.p : "",
                        call->reply.body.n); /* copies */
    }
    call_free(call);
}

static void on_proceed(h2o_generator_t *self, h2o_req_t *req)
{
    struct back *back = (struct back *)self;

    (void)req;
    back->call->loop.lent = false;
    back->site->ops.more(back->site->ops.arg, back->call);
}

void answer_stream(struct call *call)
{
    h2o_req_t *req = call->loop.req;
    struct back *back = call->loop.back;
    h2o_iovec_t piece = h2o_iovec_init(call->reply.body.p, call->reply.body.n);

    call->loop.lent = true;
    if (!call->loop.streaming) {
        tell_failure(back->site, call);
        head_of_call(req, back->site->origins, call);
        call->loop.streaming = true;
        back->generator.proceed = on_proceed;
        h2o_start_response(req, &back->generator);
    }
    h2o_send(req, &piece, 1, call->reply.last ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

size_t answer_refused(void *arg, const struct door_answer *why, struct cq_span origin, char *out,
                      size_t cap)
{
    const struct http_site *site = arg;
    struct call *call = call_new(NULL);
    bool open = origin.n && origin_is_allowed(site->origins, origin);
    char retry[32] = "";
    int n;

    if (!call)
        return 0;
    call_error(call, why->status, why->code, "%s", why->message);
    tell_failure(site, call);
    if (why->retry_after_s)
        snprintf(retry, sizeof retry, "Retry-After: %d\r\n", why->retry_after_s);
    n = snprintf(out, cap,
                 "HTTP/1.1 %d %s\r\nConnection: close\r\nServer: chasqui\r\nContent-Type: "
                 "application/json\r\nCache-Control: no-store\r\n%s%s%.*s%sContent-Length: "
                 "%zu\r\n\r\n%.*s",
                 why->status, head_reason(why->status), retry,
                 open ? "Access-Control-Allow-Origin: " : "", open ? (int)origin.n : 0,
                 (const char *)origin.p, open ? "\r\nVary: origin\r\n" : "", call->reply.body.n,
                 SPAN_FMT(call->reply.body));
    call_free(call);
    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}
