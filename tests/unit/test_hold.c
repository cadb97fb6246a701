/* SPDX-License-Identifier: MIT */
/*
 * How a partition is held, without a loop over it: whose records are taken, and that a process has
 * one note at a time.
 */
#include "tests/unit/test.h"

#include "lib/base/partitions.h"
#include "lib/bus/hold.h"
#include "tests/unit/bus_world.h"

enum { NOTE_MS = 5000, NOT_NOW_MS = 50 };

/* One loop of two in a process, as the lanes of sinks/mobile are. */
struct paper_loop {
    struct holds holds;
    struct bus_record rec;
};

static const struct hold_ops ops = { 0 };

static bool loop_open(struct paper_loop *loop, struct bus_world *world, const char *group)
{
    static const char *const names[] = { "in" };
    struct reader *reader = NULL;
    char why[128];
    bool careful =
        reader_new(world->brokers, &reader) == CQ_OK &&
        reader_move_group(reader, group, "in", 0, 0, "!2,-1,0;", why, sizeof why) == CQ_OK;

    reader_free(reader);
    return careful &&
           holds_open(&loop->holds, &(struct holds_conf){ .consumer = { .brokers = world->brokers,
                                                                        .group = group,
                                                                        .topics = names,
                                                                        .topics_n = 1 },
                                                          .ops = &ops,
                                                          .careful_n = 8 }) == CQ_OK;
}

static bool loop_takes(struct paper_loop *loop)
{
    int64_t until_ms = clock_mono_ms() + WITHIN_MS;

    while (!loop->rec.topic && clock_mono_ms() < until_ms)
        if (consumer_poll(loop->holds.consumer, 100, &loop->rec) != CQ_OK)
            return false;
    return loop->rec.topic && hold_take(holds_find(&loop->holds, "in", 0), &loop->rec);
}

static void loop_close(struct paper_loop *loop)
{
    record_release(&loop->rec);
    holds_close(&loop->holds);
}

TEST(a_process_has_one_note_at_a_time)
{
    struct bus_world world;
    static struct paper_loop first, second;
    const char *why;

    world_open(&world);
    CHECK(world_put(&world, "one"));
    CHECK(loop_open(&first, &world, "a"));
    CHECK(loop_open(&second, &world, "b"));
    CHECK(loop_takes(&first) && loop_takes(&second));
    CHECK_EQ(hold_enter(&first.holds, &first.rec, NOTE_MS, &why), CQ_OK);
    CHECK_EQ(hold_enter(&second.holds, &second.rec, NOT_NOW_MS, &why), CQ_AGAIN);
    CHECK_EQ(hold_leave(&first.holds, NOTE_MS), CQ_OK);
    CHECK_EQ(hold_enter(&second.holds, &second.rec, NOTE_MS, &why), CQ_OK);
    CHECK_EQ(hold_leave(&second.holds, NOTE_MS), CQ_OK);
    /* whoever ends in the middle of a step leaves the way to the others */
    CHECK_EQ(hold_enter(&first.holds, &first.rec, NOTE_MS, &why), CQ_OK);
    loop_close(&first);
    CHECK_EQ(hold_enter(&second.holds, &second.rec, NOTE_MS, &why), CQ_OK);
    CHECK_EQ(hold_leave(&second.holds, NOTE_MS), CQ_OK);
    loop_close(&second);
    world_close(&world);
}

TEST(what_is_taken)
{
    static const char *const names[] = { "in", "other" };
    struct bus_record rec = { .topic = "in", .offset = 7 };
    struct holds hs;
    struct hold *hold;

    CHECK_EQ(holds_init(&hs, &(struct holds_conf){ .consumer = { .topics = names, .topics_n = 2 },
                                                   .ops = &ops }),
             CQ_OK);
    CHECK(!holds_find(&hs, "third", 0));
    CHECK(!holds_find(&hs, "in", -1));
    CHECK(!holds_find(&hs, "in", PARTITIONS_MAX));
    hold = holds_find(&hs, "other", 3);
    CHECK(hold && hold == holds_at(&hs, 1, 3));
    CHECK_STR(hold->topic, "other");
    hold = holds_find(&hs, "in", 0);
    CHECK(!hold_take(NULL, &rec));
    CHECK(!hold_take(hold, &rec)); /* not ours */
    hold->owned = true;
    CHECK(hold_take(hold, &rec));
    CHECK_EQ(hold->taken, 8);
    CHECK(!hold_take(hold, &rec)); /* a repeat */
    rec.offset = 9;
    CHECK(hold_take(hold, &rec));
    hold_done(hold, 9);
    hold_done(hold, 8); /* it only rises */
    CHECK_EQ(hold->next, 9);
    holds_close(&hs);
}
