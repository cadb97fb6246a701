/* SPDX-License-Identifier: MIT */
/*
 * The pure parts of edge/rest: the route table, query parameters, rate limits.
 */
#include "tests/unit/test.h"

#include "edge/rest/api/routes.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/server/limits.h"
#include "edge/rest/server/query.h"

#define CHAT "11111111-1111-4111-8111-111111111111"
#define USER "22222222-2222-4222-8222-222222222222"

static const struct route *find(const char *method, const char *path)
{
    struct cq_id ids[2];

    return route_find(api_routes, span_str(method), span_str(path), ids);
}

TEST(routes_are_found_by_method_and_path)
{
    struct cq_id ids[2] = { 0 };
    const struct route *route =
        route_find(api_routes, span_str("PUT"), span_str("/api/chats/" CHAT "/members/" USER), ids);

    CHECK(route != NULL);
    CHECK_STR(route->pattern, "/api/chats/{}/members/{}");
    CHECK(route->needs_token);
    CHECK_STR(id_text(ids[0]).s, CHAT);
    CHECK_STR(id_text(ids[1]).s, USER);
    CHECK(find("POST", "/api/login") && !find("POST", "/api/login")->needs_token);
}

TEST(what_is_no_route_is_none)
{
    static const char *const rows[] = { "/api",
                                        "/api/",
                                        "/api/chats/",
                                        "/api/chats/x",
                                        "/api/chats/" CHAT "/",
                                        "/api/chats/" CHAT "x",
                                        "/api/chats/../me",
                                        "/api/chats/%2e%2e",
                                        "/api/messages/" CHAT,
                                        "/API/ME" };
    char methods[ROUTE_METHODS_MAX];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK(!find("GET", rows[i]));
        route_methods(api_routes, span_str(rows[i]), methods, sizeof methods);
        CHECK_STR(methods, "");
    }
    CHECK(!find("POST", "/api/me"));
    route_methods(api_routes, span_str("/api/me"), methods, sizeof methods); /* 405, not 404 */
    CHECK_STR(methods, "GET, PATCH, DELETE, OPTIONS");
    route_methods(api_routes, span_str("/api/media/" CHAT "/upload"), methods, sizeof methods);
    CHECK_STR(methods, "HEAD, PATCH, DELETE, OPTIONS");
}

TEST(query_parameters_are_decoded)
{
    struct call *call = call_new(NULL);
    int64_t n = 7;

    call->request.query =
        span_str("limit=20&cursor=a%2Bb%20c+d&empty=&bad=2x&before=99999999999999999&limits=3");
    CHECK(call_param_i64(call, "limit", &n));
    CHECK_EQ(n, 20);
    n = 7;
    CHECK(call_param_i64(call, "absent", &n));
    CHECK_EQ(n, 7);
    CHECK(!call_param_i64(call, "bad", &n));
    CHECK(!call_param_i64(call, "empty", &n));
    CHECK(!call_param_i64(call, "before", &n)); /* 17 digits */
    CHECK_SPAN(call_param(call, "cursor"), "a+b c d");
    CHECK_EQ(call_param(call, "empty").n, 0u);
    CHECK_EQ(call_param(call, "lim").n, 0u);
    call_free(call);
}

TEST(errors_have_one_form)
{
    struct call *call = call_new(NULL);
    char want[256];

    CHECK_EQ(call_not_found(call), CALL_REPLY);
    CHECK_EQ(call->reply.status, 404);
    snprintf(want, sizeof want,
             "{\"error\":{\"code\":\"not_found\",\"message\":\"not found, or not visible to you\","
             "\"requestId\":\"%s\"}}",
             call->request.id);
    CHECK_SPAN(buf_span(&call->reply.body), want);
    call_unavailable(call, "later");
    CHECK_EQ(call->reply.status, 503);
    CHECK_EQ(call->reply.retry_after_s, 1);
    call_free(call);
}

TEST(limits_let_bursts_through_and_then_the_rate)
{
    struct limits limits;
    struct cq_id one = { { 1 } }, two = { { 2 } };
    int64_t now_ms = 1000;
    int taken = 0;

    CHECK_EQ(bucket_burst(600, 10), 100);
    CHECK_EQ(bucket_burst(600, 3), 30);
    CHECK_EQ(bucket_burst(60, 10), 20);
    CHECK_EQ(limits_init(&limits, 60, bucket_burst(60, 10)), CQ_OK); /* one a second, 20 at once */
    while (!limits_take(&limits, one, now_ms))
        taken++;
    CHECK_EQ(taken, 20);
    CHECK_EQ(limits_take(&limits, two, now_ms), 0); /* somebody else is not concerned */
    CHECK(limits_take(&limits, one, now_ms) >= 1);
    now_ms += 3000;
    for (taken = 0; !limits_take(&limits, one, now_ms); taken++)
        ;
    CHECK_EQ(taken, 3);
    limits_release(&limits);
}
