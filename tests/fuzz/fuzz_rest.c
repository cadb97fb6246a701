/* SPDX-License-Identifier: MIT */
/*
 * A request as edge/rest sees it once h2o has cut it: `METHOD path?query`, line feed, body. The
 * first byte says what the database does. Whatever comes, the first step of the handler ends in an
 * answer of ours or in an action that ingest can judge, and JSON comes out as JSON.
 */
#include "edge/rest/api/conf.h"
#include "edge/rest/api/routes.h"
#include "ingest/validate.h"
#include "tests/fuzz/fake_pg.h"
#include "tests/fuzz/fuzz.h"

enum { LINE_MAX_BYTES = 4096 };

static struct api_conf conf = {
    .vapid_public = "",
    .ws_url = "",
    .code_driver = "log",
    .limits = { .most = { 9, 9, 9, 9, 9, 200, 200 },
                .codes_number_hour = 5,
                .codes_number_day = 9,
                .lookups_user_day = 200 },
    .partitions = 2,
    .media = { .store = { .where = "" },
               .max_bytes = { 1000, 1000, 1000, 1000, 1000 },
               .daily_bytes = 100000,
               .part_bytes = 4096 },
};

static struct cq_span until(struct cq_span *rest, char end)
{
    const uint8_t *at = rest->n ? memchr(rest->p, end, rest->n) : NULL;
    struct cq_span span = span_of(rest->p, at ? (size_t)(at - rest->p) : rest->n);

    *rest = at ? span_of(at + 1, rest->n - span.n - 1) : span_of("", 0);
    return span;
}

static void check_submits(const struct call *call)
{
    MUST(call->log.submits_n > 0 && call->log.submits_n <= CALL_SUBMITS_MAX);
    for (int i = 0; i < call->log.submits_n; i++) {
        const struct call_submit *submit = &call->log.submits[i];
        const char *field =
            submit->is_user ? validate_user(&submit->u.user) : validate_chat(&submit->u.chat);

        MUST(!field || *field);
    }
}

static void check_answer(const struct call *call)
{
    cq_auto(json) struct json *root = NULL;

    MUST(call->reply.status >= 200 && call->reply.status < 600);
    MUST(!call->reply.body.failed && call->reply.headers_n <= CALL_HEADERS_MAX);
    if (call->reply.body.n && !call->reply.type)
        MUST(json_parse(buf_span(&call->reply.body), &root, NULL) == CQ_OK);
}

static void run(struct call *call, const struct route *route)
{
    const char *why = NULL;
    enum call_next next;

    if (route->needs_token) {
        call->request.who.user = (struct cq_id){ { 1, [6] = 0x80, [8] = 0x80 } };
        call->request.who.device = (struct cq_id){ { 2, [6] = 0x40, [8] = 0x80 } };
        call->request.who.issued_s = call->request.who.expires_s = call->request.at_ms / 1000;
    }
    if (call->request.body.n && !(route->flags & ROUTE_RAW) &&
        json_parse(call->request.body, &call->request.json, &why) != CQ_OK) {
        MUST(why);
        return;
    }
    next = route->fn(call, NULL);
    if (next == CALL_REPLY)
        check_answer(call);
    else if (next == CALL_SUBMIT)
        check_submits(call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cq_span rest, line, method, path;
    const struct route *route;
    struct cq_id ids[2];
    struct call *call;
    char methods[ROUTE_METHODS_MAX];

    if (n == 0 || n > CALL_BODY_MAX)
        return 0;
    conf.limits.pepper = span_str("0123456789abcdef0123456789abcdef");
    fake_pg = data[0] % FAKE_N;
    rest = span_of(data + 1, n - 1);
    line = until(&rest, '\n');
    if (line.n > LINE_MAX_BYTES)
        return 0;
    method = until(&line, ' ');
    path = until(&line, '?');
    route = route_find(api_routes, method, path, ids);
    route_methods(api_routes, path, methods, sizeof methods);
    MUST(strlen(methods) < sizeof methods - 1 && (!route || *methods));
    if (!route)
        return 0;
    call = call_new(&conf);
    MUST(call);
    call->route = route;
    call->request.path_id[0] = ids[0];
    call->request.path_id[1] = ids[1];
    call->request.query = arena_copy(call->arena, line);
    call->request.is_head = span_eq_str(method, "HEAD");
    call->request.body = rest;
    run(call, route);
    call_free(call);
    return 0;
}
