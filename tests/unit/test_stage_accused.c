/* SPDX-License-Identifier: MIT */
/*
 * Commits that fail in careful mode are no deaths: a record that nobody stepped is not accused of
 * having killed its process.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "lib/bus/suspect.h"
#include "tests/unit/bus_world.h"

enum { FAILURES_MAX = 16 };

/* Two starts make the third one careful; then the broker refuses `n` commits. */
static void refuse_commits(rd_kafka_resp_err_t err, size_t n)
{
    struct bus_world world;
    struct paper_stage stage = { 0 };
    int64_t killers = count_get(COUNT_KILLERS);
    rd_kafka_resp_err_t errs[FAILURES_MAX];

    for (size_t i = 0; i < n; i++)
        errs[i] = err;
    world_open(&world);
    CHECK(world_put(&world, "one"));
    for (int try = 0; try < SUSPECT_STARTS; try++)
        CHECK_EQ(paper_await(paper_spawn(&world, true)), SIGKILL);
    rd_kafka_mock_push_request_errors_array(world.cluster, API_OFFSET_COMMIT, n, errs);
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(world_committed(&world) == 1));
    CHECK_EQ(stage.steps, 1);
    CHECK_EQ(world_count(&world, "in.dlq", 0), 0);
    CHECK_EQ(count_get(COUNT_KILLERS), killers);
    paper_end(&stage);
    world_close(&world);
}

TEST(commits_that_are_refused_accuse_nobody)
{
    refuse_commits(RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, SUSPECT_KILLS + 1);
}

TEST(commits_that_time_out_accuse_nobody)
{
    refuse_commits(RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, FAILURES_MAX);
}

/* The group forgets the member while notes are refused, and the batch is full: only a poll tells
 * the stage that its partition went and comes back. */
TEST(a_full_batch_hears_that_its_partition_went)
{
    enum { RECORDS = 150 }; /* more than a batch of paper_open() */
    const rd_kafka_resp_err_t forgotten = RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
    rd_kafka_resp_err_t errs[FAILURES_MAX] = { RD_KAFKA_RESP_ERR_NO_ERROR }; /* the start's note */
    struct bus_world world;
    struct paper_stage stage = { 0 };
    struct reader *reader = NULL;
    int64_t again = count_get(COUNT_TURNS_AGAIN);
    char meta[SUSPECT_TEXT_MAX], why[128];

    for (int i = 1; i < FAILURES_MAX; i++)
        errs[i] = RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE;
    world_open(&world);
    for (int i = 0; i < RECORDS; i++)
        CHECK(world_put(&world, "one"));
    CHECK_EQ(reader_new(world.brokers, &reader), CQ_OK);
    suspect_format(&(struct suspect){ SUSPECT_STARTS, -1, 0, -1, 0 }, meta);
    CHECK_EQ(reader_move_group(reader, GROUP, "in", 0, 0, meta, why, sizeof why), CQ_OK);
    rd_kafka_mock_push_request_errors_array(world.cluster, API_OFFSET_COMMIT, FAILURES_MAX, errs);
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(count_get(COUNT_TURNS_AGAIN) > again + 4)); /* the batch is full by now */
    rd_kafka_mock_push_request_errors_array(world.cluster, API_HEARTBEAT, 1, &forgotten);
    CHECK(EVENTUALLY(world_committed(&world) == RECORDS));
    CHECK_EQ(world_count(&world, "in.dlq", 0), 0);
    paper_end(&stage);
    reader_free(reader);
    world_close(&world);
}
