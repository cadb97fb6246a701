/* SPDX-License-Identifier: MIT */
/*
 * A stage whose group says that another member has its stable name: after the broker was away that
 * is its own earlier self, and it joins anew; otherwise it ends and says why.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "tests/unit/bus_world.h"

static void fence_next_commit(struct bus_world *world)
{
    rd_kafka_mock_broker_push_request_error_rtts(world->cluster, NEAR, API_OFFSET_COMMIT, (size_t)1,
                                                 RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, 0);
}

TEST(after_an_outage_it_joins_anew)
{
    struct bus_world world;
    struct paper_stage stage = { .instance = "copy-0" };
    int64_t rejoins = count_get(COUNT_REJOINS);

    world_open(&world);
    CHECK(world_put(&world, "zero"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(world_committed(&world) == 1));
    rd_kafka_mock_broker_set_down(world.cluster, NEAR);
    rd_kafka_mock_broker_set_down(world.cluster, FAR);
    clock_sleep_ms(QUIET_MS); /* the fault itself */
    rd_kafka_mock_broker_set_up(world.cluster, NEAR);
    rd_kafka_mock_broker_set_up(world.cluster, FAR);
    fence_next_commit(&world);
    CHECK(world_put(&world, "one"));
    CHECK(EVENTUALLY(count_get(COUNT_REJOINS) == rejoins + 1));
    CHECK(EVENTUALLY(world_committed(&world) == 2));
    CHECK_EQ(stage.ended, 0);
    CHECK_EQ(world_count(&world, "out", 0), 3); /* what was not committed is done once more */
    CHECK(world_put(&world, "two"));
    CHECK(EVENTUALLY(world_committed(&world) == 3));
    CHECK_EQ(world_count(&world, "out", 0), 4);
    paper_end(&stage);
    CHECK_EQ(stage.ended, 1 + CQ_OK);
    world_close(&world);
}

TEST(without_one_somebody_else_has_the_name)
{
    struct bus_world world;
    struct paper_stage stage = { .instance = "copy-0" };

    world_open(&world);
    CHECK(world_put(&world, "zero"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(world_committed(&world) == 1));
    fence_next_commit(&world);
    CHECK(world_put(&world, "one"));
    CHECK(EVENTUALLY(stage.ended));
    CHECK_EQ(stage.ended, 1 + CQ_FATAL);
    CHECK(strstr(stage_error(stage.stage), "FENCED_INSTANCE_ID"));
    paper_end(&stage);
    world_close(&world);
}
