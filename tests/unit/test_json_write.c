/* SPDX-License-Identifier: MIT */
#include "lib/json/json.h"
#include "lib/json/write.h"
#include "tests/unit/test.h"

TEST(members_have_their_commas)
{
    cq_auto(buf) struct cq_buf b;

    buf_init(&b, 1024);
    out_word(&b, "t", "x");
    out_text(&b, "text", span_str("a\"b"));
    out_key(&b, "list");
    buf_add_str(&b, "[{");
    out_i64(&b, "n", -7);
    buf_add_str(&b, "},{");
    out_bool(&b, "yes", true);
    out_bool(&b, "no", false);
    buf_add_str(&b, "}]");
    out_time(&b, "never", 0);
    out_time(&b, "then", 12);
    out_id(&b, "id", (struct cq_id){ { 0xab } });
    buf_add_byte(&b, ',');
    out_key(&b, "last");
    buf_add_str(&b, "{}");
    CHECK_SPAN(b,
               "\"t\":\"x\",\"text\":\"a\\\"b\",\"list\":[{\"n\":-7},{\"yes\":true,\"no\":false}],"
               "\"never\":null,\"then\":12,\"id\":\"ab000000-0000-0000-0000-000000000000\","
               "\"last\":{}");
}

TEST(what_is_written_can_be_read)
{
    cq_auto(buf) struct cq_buf b;
    cq_auto(json) struct json *root = NULL;
    struct cq_span text;
    uint8_t all[256];

    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    buf_init(&b, 4096);
    buf_add_byte(&b, '{');
    out_text(&b, "all", span_of(all + 1, 126)); /* NUL is refused when it is read */
    out_text(&b, "bad", span_of(all + 128, 128));
    buf_add_byte(&b, '}');
    CHECK_EQ(json_parse(buf_span(&b), &root, NULL), CQ_OK);
    CHECK(json_get_text(root, "all", &text));
    CHECK(span_eq(text, span_of(all + 1, 126)));
    CHECK(json_get_text(root, "bad", &text));
    CHECK_EQ(text.n, 128 * 3);
}

TEST(a_buffer_that_is_full_says_so)
{
    for (size_t max = 0; max < 56; max++) {
        cq_auto(buf) struct cq_buf b;

        buf_init(&b, max);
        out_text(&b, "text", span_str("abc"));
        out_id(&b, "id", (struct cq_id){ { 0 } });
        CHECK(b.failed && b.n <= max);
    }
}
