/* SPDX-License-Identifier: MIT */
#include "lib/json/json.h"
#include "tests/unit/test.h"

#include <stdlib.h>

static struct cq_span lit(const char *s)
{
    return span_str(s);
}

TEST(accepts_what_is_json)
{
    cq_auto(json) struct json *v = NULL;
    struct cq_span s = { 0 };
    struct cq_id id;
    int64_t i = 0;

    CHECK_EQ(json_parse(lit("{\"a\":\"x\\\"[{\",\"n\":-7,\"l\":[1,2],\"z\":null,\"d\":1.5,"
                            "\"id\":\"6F9619FF-8B86-8011-B42D-00C04FC964FF\"}"),
                        &v, NULL),
             CQ_OK);
    CHECK(json_is_object(v));
    CHECK(json_get_text(v, "a", &s));
    CHECK_SPAN(s, "x\"[{");
    CHECK(json_get_i64(v, "n", &i));
    CHECK_EQ(i, -7);
    CHECK(!json_get_i64(v, "d", &i));
    CHECK(!json_get_i64(v, "a", &i));
    CHECK(!json_get_text(v, "n", &s));
    CHECK(json_get(v, "z") == NULL);
    CHECK(json_get(v, "none") == NULL);
    CHECK_EQ(json_count(json_get(v, "l")), 2);
    CHECK_EQ(json_count(json_get(v, "a")), 0);
    CHECK(json_is_array(json_get(v, "l")));
    CHECK(json_at(json_get(v, "l"), 2) == NULL);
    CHECK(json_get_id(v, "id", &id));
    CHECK_STR(id_text(id).s, "6f9619ff-8b86-8011-b42d-00c04fc964ff");
    CHECK(!json_get_id(v, "a", &id));
}

TEST(only_the_named_members)
{
    static const char *const ab[] = { "a", "b", NULL };
    static const char *const a[] = { "a", NULL };
    cq_auto(json) struct json *v = NULL;
    cq_auto(json) struct json *list = NULL;

    CHECK_EQ(json_parse(lit("{\"a\":1,\"b\":null}"), &v, NULL), CQ_OK);
    CHECK_EQ(json_parse(lit("[]"), &list, NULL), CQ_OK);
    CHECK(json_only(v, ab));
    CHECK(!json_only(v, a));
    CHECK(!json_only(list, a));
    CHECK(!json_only(NULL, a));
}

TEST(refuses_with_a_reason)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "", "empty" },
        { "{", "ends too early" },
        { "{} x", "bytes after the end" },
        { "{}{}", "bytes after the end" },
        { "{\"a\":1,\"a\":2}", "duplicate key" },
        { "{\"a\":1,\"\\u0061\":2}", "duplicate key" },
        { "{\"a\":\"\\u0000\"}", "NUL in a string" },
        { "{\"\\u0000\":1}", "NUL in a string" },
        { "{\"a\":\"\xff\"}", "not valid UTF-8" },
        { "{\"a\":\"\\ud800\"}", "not JSON" },
        { "{\"a\":1e999}", "number out of range" },
        { "{\"a\":100000000000000000000}", "number out of range" },
        { "{\"a\":NaN}", "not JSON" },
        { "{\"a\":01}", "not JSON" },
        { "\"text\"", "not JSON" },
        { "7", "not JSON" },
        { "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "nested too deep" },
        { "{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", "nested too deep" },
    };

    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        struct json *v = NULL;
        const char *why = NULL;

        CHECK_EQ_ROW(rows[r].text, json_parse(lit(rows[r].text), &v, &why), CQ_POISON);
        CHECK_STR(why, rows[r].why);
        CHECK(v == NULL);
    }
}

TEST(depth_counts_brackets_outside_strings_only)
{
    cq_auto(json) struct json *sixteen = NULL;
    cq_auto(json) struct json *in_text = NULL;

    CHECK_EQ(json_parse(lit("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"), &sixteen, NULL), CQ_OK);
    CHECK_EQ(json_parse(lit("[\"[[[[[[[[[[[[[[[[[[[[[\\\\\",\"\\\"{{{{{{{{{{{{{{{{{{{{{{\"]"),
                        &in_text, NULL),
             CQ_OK);
}

TEST(length_is_bounded)
{
    size_t n = JSON_TEXT_MAX + 1;
    char *big = malloc(n);
    struct json *v = NULL;
    const char *why = NULL;

    memset(big, ' ', n);
    memcpy(big, "[]", 2);
    CHECK_EQ(json_parse((struct cq_span){ (uint8_t *)big, n }, &v, &why), CQ_POISON);
    CHECK_STR(why, "too long");
    CHECK_EQ(json_parse((struct cq_span){ (uint8_t *)big, n - 1 }, &v, &why), CQ_OK);
    json_free(v);
    free(big);
}

TEST(deep_nesting_never_reaches_the_parser)
{
    static char deep[JSON_TEXT_MAX];
    struct json *v = NULL;

    memset(deep, '[', sizeof deep);
    CHECK_EQ(json_parse((struct cq_span){ (uint8_t *)deep, sizeof deep }, &v, NULL), CQ_POISON);
    memset(deep, '"', 1);
    CHECK_EQ(json_parse((struct cq_span){ (uint8_t *)deep, sizeof deep }, &v, NULL), CQ_POISON);
}
