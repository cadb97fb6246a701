/* SPDX-License-Identifier: MIT */
/*
 * A stage whose group says that another member has its stable name: after the broker was away that
 * is its own earlier self, and it joins anew; otherwise it ends and says why.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "tests/unit/bus_world.h"

static void fence_next_commit(struct bus_world *w)
{
    rd_kafka_mock_broker_push_request_error_rtts(w->cluster, NEAR, API_OFFSET_COMMIT, (size_t)1,
                                                 RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, 0);
}

TEST(after_an_outage_it_joins_anew)
{
    struct bus_world w;
    struct paper_stage p = { .instance = "copy-0" };
    int64_t rejoins = count_get(COUNT_REJOINS);

    world_open(&w);
    CHECK(world_put(&w, "zero"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_committed(&w) == 1));
    rd_kafka_mock_broker_set_down(w.cluster, NEAR);
    rd_kafka_mock_broker_set_down(w.cluster, FAR);
    clock_sleep_ms(QUIET_MS); /* the fault itself */
    rd_kafka_mock_broker_set_up(w.cluster, NEAR);
    rd_kafka_mock_broker_set_up(w.cluster, FAR);
    fence_next_commit(&w);
    CHECK(world_put(&w, "one"));
    CHECK(EVENTUALLY(count_get(COUNT_REJOINS) == rejoins + 1));
    CHECK(EVENTUALLY(world_committed(&w) == 2));
    CHECK_EQ(p.ended, 0);
    CHECK_EQ(world_count(&w, "out", 0), 3); /* what was not committed is done once more */
    CHECK(world_put(&w, "two"));
    CHECK(EVENTUALLY(world_committed(&w) == 3));
    CHECK_EQ(world_count(&w, "out", 0), 4);
    paper_end(&p);
    CHECK_EQ(p.ended, 1 + CQ_OK);
    world_close(&w);
}

TEST(without_one_somebody_else_has_the_name)
{
    struct bus_world w;
    struct paper_stage p = { .instance = "copy-0" };

    world_open(&w);
    CHECK(world_put(&w, "zero"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_committed(&w) == 1));
    fence_next_commit(&w);
    CHECK(world_put(&w, "one"));
    CHECK(EVENTUALLY(p.ended));
    CHECK_EQ(p.ended, 1 + CQ_FATAL);
    CHECK(strstr(stage_error(p.stage), "FENCED_INSTANCE_ID"));
    paper_end(&p);
    world_close(&w);
}
