/* SPDX-License-Identifier: MIT */
/*
 * Commit after effects: whatever happens to the outputs of a turn, its input is not committed
 * before each of them is stored.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "lib/base/partitions.h"
#include "tests/unit/bus_world.h"

/* Nothing may be committed while an output has no report. There is no event for "it did not
 * happen": the stage is given five times the time in which it commits. */
static bool stays_uncommitted(struct bus_world *world, int64_t committed)
{
    int64_t until_ms = clock_mono_ms() + QUIET_MS;

    while (clock_mono_ms() < until_ms) {
        if (world_committed(world) != committed)
            return false;
        clock_sleep_ms(20);
    }
    return true;
}

TEST(the_input_waits_for_every_report)
{
    struct bus_world world;
    struct paper_stage stage = { 0 };

    world_open(&world);
    rd_kafka_mock_broker_set_down(world.cluster, FAR); /* one output of the two is not reported */
    CHECK(world_put(&world, "one"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(world_count(&world, "out", 0) == 1));
    CHECK(stays_uncommitted(&world, 0));
    CHECK_EQ(stage.steps, 1);
    rd_kafka_mock_broker_set_up(world.cluster, FAR);
    CHECK(EVENTUALLY(world_committed(&world) == 1));
    CHECK_EQ(world_count(&world, "out", 0), 1);
    CHECK_EQ(world_count(&world, "out", 1), 1);
    CHECK_EQ(stage.steps, 1);
    paper_end(&stage);
    CHECK_EQ(stage.ended, 1 + CQ_OK);
    world_close(&world);
}

TEST(a_slow_report_holds_the_commit_up)
{
    struct bus_world world;
    struct paper_stage stage = { 0 };

    world_open(&world);
    CHECK(world_put(&world, "zero"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(world_committed(&world) == 1));
    rd_kafka_mock_broker_push_request_error_rtts(world.cluster, FAR, API_PRODUCE, (size_t)1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, 3 * QUIET_MS);
    CHECK(world_put(&world, "one"));
    CHECK(EVENTUALLY(world_count(&world, "out", 1) == 2)); /* stored, and nobody has been told */
    CHECK(stays_uncommitted(&world, 1));
    CHECK(EVENTUALLY(world_committed(&world) == 2));
    paper_end(&stage);
    world_close(&world);
}

TEST(an_output_that_fails_ends_the_stage_and_is_repeated)
{
    struct bus_world world;
    struct paper_stage stage = { 0 }, again = { 0 };

    world_open(&world);
    CHECK(world_put(&world, "zero"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(world_committed(&world) == 1));
    /* of one request: after a refusal of the topic the library fails whatever of it still waits, too */
    rd_kafka_mock_broker_push_request_error_rtts(world.cluster, FAR, API_PRODUCE, (size_t)1,
                                                 RD_KAFKA_RESP_ERR_POLICY_VIOLATION, 0);
    CHECK(world_put(&world, "one"));
    CHECK(EVENTUALLY(stage.ended));
    CHECK_EQ(stage.ended, 1 + CQ_FATAL);
    CHECK_STR(stage_error(stage.stage), "an output failed: writing to partition 1 of out: "
                                        "POLICY_VIOLATION");
    paper_end(&stage);
    CHECK_EQ(world_committed(&world), 1); /* neither by the turn nor by leaving the group */
    CHECK(paper_start(&again, &world));
    CHECK(EVENTUALLY(world_committed(&world) == 2));
    CHECK_EQ(again.first, 1); /* from the commit, not from an output's tail */
    CHECK_EQ(again.steps, 1);
    CHECK_EQ(world_count(&world, "out", 1), 2);
    paper_end(&again);
    world_close(&world);
}

/* The text beside the commit says what the state behind it holds: restored at that offset, the two
 * must speak of the same records. */
TEST(leaving_after_a_failed_turn_commits_no_text_of_it)
{
    struct bus_world world;
    struct paper_stage stage = { 0 };

    world_open(&world);
    CHECK(world_put(&world, "zero"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(world_committed(&world) == 1));
    CHECK_STR(world.meta, "1");
    CHECK(world_put(&world, "one")); /* done, and not yet committed when the next one fails */
    CHECK(EVENTUALLY(world_count(&world, "out", 1) == 2));
    rd_kafka_mock_broker_push_request_error_rtts(world.cluster, FAR, API_PRODUCE, (size_t)1,
                                                 RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 0);
    CHECK(world_put(&world, "two"));
    CHECK(EVENTUALLY(stage.ended));
    CHECK_EQ(stage.ended, 1 + CQ_FATAL);
    paper_end(&stage);
    CHECK_EQ(stage.steps, 3);
    CHECK(world_committed(&world) < 3);
    CHECK(world_committed(&world) == strtol(world.meta, NULL, 10));
    world_close(&world);
}

TEST(a_dead_letter_is_stored_before_the_input_is_committed)
{
    struct bus_world world;
    struct paper_stage stage = { 0 };

    world_open(&world);
    rd_kafka_mock_broker_set_down(world.cluster, FAR);
    CHECK(world_put(&world, "poison"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(stage.steps == 1));
    CHECK(stays_uncommitted(&world, 0));
    rd_kafka_mock_broker_set_up(world.cluster, FAR);
    CHECK(EVENTUALLY(world_committed(&world) == 1));
    CHECK_EQ(world_count(&world, "in.dlq", 0), 1);
    CHECK_EQ(world_count(&world, "out", 0), 0); /* what it emitted before it was poison never was */
    CHECK_EQ(world_count(&world, "out", 1), 0);
    paper_end(&stage);
    world_close(&world);
}

TEST(a_record_in_parts_is_committed_after_the_last)
{
    struct bus_world world;
    struct paper_stage stage = { 0 };

    world_open(&world);
    rd_kafka_mock_broker_set_down(world.cluster, FAR); /* the first part is not reported */
    CHECK(world_put(&world, "parts"));
    CHECK(world_put(&world, "next"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(world_count(&world, "out", 0) == 1));
    CHECK(stays_uncommitted(&world, 0));
    CHECK_EQ(stage.steps, 1);
    rd_kafka_mock_broker_set_up(world.cluster, FAR);
    CHECK(EVENTUALLY(world_committed(&world) == 2));
    CHECK_EQ(stage.steps, PAPER_PARTS + 1);
    CHECK_EQ(world_count(&world, "out", 0), PAPER_PARTS + 1);
    CHECK_EQ(world_count(&world, "out", 1), PAPER_PARTS + 1);
    CHECK_EQ(world_count(&world, "in.dlq", 0), 0);
    paper_end(&stage);
    world_close(&world);
}

/* Nobody waits behind a record that no turn can hold; until it is given up, two numbers say so. */
TEST(a_record_without_progress_is_a_dead_letter_after_some_tries)
{
    struct bus_world world;
    struct paper_stage stage = { 0 };

    world_open(&world);
    CHECK(world_put(&world, "before"));
    CHECK(world_put(&world, "stuck"));
    CHECK(world_put(&world, "after"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(count_get(COUNT_TURNS_REPEATED) > 2));
    CHECK(count_repeating_ms(clock_mono_ms()) > 0);
    CHECK(EVENTUALLY(count_get(COUNT_LAG) > 0)); /* what was read waits here */
    CHECK(EVENTUALLY(world_committed(&world) == 3));
    CHECK_EQ(world_count(&world, "in.dlq", 0), 1);
    CHECK_EQ(world_count(&world, "out", 0), 2);
    CHECK_EQ(count_get(COUNT_TURNS_REPEATED), 0);
    CHECK_EQ(count_repeating_ms(clock_mono_ms()), 0);
    CHECK(EVENTUALLY(count_get(COUNT_LAG) == 0));
    paper_end(&stage);
    CHECK_EQ(stage.ended, 1 + CQ_OK);
    world_close(&world);
}

TEST(a_record_that_finds_room_later_is_no_dead_letter)
{
    struct bus_world world;
    struct paper_stage stage = { 0 };

    world_open(&world);
    CHECK(world_put(&world, "late"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(world_committed(&world) == 1));
    CHECK_EQ(stage.steps, PAPER_LATE);
    CHECK_EQ(world_count(&world, "out", 0), 1);
    CHECK_EQ(world_count(&world, "in.dlq", 0), 0);
    paper_end(&stage);
    world_close(&world);
}

/* ---- a log that is shorter than what was committed ------------------------------------- */

TEST(what_expired_is_passed_over_and_counted)
{
    enum { RECORD = 900 * 1024, RECORDS = 8 }; /* the paper broker keeps 5 MiB of a partition */
    static char value[RECORD + 1];
    struct bus_world world;
    struct paper_stage stage = { 0 };
    int64_t low = 0, high = 0, expired = count_get(COUNT_EXPIRED);

    memset(value, 'x', RECORD);
    world_open(&world);
    CHECK(world_put(&world, "first"));
    CHECK(world_commit(&world, 1, ""));
    for (int i = 0; i < RECORDS; i++)
        CHECK(world_put(&world, value));
    CHECK_EQ(rd_kafka_query_watermark_offsets(world.rk, "in", 0, &low, &high, CALL_MS), 0);
    CHECK(low > 1); /* or this tests nothing */
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(world_committed(&world) == high));
    CHECK_EQ(stage.first, low);
    CHECK_EQ(count_get(COUNT_EXPIRED), expired + low - 1);
    paper_end(&stage);
    CHECK_EQ(stage.ended, 1 + CQ_OK);
    world_close(&world);
}

static void take_floor(void *arg, int32_t partition, int64_t next, const char *meta)
{
    (void)meta;
    if (partition == 0)
        *(int64_t *)arg = next;
}

/* What is noted of partition 0; -1: nothing; -2: no answer. */
static int64_t floor_of(struct bus_world *world, const char *topic)
{
    struct reader *reader = NULL;
    int64_t floor = -1;

    if (reader_new(world->brokers, &reader) != CQ_OK ||
        reader_commits(reader, BUS_FLOOR_GROUP, topic, 1, take_floor, &floor) != CQ_OK)
        floor = -2;
    reader_free(reader);
    return floor;
}

/* What is written from now on would stand below the commit, and be skipped without a word. */
TEST(a_log_that_ends_before_the_commit_is_refused)
{
    struct bus_world world;
    struct paper_stage stage = { 0 };

    world_open(&world);
    CHECK(world_put(&world, "one"));
    CHECK(world_commit(&world, 5, ""));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(stage.ended));
    CHECK_EQ(stage.ended, 1 + CQ_FATAL);
    CHECK_EQ(stage.steps, 0);
    CHECK_STR(stage_error(stage.stage),
              "the input ended: log_was_cut: in partition 0 ends at 1, before "
              "position 5; it lost records");
    paper_end(&stage);
    CHECK_EQ(world_committed(&world), 5);
    CHECK_EQ(floor_of(&world, "in"), 5); /* for those who write there */
    world_close(&world);
}

/* What is written now would be passed over by those who have read further. */
TEST(an_output_that_ends_before_its_readers_is_not_written_to)
{
    static const char *const groups[] = { "readers" };
    const struct bus_watched out = { "out", 2, groups, 1 };
    struct bus_world world;
    struct paper_stage stage = { .outputs = &out };
    char why[128];

    world_open(&world);
    CHECK_EQ(reader_new(world.brokers, &stage.reader), CQ_OK);
    CHECK_EQ(reader_move_group(stage.reader, "readers", "out", 1, 7, NULL, why, sizeof why), CQ_OK);
    CHECK(world_put(&world, "one"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(stage.ended));
    CHECK_EQ(stage.ended, 1 + CQ_FATAL);
    CHECK_STR(stage_error(stage.stage),
              "log_was_cut: out partition 1 ends at 0, before position 7; it lost records");
    paper_end(&stage);
    CHECK_EQ(world_count(&world, "out", 0), 0);
    CHECK_EQ(world_count(&world, "out", 1), 0);
    CHECK(world_committed(&world) < 1);
    reader_free(stage.reader);
    world_close(&world);
}

TEST(an_output_that_somebody_noted_as_cut_is_not_written_to)
{
    const struct bus_watched out = { "out", 2, NULL, 0 };
    struct bus_world world;
    struct paper_stage stage = { .outputs = &out };

    world_open(&world);
    CHECK_EQ(reader_new(world.brokers, &stage.reader), CQ_OK);
    CHECK_EQ(reader_raise_floor(stage.reader, "out", 0, 3), CQ_OK);
    CHECK_EQ(reader_raise_floor(stage.reader, "out", 0, 2), CQ_OK); /* never lowers */
    CHECK_EQ(floor_of(&world, "out"), 3);
    CHECK(world_put(&world, "one"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(stage.ended));
    CHECK_EQ(stage.ended, 1 + CQ_FATAL);
    paper_end(&stage);
    CHECK_EQ(world_count(&world, "out", 0), 0);
    reader_free(stage.reader);
    world_close(&world);
}

TEST(fillers_are_passed_over_and_counted)
{
    struct bus_world world;
    struct paper_stage stage = { 0 };
    int64_t fillers = count_get(COUNT_FILLERS);

    world_open(&world);
    CHECK(world_put(&world, "one"));
    for (int i = 0; i < 3; i++)
        CHECK(world_put_keyed(&world, "in", BUS_FILLER_KEY, NULL));
    CHECK(world_put(&world, "two"));
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(world_committed(&world) == 5));
    CHECK_EQ(stage.steps, 2);
    CHECK_EQ(count_get(COUNT_FILLERS), fillers + 3);
    CHECK_EQ(world_count(&world, "in.dlq", 0), 0);
    paper_end(&stage);
    world_close(&world);
}

/* Every table is indexed by partitions: the take-over is refused, and giving up what was refused
 * touches no table. (The sanitizers see it if it does.) */
TEST(a_topic_with_more_partitions_than_the_tables_have_is_refused)
{
    enum { BEYOND = PARTITIONS_MAX + 8 };
    struct bus_world world;
    struct paper_stage stage = { .topic = "wide" };

    world_open(&world);
    CHECK_EQ(rd_kafka_mock_topic_create(world.cluster, "wide", BEYOND, 1), 0);
    CHECK(paper_start(&stage, &world));
    CHECK(EVENTUALLY(stage.ended));
    CHECK_EQ(stage.ended, 1 + CQ_FATAL);
    CHECK_STR(stage_error(stage.stage), "the input ended: partition 1024 of wide cannot be taken");
    paper_end(&stage);
    world_close(&world);
}
