/* SPDX-License-Identifier: MIT */
/*
 * A stage, and what restores state from a log, where a newer build wrote: on a broker made of paper.
 */
#include "tests/unit/test.h"

#include "tests/unit/versions_world.h"

/* ---- a stage -------------------------------------------------------------------------- */

TEST(a_stage_waits_and_its_successor_goes_on)
{
    struct bus_world world;
    static struct paper_stage older, newer;
    int64_t before = count_get(COUNT_NEWER);

    open_all(&world);
    CHECK(announce(&world, NEWER));
    CHECK(put(&world, OURS) && put(&world, NEWER) && put(&world, OURS));
    CHECK(paper_start(&older, &world));
    CHECK(EVENTUALLY(count_get(COUNT_NEWER) == before + 1));
    CHECK(EVENTUALLY(world_committed(&world) == 1));
    CHECK_EQ(older.steps, 1);
    CHECK_EQ(count_get(COUNT_TURNS_REPEATED), 0);
    paper_end(&older);
    CHECK_EQ(older.ended, 1 + CQ_OK);
    CHECK_EQ(world_count(&world, "in.dlq", 0), 0);
    is_newer_build = true;
    CHECK(paper_start(&newer, &world));
    CHECK(EVENTUALLY(world_count(&world, "out", 0) == 3));
    CHECK(EVENTUALLY(world_committed(&world) == 3));
    paper_end(&newer);
    CHECK_EQ(newer.steps, 2);
    CHECK_EQ(world_count(&world, "in.dlq", 0), 0);
    close_all(&world);
}

/* ---- logs that are read directly ------------------------------------------------------ */

static enum cq_status on_record(void *arg, const struct bus_record *rec)
{
    (void)rec;
    ++*(int *)arg;
    return CQ_OK;
}

TEST(a_restore_does_not_pass_over_what_a_newer_build_wrote)
{
    struct bus_world world;
    struct reader *reader = NULL;
    int n = 0;

    open_all(&world);
    CHECK(announce(&world, NEWER));
    CHECK(put(&world, OURS) && put(&world, NOBODYS) && put(&world, NEWER));
    CHECK_EQ(reader_new(world.brokers, &reader), CQ_OK);
    CHECK_EQ(reader_scan(reader, "in", 0, 0, 2, on_record, &n), CQ_OK);
    CHECK_EQ(n, 2);
    CHECK_EQ(reader_scan(reader, "in", 0, 0, 3, on_record, &n), CQ_POISON);
    CHECK_EQ(n, 4);
    reader_free(reader);
    close_all(&world);
}

static enum cq_status restores_nothing(void *arg, struct hold *hold, const char *meta,
                                       int64_t *ret_from)
{
    (void)arg;
    (void)hold;
    (void)meta;
    (void)ret_from;
    return CQ_POISON; /* of reader_scan() */
}

TEST(without_its_state_a_partition_waits)
{
    static const char *const names[] = { "in" };
    static const struct hold_ops ops = { .assigned = restores_nothing };
    struct bus_world world;
    struct holds holds;
    int64_t before = count_get(COUNT_NEWER);

    open_all(&world);
    CHECK(put(&world, OURS));
    CHECK_EQ(holds_open(&holds, &(struct holds_conf){ .consumer = { .brokers = world.brokers,
                                                                    .group = GROUP,
                                                                    .topics = names,
                                                                    .topics_n = 1 },
                                                      .ops = &ops }),
             CQ_OK);
    CHECK(stops_for_newer(&holds, before));
    CHECK_EQ(consumer_owned(holds.consumer), 1);
    CHECK_EQ(taken(&holds, 1, NOT_NOW_MS), 0);
    holds_close(&holds);
    CHECK_EQ(count_get(COUNT_NEWER), before);
    close_all(&world);
}
