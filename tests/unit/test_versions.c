/* SPDX-License-Identifier: MIT */
/*
 * Records whose schema this build does not know, on a broker made of paper: a newer build's, which
 * wait, and nobody's, which are handed over to become dead letters.
 */
#include "tests/unit/test.h"

#include "tests/unit/versions_world.h"

enum { FLOOD = 40 };

/* ---- a loop that only takes records --------------------------------------------------- */

static bool loop_open(struct holds *holds, const struct bus_world *world)
{
    static const char *const names[] = { "in" };
    static const struct hold_ops ops = { 0 };

    return holds_open(holds,
                      &(struct holds_conf){
                          .consumer = { .brokers = world->brokers,
                                        .group = GROUP,
                                        .session_timeout_ms = 4000, /* a dead member's place */
                                        .topics = names,
                                        .topics_n = 1 },
                          .ops = &ops }) == CQ_OK;
}

TEST(what_a_newer_build_announced_waits)
{
    struct bus_world world;
    struct holds holds;
    int64_t before = count_get(COUNT_NEWER);

    open_all(&world);
    CHECK(announce(&world, OURS) && announce(&world, NEWER));
    CHECK(put(&world, OURS) && put(&world, NEWER) && put(&world, OURS));
    CHECK(loop_open(&holds, &world));
    CHECK_EQ(taken(&holds, 1, WITHIN_MS), 1);
    CHECK(stops_for_newer(&holds, before));
    CHECK_EQ(holds_at(&holds, 0, 0)->taken, 1);
    /* whatever the loop does with its own pauses */
    hold_pause(&holds, holds_at(&holds, 0, 0), true);
    hold_pause(&holds, holds_at(&holds, 0, 0), false);
    CHECK_EQ(taken(&holds, 1, NOT_NOW_MS), 0);
    /* it goes when the partition does */
    holds_close(&holds);
    CHECK_EQ(count_get(COUNT_NEWER), before);
    is_newer_build = true;
    CHECK(loop_open(&holds, &world));
    CHECK_EQ(taken(&holds, 3, WITHIN_MS), 3);
    CHECK_EQ(count_get(COUNT_NEWER), before);
    holds_close(&holds);
    close_all(&world);
}

TEST(what_nobody_announced_is_handed_over)
{
    struct bus_world world;
    struct holds holds;
    int64_t before = count_get(COUNT_NEWER);

    open_all(&world);
    CHECK(announce(&world, NEWER));
    for (uint32_t i = 0; i < 3; i++)
        CHECK(put(&world, NOBODYS + i));
    CHECK(put(&world, OURS));
    CHECK(loop_open(&holds, &world));
    CHECK_EQ(taken(&holds, 4, WITHIN_MS), 4);
    /* an announcement that comes before its record is seen, however late it comes */
    CHECK(announce(&world, NOBODYS + 7));
    CHECK(put(&world, NOBODYS + 7));
    CHECK(stops_for_newer(&holds, before));
    holds_close(&holds);
    close_all(&world);
}

static int asked; /* how often the announcements were read, as far as a partition noticed */

static bool count_asking(const struct holds *holds)
{
    static bool was;

    asked += holds->asking && !was;
    was = holds->asking;
    return was;
}

TEST(a_flood_of_garbage_costs_one_question)
{
    struct bus_world world;
    struct holds holds;
    int64_t until_ms;
    int n = 0;

    open_all(&world);
    for (uint32_t i = 0; i < FLOOD; i++)
        CHECK(put(&world, NOBODYS + i));
    CHECK(loop_open(&holds, &world));
    until_ms = clock_mono_ms() + WITHIN_MS;
    while (n < FLOOD && clock_mono_ms() < until_ms) {
        n += taken(&holds, 1, 1);
        count_asking(&holds);
    }
    CHECK_EQ(n, FLOOD);
    CHECK_EQ(asked, 1);
    holds_close(&holds);
    close_all(&world);
}

TEST(nothing_is_condemned_unheard)
{
    struct bus_world world;
    struct holds holds;

    open_all(&world);
    rd_kafka_mock_broker_set_down(world.cluster, FAR);
    CHECK(put(&world, NOBODYS));
    CHECK(loop_open(&holds, &world));
    CHECK(EVENTUALLY(taken(&holds, 1, 50) == 0 && holds.asking == 1));
    CHECK_EQ(taken(&holds, 1, 10 * NOT_NOW_MS), 0);
    rd_kafka_mock_broker_set_up(world.cluster, FAR);
    CHECK_EQ(taken(&holds, 1, WITHIN_MS), 1);
    CHECK_EQ(holds.asking, 0);
    holds_close(&holds);
    close_all(&world);
}

TEST(a_loop_that_goes_elsewhere_goes_on)
{
    struct bus_world world;
    struct holds holds;
    int64_t before = count_get(COUNT_NEWER);

    open_all(&world);
    CHECK(announce(&world, NEWER));
    CHECK(put(&world, OURS) && put(&world, NEWER) && put(&world, OURS));
    CHECK(loop_open(&holds, &world));
    CHECK_EQ(taken(&holds, 1, WITHIN_MS), 1);
    CHECK(stops_for_newer(&holds, before));
    hold_seek(&holds, holds_at(&holds, 0, 0), 2); /* as a feed whose turn another one made */
    CHECK_EQ(count_get(COUNT_NEWER), before);
    CHECK_EQ(taken(&holds, 1, WITHIN_MS), 1);
    holds_close(&holds);
    close_all(&world);
}

TEST(a_question_without_an_answer_holds_up_no_other)
{
    struct bus_world world;
    int64_t below = -1;

    open_all(&world);
    CHECK(put(&world, NOBODYS));
    CHECK(!versions_ask("in", 7, &below));
    CHECK(EVENTUALLY(versions_ask("in", 0, &below)));
    CHECK_EQ(below, 1);
    close_all(&world);
}

/* ---- announcing ----------------------------------------------------------------------- */

TEST(each_version_is_announced_once)
{
    static const struct version versions[] = { { OURS, "{}" }, { NEWER, "{}" } };
    struct bus_world world;
    char why[256];

    open_all(&world);
    CHECK_EQ(versions_check(world.brokers, SCHEMAS, versions, 2, why, sizeof why), CQ_FATAL);
    CHECK(strstr(why, "chasqui admin topics"));
    for (int i = 0; i < 2; i++)
        CHECK_EQ(versions_announce(world.brokers, SCHEMAS, versions, 2, why, sizeof why), CQ_OK);
    CHECK_EQ(world_count(&world, SCHEMAS, 0), 2);
    CHECK_EQ(versions_check(world.brokers, SCHEMAS, versions, 2, why, sizeof why), CQ_OK);
    /* taken back */
    CHECK(world_put_keyed(&world, SCHEMAS, "4000abcd", NULL));
    CHECK_EQ(versions_check(world.brokers, SCHEMAS, versions, 2, why, sizeof why), CQ_FATAL);
    close_all(&world);
}
