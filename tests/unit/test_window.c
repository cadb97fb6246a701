/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/window.h"
#include "tests/unit/test.h"

#include <stdlib.h>

TEST(window_position_is_the_first_open_offset)
{
    struct window window;
    uint64_t first, second, third;

    window_init(&window, 8);
    CHECK_EQ(window_position(&window), -1);
    CHECK_EQ(window_add(&window, 10, &first), CQ_OK);
    CHECK_EQ(window_add(&window, 11, &second), CQ_OK);
    CHECK_EQ(window_add(&window, 14, &third), CQ_OK);
    CHECK_EQ(window_position(&window), 10);
    window_close(&window, second);
    CHECK_EQ(window_position(&window), 10);
    window_close(&window, first);
    CHECK_EQ(window_position(&window), 14);
    window_close(&window, third);
    CHECK_EQ(window_position(&window), 15);
    CHECK_EQ(window_n(&window), 0);
    window_release(&window);
}

TEST(window_refuses_what_it_had_and_what_does_not_fit)
{
    struct window window;
    uint64_t t, first = 0;

    window_init(&window, 64);
    for (int i = 0; i < 64; i++) {
        CHECK_EQ(window_add(&window, i, &t), CQ_OK);
        first = i ? first : t;
    }
    CHECK_EQ(window_add(&window, 63, &t), CQ_POISON);
    CHECK_EQ(window_add(&window, 64, &t), CQ_AGAIN);
    window_close(&window, first);
    CHECK_EQ(window_add(&window, 64, &t), CQ_OK);
    window_release(&window);
}

TEST(window_ignores_tickets_from_before_a_restart)
{
    struct window window;
    uint64_t old, fresh;

    window_init(&window, 8);
    CHECK_EQ(window_add(&window, 5, &old), CQ_OK);
    window_restart(&window, 3);
    CHECK_EQ(window_position(&window), 3);
    CHECK_EQ(window_add(&window, 3, &fresh), CQ_OK);
    window_close(&window, old);
    CHECK_EQ(window_position(&window), 3);
    window_close(&window, fresh);
    CHECK_EQ(window_position(&window), 4);
    window_release(&window);
}

/* The same by lists that anybody can check. */
enum { MODEL_MAX = 200000 };
struct model {
    int64_t offset[MODEL_MAX];
    bool open[MODEL_MAX];
    int n;
    int64_t next;
};

static int64_t model_position(const struct model *model)
{
    for (int i = 0; i < model->n; i++)
        if (model->open[i])
            return model->offset[i];
    return model->next;
}

static void walk(unsigned seed)
{
    static struct model model;
    static uint64_t tickets[MODEL_MAX];
    struct window window;

    srand(seed);
    model.n = 0;
    model.next = -1;
    window_init(&window, 1024);
    for (int step = 0; step < 20000; step++) {
        int dice = rand() % 100;

        if (dice < 50) {
            int64_t offset = (model.next < 0 ? rand() % 100 : model.next) + rand() % 3;
            enum cq_status st = window_add(&window, offset, &tickets[model.n]);

            CHECK(st == CQ_OK || (st == CQ_AGAIN && window_n(&window) == 1024));
            if (st == CQ_OK) {
                model.offset[model.n] = offset;
                model.open[model.n++] = true;
                model.next = offset + 1;
            }
        } else if (dice < 99 && model.n) {
            int i = model.n > 60 && rand() % 4 ? model.n - 1 - rand() % 60 : rand() % model.n;

            window_close(&window, tickets[i]); /* often closed already */
            model.open[i] = false;
        } else if (dice == 99 && rand() % 20 == 0) {
            model.next = rand() % 2 ? model_position(&model) : -1;
            window_restart(&window, model.next);
            for (int i = 0; i < model.n; i++)
                model.open[i] = false; /* their tickets go on being closed, to no effect */
        }
        CHECK_EQ(window_position(&window), model_position(&model));
    }
    window_release(&window);
}

TEST(window_agrees_with_the_naive_model)
{
    for (unsigned seed = 1; seed <= 5 && !test_failed; seed++) {
        walk(seed);
        if (test_failed)
            fprintf(stderr, "seed %u\n", seed);
    }
}
