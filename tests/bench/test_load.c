/* SPDX-License-Identifier: MIT */
/* The load generator's own judgement: what it is fed wrongly it has to notice. */
#include "tests/bench/load.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char chat_id[] = "cccccccc-0000-8000-8000-000000000001";

/* Three users in one group; a fourth in none. */
static void world_make(struct world *world)
{
    char path[] = "/tmp/test-load-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");

    *world = (struct world){ 0 };
    fprintf(f, "run abcdefgh\nws 127.0.0.1:1\n");
    for (int i = 0; i < 4; i++)
        fprintf(f, "user aaaaaaaa-0000-8000-8000-00000000000%d token%d\n", i, i);
    fprintf(f, "chat %s group 0,1,2\n", chat_id);
    fclose(f);
    world_load(world, path, 100);
    unlink(path);
    world->measuring = true;
}

/* Message `number`, in place `seq`, comes to `user`. */
static enum world_news show(struct world *world, int user, int number, int64_t seq)
{
    char client_id[32], content[32];
    struct scan scan = { .chat_id = span_str(chat_id), .seq = seq };
    int64_t message;
    int seat;

    snprintf(client_id, sizeof client_id, "abcdefgh-%d", number);
    snprintf(content, sizeof content, "%d abc", number);
    scan.client_id = span_str(client_id);
    scan.content = span_str(content);
    return world_show(world, user, &scan, 500, &seat, &message);
}

TEST(what_arrives_is_counted)
{
    struct world world;
    int64_t lost, lost_gone;

    world_make(&world);
    CHECK_EQ(world_message_new(&world, 0, 100), 0);
    CHECK_EQ(world_ack(&world, 0, 300), NEWS_PROGRESS);
    CHECK_EQ(world_ack(&world, 0, 400), NEWS_NONE);
    CHECK_EQ(show(&world, 0, 0, 7), NEWS_PROGRESS);
    CHECK_EQ(show(&world, 1, 0, 7), NEWS_PROGRESS);
    world_lost(&world, &lost, &lost_gone);
    CHECK_EQ(lost, 1);
    world.users[2].gone = true;
    world_lost(&world, &lost, &lost_gone);
    CHECK_EQ(lost, 0);
    CHECK_EQ(lost_gone, 1);
    CHECK_EQ(show(&world, 2, 0, 7), NEWS_COMPLETE);
    world_lost(&world, &lost, &lost_gone);
    CHECK_EQ(lost + lost_gone, 0);
    CHECK_EQ(world.window.deliveries, 2);
    CHECK_EQ(world.window.echoes, 1);
    CHECK_EQ(world.ack.max_us, 200);
    CHECK_EQ(world.delivery.n, 2);
    world_release(&world);
}

TEST(what_is_wrong_is_noticed)
{
    struct world world;

    world_make(&world);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(world_message_new(&world, 0, 0), i);
    show(&world, 1, 0, 10);
    show(&world, 1, 0, 10);
    CHECK_EQ(world.all.repeats, 1);
    CHECK_EQ(world.all.doubled, 0);
    show(&world, 2, 0, 11); /* the same message in another place */
    CHECK_EQ(world.all.doubled, 1);
    show(&world, 1, 1, 9); /* below one that was shown */
    CHECK_EQ(world.all.out_of_order, 1);
    show(&world, 0, 3, 20);
    show(&world, 0, 2, 21); /* sent before 3 */
    CHECK_EQ(world.all.overtaken, 1);
    show(&world, 3, 2, 21); /* is not in the chat */
    CHECK_EQ(world.all.misdelivered, 1);
    show(&world, 1, 99, 30); /* was never sent */
    CHECK_EQ(world.all.foreign, 1);
    CHECK_EQ(world.all.damaged, 0);
    world_release(&world);
}

TEST(ticks_are_timed_when_they_cover_the_message)
{
    struct world world;
    struct scan status = { .chat_id = span_str(chat_id), .delivered = 9 };

    world_make(&world);
    world_message_new(&world, 0, 100);
    world_message_new(&world, 0, 200);
    show(&world, 0, 0, 9);
    show(&world, 0, 1, 12);
    world_status(&world, 0, &status, 1100);
    CHECK_EQ(world.tick.n, 1);
    CHECK_EQ(world.tick.max_us, 1000);
    status.delivered = 12;
    world_status(&world, 0, &status, 2200);
    CHECK_EQ(world.tick.n, 2);
    CHECK_EQ(world.tick.max_us, 2000);
    world_release(&world);
}

TEST(frames_are_scanned)
{
    static const char text[] =
        "{\"n\":17,\"t\":\"message\",\"members\":[{\"id\":\"}\"},2],\"x\\\"y\":null, "
        "\"content\":\"a\\\"b\",\"seq\": 281474976710657,\"clientId\":\"q-1\"}";
    struct scan scan;

    CHECK(scan_frame(span_str(text), &scan));
    CHECK_EQ(scan.n, 17);
    CHECK(span_eq_str(scan.t, "message"));
    CHECK(span_eq_str(scan.content, "a\\\"b"));
    CHECK_EQ(scan.seq, 281474976710657);
    CHECK(span_eq_str(scan.client_id, "q-1"));
    CHECK_EQ(scan.id.n, 0);
    for (size_t n = 0; n < sizeof text - 1;
         n++) { /* cut anywhere it is none, and nothing is read past its end */
        char *cut = malloc(n ? n : 1);
        memcpy(cut, text, n);
        CHECK(!scan_frame(span_of(cut, n), &scan));
        free(cut);
    }
}

TEST(alarms_come_in_the_order_of_their_time)
{
    enum { MANY = 500 };
    struct alarms alarms;
    int64_t last_us = -1;
    unsigned drawn = 1;

    CHECK(alarms_init(&alarms, MANY));
    CHECK_EQ(alarms_next_us(&alarms), INT64_MAX);
    for (int i = 0; i < MANY; i++) {
        drawn = drawn * 1103515245u + 12345u;
        alarms_add(&alarms, (struct alarm){ .due_us = drawn >> 8, .who = i });
    }
    for (int i = 0; i < MANY; i++) {
        int64_t next_us = alarms_next_us(&alarms);
        struct alarm one = alarms_take(&alarms);

        CHECK_EQ(one.due_us, next_us);
        CHECK(one.due_us >= last_us);
        last_us = one.due_us;
    }
    CHECK_EQ(alarms_next_us(&alarms), INT64_MAX);
    free(alarms.heap);
}

TEST(quantiles_are_those_of_the_values)
{
    static struct hist hist;

    CHECK_EQ(hist_quantile(&hist, 0.5), 0);
    for (int i = 1; i <= 1000; i++)
        hist_add(&hist, i * 100);
    CHECK(hist_quantile(&hist, 0.5) >= 50000 && hist_quantile(&hist, 0.5) <= 50000 * 1.016);
    CHECK(hist_quantile(&hist, 0.99) >= 99000 && hist_quantile(&hist, 0.99) <= 99000 * 1.016);
    CHECK_EQ(hist_quantile(&hist, 1.0), 100000);
    CHECK_EQ(hist.n, 1000);
}
