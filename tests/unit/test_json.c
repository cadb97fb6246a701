/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"

#include "lib/json/json.h"

#include <stdlib.h>

static enum cq_status parse(const char *text)
{
    struct json *json = NULL;
    const char *why = "";
    enum cq_status st = json_parse(span_str(text), &json, &why);

    json_free(json);
    return st == CQ_OK || *why ? st : CQ_FATAL; /* a refusal always says why */
}

TEST(json_from_outside_is_taken_or_refused_as_a_whole)
{
    static const struct {
        const char *text;
        enum cq_status want;
    } rows[] = {
        { "{}", CQ_OK },
        { "[]", CQ_OK },
        { "{\"a\":[1,2,{\"b\":null}]}", CQ_OK },
        { "", CQ_POISON },
        { "1", CQ_POISON },
        { "\"x\"", CQ_POISON },
        { "{", CQ_POISON },
        { "{}x", CQ_POISON },
        { "{\"a\":1,\"a\":2}", CQ_POISON },
        { "{\"a\":\"\\u0000\"}", CQ_POISON },
        { "{\"a\":\"\\ud800\"}", CQ_POISON },
        { "{\"a\":\"\xff\"}", CQ_POISON },
        { "{\"a\":1e999}", CQ_POISON },
        { "{\"a\":100000000000000000000}", CQ_POISON },
        { "{\"a\":NaN}", CQ_POISON },
        { "{'a':1}", CQ_POISON },
        { "{\"a\":01}", CQ_POISON },
        { "{\"[[[[[[[[[[[[[[[[[[[[[[[[\":\"{{{{{{{{{{{{{{{{{{{{{{\"}",
          CQ_OK }, /* brackets in strings are no depth */
        { "{\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[\"}", CQ_OK },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ_ROW(rows[i].text, parse(rows[i].text), rows[i].want);
}

TEST(depth_is_bounded_before_the_library_recurses)
{
    static char deep[1 << 20];
    struct json *json = NULL;

    memset(deep, '[', JSON_DEPTH_MAX);
    memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    CHECK_EQ(json_parse(span_of(deep, 2 * JSON_DEPTH_MAX), &json, NULL), CQ_OK);
    json_free(json);
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    CHECK_EQ(json_parse(span_of(deep, 2 * JSON_DEPTH_MAX + 2), &json, NULL), CQ_POISON);
    memset(deep, '[', sizeof deep);
    CHECK_EQ(json_parse(span_of(deep, sizeof deep), &json, NULL), CQ_POISON);
}

TEST(members_are_got_by_type)
{
    static const char *const all[] = { "t", "n", "id", "list", "none", NULL }, *const some[] = {
        "t", "n", NULL
    };
    const char *text = "{\"t\":\"x\",\"n\":5,\"id\":\"11111111-1111-4111-8111-111111111111\","
                       "\"list\":[\"a\",1],\"none\":null}";
    struct json *json = NULL;
    struct cq_span span;
    struct cq_id id;
    int64_t n;

    CHECK_EQ(json_parse(span_str(text), &json, NULL), CQ_OK);
    CHECK(json_get_text(json, "t", &span));
    CHECK_SPAN(span, "x");
    CHECK(json_get_i64(json, "n", &n));
    CHECK_EQ(n, 5);
    CHECK(json_get_id(json, "id", &id));
    CHECK(!json_get_id(json, "t", &id));
    CHECK(!json_get_text(json, "n", &span));
    CHECK(!json_get_i64(json, "t", &n));
    CHECK(!json_get_text(json, "missing", &span));
    CHECK(json_get(json, "none") == NULL);
    CHECK_EQ(json_count(json_get(json, "list")), 2u);
    CHECK_EQ(json_count(json_get(json, "t")), 0u);
    CHECK(json_text(json_at(json_get(json, "list"), 0), &span));
    CHECK(!json_text(json_at(json_get(json, "list"), 1), &span));
    CHECK(json_at(json_get(json, "list"), 2) == NULL);
    CHECK(json_only(json, all));
    CHECK(!json_only(json, some));
    json_free(json);
    CHECK(!json_get_text(NULL, "t", &span)); /* a body that is not there */
}
