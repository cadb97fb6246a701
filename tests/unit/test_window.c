/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/window.h"
#include "tests/unit/test.h"

#include <stdlib.h>

TEST(window_position_is_the_first_open_offset)
{
    struct window w;
    uint64_t a, b, c;

    window_init(&w, 8);
    CHECK_EQ(window_position(&w), -1);
    CHECK_EQ(window_add(&w, 10, &a), CQ_OK);
    CHECK_EQ(window_add(&w, 11, &b), CQ_OK);
    CHECK_EQ(window_add(&w, 14, &c), CQ_OK);
    CHECK_EQ(window_position(&w), 10);
    window_close(&w, b);
    CHECK_EQ(window_position(&w), 10);
    window_close(&w, a);
    CHECK_EQ(window_position(&w), 14);
    window_close(&w, c);
    CHECK_EQ(window_position(&w), 15);
    CHECK_EQ(window_n(&w), 0);
    window_release(&w);
}

TEST(window_refuses_what_it_had_and_what_does_not_fit)
{
    struct window w;
    uint64_t t, first = 0;

    window_init(&w, 64);
    for (int i = 0; i < 64; i++) {
        CHECK_EQ(window_add(&w, i, &t), CQ_OK);
        first = i ? first : t;
    }
    CHECK_EQ(window_add(&w, 63, &t), CQ_POISON);
    CHECK_EQ(window_add(&w, 64, &t), CQ_AGAIN);
    window_close(&w, first);
    CHECK_EQ(window_add(&w, 64, &t), CQ_OK);
    window_release(&w);
}

TEST(window_ignores_tickets_from_before_a_restart)
{
    struct window w;
    uint64_t old, fresh;

    window_init(&w, 8);
    CHECK_EQ(window_add(&w, 5, &old), CQ_OK);
    window_restart(&w, 3);
    CHECK_EQ(window_position(&w), 3);
    CHECK_EQ(window_add(&w, 3, &fresh), CQ_OK);
    window_close(&w, old);
    CHECK_EQ(window_position(&w), 3);
    window_close(&w, fresh);
    CHECK_EQ(window_position(&w), 4);
    window_release(&w);
}

/* The same by lists that anybody can check. */
enum { MODEL_MAX = 200000 };
struct model {
    int64_t offset[MODEL_MAX];
    bool open[MODEL_MAX];
    int n;
    int64_t next;
};

static int64_t model_position(const struct model *m)
{
    for (int i = 0; i < m->n; i++)
        if (m->open[i])
            return m->offset[i];
    return m->next;
}

static void walk(unsigned seed)
{
    static struct model m;
    static uint64_t tickets[MODEL_MAX];
    struct window w;

    srand(seed);
    m.n = 0;
    m.next = -1;
    window_init(&w, 1024);
    for (int step = 0; step < 20000; step++) {
        int dice = rand() % 100;

        if (dice < 50) {
            int64_t offset = (m.next < 0 ? rand() % 100 : m.next) + rand() % 3;
            enum cq_status st = window_add(&w, offset, &tickets[m.n]);

            CHECK(st == CQ_OK || (st == CQ_AGAIN && window_n(&w) == 1024));
            if (st == CQ_OK) {
                m.offset[m.n] = offset;
                m.open[m.n++] = true;
                m.next = offset + 1;
            }
        } else if (dice < 99 && m.n) {
            int i = m.n > 60 && rand() % 4 ? m.n - 1 - rand() % 60 : rand() % m.n;

            window_close(&w, tickets[i]); /* often closed already */
            m.open[i] = false;
        } else if (dice == 99 && rand() % 20 == 0) {
            m.next = rand() % 2 ? model_position(&m) : -1;
            window_restart(&w, m.next);
            for (int i = 0; i < m.n; i++)
                m.open[i] = false; /* their tickets go on being closed, to no effect */
        }
        CHECK_EQ(window_position(&w), model_position(&m));
    }
    window_release(&w);
}

TEST(window_agrees_with_the_naive_model)
{
    for (unsigned seed = 1; seed <= 5 && !test_failed; seed++) {
        walk(seed);
        if (test_failed)
            fprintf(stderr, "seed %u\n", seed);
    }
}
