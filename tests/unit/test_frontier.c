/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"

#include "lib/bus/frontier.h"

TEST(frontier_reads_what_it_writes)
{
    struct frontier f, back;
    struct cq_buf text;

    buf_init(&text, 1000);
    frontier_init(&f, 1, 4);
    frontier_advance(&f, 0, 12);
    frontier_advance(&f, 2, 345678901234);
    frontier_format(&f, &text);
    buf_add_byte(&text, '\0');
    CHECK_STR((const char *)text.p, "f1.12,,345678901234,");
    CHECK(frontier_parse(span_of(text.p, text.n - 1), 1, 4, &back));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(back.next[i], f.next[i]);
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
    struct frontier f;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK(!frontier_parse(span_str(rows[i]), 1, 4, &f));
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
