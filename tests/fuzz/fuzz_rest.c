/* SPDX-License-Identifier: MIT */
/*
 * A request as edge/rest sees it once h2o has cut it: `METHOD path?query`, line feed, body. The
 * first byte says what the database does. Whatever comes, the first step of the handler ends in an
 * answer of ours or in an action that ingest can judge, and JSON comes out as JSON.
 */
#include "edge/rest/rest.h"
#include "ingest/validate.h"
#include "tests/fuzz/fake_pg.h"
#include "tests/fuzz/fuzz.h"

enum { LINE_MAX_BYTES = 4096 };

static struct rest_conf conf = {
    .database_url = "",
    .database_read_url = "",
    .brokers = "",
    .ws_url = "",
    .code_driver = "log",
    .origins = "*",
    .web_root = "",
    .ws_upstream = "",
    .limits = { .most = { 9, 9, 9, 9, 9, 200, 200 },
                .codes_number_hour = 5,
                .codes_number_day = 9,
                .lookups_user_day = 200 },
    .rate_per_minute = 600,
    .partitions = 2,
    .workers_n = 1,
    .media = { .store = { .where = "" },
               .origin = "",
               .max_bytes = { 1000, 1000, 1000, 1000, 1000 },
               .daily_bytes = 100000,
               .part_bytes = 4096 },
};

static struct cq_span until(struct cq_span *rest, char end)
{
    const uint8_t *at = rest->n ? memchr(rest->p, end, rest->n) : NULL;
    struct cq_span s = span_of(rest->p, at ? (size_t)(at - rest->p) : rest->n);

    *rest = at ? span_of(at + 1, rest->n - s.n - 1) : span_of("", 0);
    return s;
}

static void check_submits(const struct call *c)
{
    MUST(c->submits_n > 0 && c->submits_n <= CALL_SUBMITS_MAX);
    for (int i = 0; i < c->submits_n; i++) {
        const struct call_submit *s = &c->submits[i];
        const char *field = s->is_user ? validate_user(&s->u.user) : validate_chat(&s->u.chat);

        MUST(!field || *field);
    }
}

static void check_answer(const struct call *c)
{
    cq_auto(json) struct json *root = NULL;

    MUST(c->status >= 200 && c->status < 600);
    MUST(!c->out.failed && c->headers_n <= CALL_HEADERS_MAX);
    if (c->out.n && !c->content_type)
        MUST(json_parse(buf_span(&c->out), &root, NULL) == CQ_OK);
}

static void run(struct call *c, const struct route *r)
{
    const char *why = NULL;
    enum call_next next;

    if (r->needs_token) {
        c->who.user = (struct cq_id){ { 1, [6] = 0x80, [8] = 0x80 } };
        c->who.device = (struct cq_id){ { 2, [6] = 0x40, [8] = 0x80 } };
        c->who.issued_s = c->who.expires_s = c->now_ms / 1000;
    }
    if (c->body.n && !c->is_raw && json_parse(c->body, &c->json, &why) != CQ_OK) {
        MUST(why);
        return;
    }
    next = r->fn(c, NULL);
    if (next == CALL_REPLY)
        check_answer(c);
    else if (next == CALL_SUBMIT)
        check_submits(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cq_span rest, line, method, path;
    const struct route *r;
    struct cq_id ids[2];
    struct call *c;
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
    r = route_find(method, path, ids);
    route_methods(path, methods, sizeof methods);
    MUST(strlen(methods) < sizeof methods - 1 && (!r || *methods));
    if (!r)
        return 0;
    c = call_new(&conf);
    MUST(c);
    c->path_id[0] = ids[0];
    c->path_id[1] = ids[1];
    c->query = arena_copy(c->arena, line);
    c->is_raw = r->flags & ROUTE_RAW;
    c->is_media = r->flags & ROUTE_MEDIA;
    c->is_head = span_eq_str(method, "HEAD");
    c->body = rest;
    run(c, r);
    call_free(c);
    return 0;
}
