/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"

#include "lib/bus/frontier.h"

TEST(frontier_reads_what_it_writes)
{
    struct frontier frontier, back;
    struct cq_buf text;

    buf_init(&text, 1000);
    frontier_init(&frontier, 1, 4);
    frontier_advance(&frontier, 0, 12);
    frontier_advance(&frontier, 2, 345678901234);
    frontier_format(&frontier, &text);
    buf_add_byte(&text, '\0');
    CHECK_STR((const char *)text.p, "f1.12,,345678901234,");
    CHECK(frontier_parse(span_of(text.p, text.n - 1), 1, 4, &back));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(back.next[i], frontier.next[i]);
    buf_release(&text);
}

TEST(frontier_refuses_what_is_not_its_own)
{
    static const char *const rows[] = { "",
                                        "f1.",
                                        "f1.1,2,3",
                                        "f1.1,2,3,4,5",
                                        "f2.1,2,3,4",
                                        "g1.1,2,3,4",
                                        "f1.1,2,3,-4",
                                        "f1.1,2,3,4 ",
                                        "f1.1,2,3,1234567890123456" };
    struct frontier frontier;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK(!frontier_parse(span_str(rows[i]), 1, 4, &frontier));
}

TEST(frontier_never_goes_back)
{
    struct frontier a, b;

    frontier_init(&a, 1, 2);
    frontier_init(&b, 1, 2);
    frontier_advance(&a, 0, 10);
    frontier_advance(&a, 0, 5);
    CHECK_EQ(a.next[0], 10);
    frontier_advance(&a, 7, 5); /* no such partition: nothing */
    frontier_advance(&b, 0, 10);
    CHECK(frontier_covers(&a, &b));
    frontier_advance(&b, 1, 1);
    CHECK(!frontier_covers(&a, &b));
    CHECK(frontier_covers(&b, &a));
}

TEST(a_packed_pair_reads_as_it_was_written)
{
    static const int32_t widths[] = { 1, 2, 12, FRONTIER_PACKED_N_MAX };
    static const int64_t offsets[] = { 0, 1, 31, 32, 99999, ((int64_t)1 << 35) - 1 };

    for (size_t i = 0; i < ARRAY_LEN(widths); i++)
        for (size_t part = 0; part < ARRAY_LEN(offsets); part++)
            for (int64_t behind = 0; behind <= offsets[part]; behind += behind * 7 + 1) {
                struct frontier high, low, high_back, low_back;
                struct cq_buf text;

                buf_init(&text, FRONTIER_PACKED_MAX);
                frontier_init(&high, 1, widths[i]);
                frontier_init(&low, 1, widths[i]);
                for (int32_t p = 0; p < widths[i]; p++) {
                    frontier_advance(&high, p, offsets[part]);
                    frontier_advance(&low, p, offsets[part] - behind);
                }
                frontier_pack(&high, &low, &text);
                CHECK(!text.failed);
                CHECK(frontier_unpack(buf_span(&text), 1, widths[i], &high_back, &low_back));
                CHECK_EQ(memcmp(&high, &high_back, sizeof high), 0);
                CHECK_EQ(memcmp(&low, &low_back, sizeof low), 0);
                CHECK(!frontier_unpack(buf_span(&text), 2, widths[i], &high_back, &low_back));
                CHECK(!frontier_unpack(buf_span(&text), 1, widths[i] + 1, &high_back, &low_back));
                CHECK(!frontier_unpack(span_of(text.p, text.n - 1), 1, widths[i], &high_back,
                                       &low_back));
                buf_release(&text);
            }
}

TEST(a_packed_pair_that_is_none)
{
    static const char *const texts[] = {
        "", "p", "p1", "p1.", "p1.AAA", "p1.!A", "f1.1,2", "p1.AAAAA", "p1.AB__", "p1.__________A"
    };
    struct frontier high, low;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        CHECK(!frontier_unpack(span_str(texts[i]), 1, 2, &high, &low));
    CHECK(frontier_unpack(span_str("p1.AAAA"), 1, 2, &high, &low));
    CHECK(!frontier_unpack(span_str("p1.ABAA"), 1, 2, &high, &low)); /* behind its own beginning */
}
