/* SPDX-License-Identifier: MIT */
/* The load generator's own judgement: what it is fed wrongly it has to notice. */
#include "tests/bench/load.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char chat_id[] = "cccccccc-0000-8000-8000-000000000001";

/* Three users in one group; a fourth in none. */
static void world_make(struct world *w)
{
    char path[] = "/tmp/test-load-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");

    *w = (struct world){ 0 };
    fprintf(f, "run abcdefgh\nws 127.0.0.1:1\n");
    for (int i = 0; i < 4; i++)
        fprintf(f, "user aaaaaaaa-0000-8000-8000-00000000000%d token%d\n", i, i);
    fprintf(f, "chat %s group 0,1,2\n", chat_id);
    fclose(f);
    world_load(w, path, 100);
    unlink(path);
    w->measuring = true;
}

/* Message `number`, in place `seq`, comes to `user`. */
static enum world_news show(struct world *w, int user, int number, int64_t seq)
{
    char client_id[32], content[32];
    struct scan f = { .chat_id = span_str(chat_id), .seq = seq };
    int64_t message;
    int seat;

    snprintf(client_id, sizeof client_id, "abcdefgh-%d", number);
    snprintf(content, sizeof content, "%d abc", number);
    f.client_id = span_str(client_id);
    f.content = span_str(content);
    return world_show(w, user, &f, 500, &seat, &message);
}

TEST(what_arrives_is_counted)
{
    struct world w;
    int64_t lost, lost_gone;

    world_make(&w);
    CHECK_EQ(world_message_new(&w, 0, 100), 0);
    CHECK_EQ(world_ack(&w, 0, 300), NEWS_PROGRESS);
    CHECK_EQ(world_ack(&w, 0, 400), NEWS_NONE);
    CHECK_EQ(show(&w, 0, 0, 7), NEWS_PROGRESS);
    CHECK_EQ(show(&w, 1, 0, 7), NEWS_PROGRESS);
    world_lost(&w, &lost, &lost_gone);
    CHECK_EQ(lost, 1);
    w.users[2].gone = true;
    world_lost(&w, &lost, &lost_gone);
    CHECK_EQ(lost, 0);
    CHECK_EQ(lost_gone, 1);
    CHECK_EQ(show(&w, 2, 0, 7), NEWS_COMPLETE);
    world_lost(&w, &lost, &lost_gone);
    CHECK_EQ(lost + lost_gone, 0);
    CHECK_EQ(w.window.deliveries, 2);
    CHECK_EQ(w.window.echoes, 1);
    CHECK_EQ(w.ack.max_us, 200);
    CHECK_EQ(w.delivery.n, 2);
    world_release(&w);
}

TEST(what_is_wrong_is_noticed)
{
    struct world w;

    world_make(&w);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(world_message_new(&w, 0, 0), i);
    show(&w, 1, 0, 10);
    show(&w, 1, 0, 10);
    CHECK_EQ(w.all.repeats, 1);
    CHECK_EQ(w.all.doubled, 0);
    show(&w, 2, 0, 11); /* the same message in another place */
    CHECK_EQ(w.all.doubled, 1);
    show(&w, 1, 1, 9); /* below one that was shown */
    CHECK_EQ(w.all.out_of_order, 1);
    show(&w, 0, 3, 20);
    show(&w, 0, 2, 21); /* sent before 3 */
    CHECK_EQ(w.all.overtaken, 1);
    show(&w, 3, 2, 21); /* is not in the chat */
    CHECK_EQ(w.all.misdelivered, 1);
    show(&w, 1, 99, 30); /* was never sent */
    CHECK_EQ(w.all.foreign, 1);
    CHECK_EQ(w.all.damaged, 0);
    world_release(&w);
}

TEST(ticks_are_timed_when_they_cover_the_message)
{
    struct world w;
    struct scan status = { .chat_id = span_str(chat_id), .delivered = 9 };

    world_make(&w);
    world_message_new(&w, 0, 100);
    world_message_new(&w, 0, 200);
    show(&w, 0, 0, 9);
    show(&w, 0, 1, 12);
    world_status(&w, 0, &status, 1100);
    CHECK_EQ(w.tick.n, 1);
    CHECK_EQ(w.tick.max_us, 1000);
    status.delivered = 12;
    world_status(&w, 0, &status, 2200);
    CHECK_EQ(w.tick.n, 2);
    CHECK_EQ(w.tick.max_us, 2000);
    world_release(&w);
}

TEST(frames_are_scanned)
{
    static const char text[] =
        "{\"n\":17,\"t\":\"message\",\"members\":[{\"id\":\"}\"},2],\"x\\\"y\":null, "
        "\"content\":\"a\\\"b\",\"seq\": 281474976710657,\"clientId\":\"q-1\"}";
    struct scan f;

    CHECK(scan_frame(span_str(text), &f));
    CHECK_EQ(f.n, 17);
    CHECK(span_eq_str(f.t, "message"));
    CHECK(span_eq_str(f.content, "a\\\"b"));
    CHECK_EQ(f.seq, 281474976710657);
    CHECK(span_eq_str(f.client_id, "q-1"));
    CHECK_EQ(f.id.n, 0);
    for (size_t n = 0; n < sizeof text - 1;
         n++) { /* cut anywhere it is none, and nothing is read past its end */
        char *cut = malloc(n ? n : 1);
        memcpy(cut, text, n);
        CHECK(!scan_frame(span_of(cut, n), &f));
        free(cut);
    }
}

TEST(alarms_come_in_the_order_of_their_time)
{
    enum { MANY = 500 };
    struct alarms a;
    int64_t last_us = -1;
    unsigned drawn = 1;

    CHECK(alarms_init(&a, MANY));
    CHECK_EQ(alarms_next_us(&a), INT64_MAX);
    for (int i = 0; i < MANY; i++) {
        drawn = drawn * 1103515245u + 12345u;
        alarms_add(&a, (struct alarm){ .due_us = drawn >> 8, .who = i });
    }
    for (int i = 0; i < MANY; i++) {
        int64_t next_us = alarms_next_us(&a);
        struct alarm one = alarms_take(&a);

        CHECK_EQ(one.due_us, next_us);
        CHECK(one.due_us >= last_us);
        last_us = one.due_us;
    }
    CHECK_EQ(alarms_next_us(&a), INT64_MAX);
    free(a.heap);
}

TEST(quantiles_are_those_of_the_values)
{
    static struct hist h;

    CHECK_EQ(hist_quantile(&h, 0.5), 0);
    for (int i = 1; i <= 1000; i++)
        hist_add(&h, i * 100);
    CHECK(hist_quantile(&h, 0.5) >= 50000 && hist_quantile(&h, 0.5) <= 50000 * 1.016);
    CHECK(hist_quantile(&h, 0.99) >= 99000 && hist_quantile(&h, 0.99) <= 99000 * 1.016);
    CHECK_EQ(hist_quantile(&h, 1.0), 100000);
    CHECK_EQ(h.n, 1000);
}
