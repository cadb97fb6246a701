/* SPDX-License-Identifier: MIT */
#include "lib/json/json.h"
#include "lib/json/write.h"
#include "tests/unit/test.h"

TEST(members_have_their_commas)
{
    cq_auto(buf) struct cq_buf buf = { 0 };

    buf_init(&buf, 1024);
    out_word(&buf, "t", "x");
    out_text(&buf, "text", span_str("a\"b"));
    out_key(&buf, "list");
    buf_add_str(&buf, "[{");
    out_i64(&buf, "n", -7);
    buf_add_str(&buf, "},{");
    out_bool(&buf, "yes", true);
    out_bool(&buf, "no", false);
    buf_add_str(&buf, "}]");
    out_time(&buf, "never", 0);
    out_time(&buf, "then", 12);
    out_id(&buf, "id", (struct cq_id){ { 0xab } });
    buf_add_byte(&buf, ',');
    out_key(&buf, "last");
    buf_add_str(&buf, "{}");
    CHECK_SPAN(buf,
               "\"t\":\"x\",\"text\":\"a\\\"b\",\"list\":[{\"n\":-7},{\"yes\":true,\"no\":false}],"
               "\"never\":null,\"then\":12,\"id\":\"ab000000-0000-0000-0000-000000000000\","
               "\"last\":{}");
}

TEST(what_is_written_can_be_read)
{
    cq_auto(buf) struct cq_buf buf = { 0 };
    cq_auto(json) struct json *root = NULL;
    struct cq_span text;
    uint8_t all[256];

    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    buf_init(&buf, 4096);
    buf_add_byte(&buf, '{');
    out_text(&buf, "all", span_of(all + 1, 126)); /* NUL is refused when it is read */
    out_text(&buf, "bad", span_of(all + 128, 128));
    buf_add_byte(&buf, '}');
    CHECK_EQ(json_parse(buf_span(&buf), &root, NULL), CQ_OK);
    CHECK(json_get_text(root, "all", &text));
    CHECK(span_eq(text, span_of(all + 1, 126)));
    CHECK(json_get_text(root, "bad", &text));
    CHECK_EQ(text.n, 128 * 3);
}

TEST(a_buffer_that_is_full_says_so)
{
    for (size_t max = 0; max < 56; max++) {
        cq_auto(buf) struct cq_buf buf = { 0 };

        buf_init(&buf, max);
        out_text(&buf, "text", span_str("abc"));
        out_id(&buf, "id", (struct cq_id){ { 0 } });
        CHECK(buf.failed && buf.n <= max);
    }
}
