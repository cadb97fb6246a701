/* SPDX-License-Identifier: MIT */
/*
 * A step that was survived accuses its record of nothing, whatever becomes of the word around it.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "lib/bus/suspect.h"
#include "tests/unit/bus_world.h"

/* The partition goes to others between a step and the end of its word, and the process that made
 * the step is ended later, for a reason of its own. The word stays in the commit: it is no
 * accusation. */
TEST(a_word_that_could_not_be_taken_back_accuses_nobody)
{
    struct bus_world world;
    struct paper_stage stage = { 0 };
    int64_t killers = count_get(COUNT_KILLERS);

    world_open(&world);
    CHECK(world_put(&world, "one"));
    CHECK(world_commit(&world, 0, "!2,-1,0;")); /* as after two starts without progress */
    for (int try = 0; try < SUSPECT_KILLS; try++) {
        const rd_kafka_resp_err_t errs[] = { RD_KAFKA_RESP_ERR_NO_ERROR, /* this start is noted */
                                             RD_KAFKA_RESP_ERR_NO_ERROR, /* the word is left … */
                                             /* … and stays */
                                             RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE };

        rd_kafka_mock_push_request_errors_array(world.cluster, API_OFFSET_COMMIT, 3, errs);
        CHECK_EQ(paper_await(paper_spawn(&world, true)), SIGKILL);
    }
    CHECK(world_committed(&world) == 0);
    CHECK(strstr(world.meta, ",0,3;") != NULL); /* or this tests nothing */
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(world_committed(&world) == 1));
    CHECK_EQ(stage.steps, 1);
    CHECK_EQ(world_count(&world, "in.dlq", 0), 0);
    CHECK_EQ(count_get(COUNT_KILLERS), killers);
    paper_end(&stage);
    world_close(&world);
}
