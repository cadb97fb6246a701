/* SPDX-License-Identifier: MIT */
/*
 * Commit after effects: whatever happens to the outputs of a turn, its input is not committed
 * before each of them is stored.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "tests/unit/bus_world.h"

/* Nothing may be committed while an output has no report. There is no event for "it did not
 * happen": the stage is given five times the time in which it commits. */
static bool stays_uncommitted(struct bus_world *w, int64_t committed)
{
    int64_t until_ms = clock_mono_ms() + QUIET_MS;

    while (clock_mono_ms() < until_ms) {
        if (world_committed(w) != committed)
            return false;
        clock_sleep_ms(20);
    }
    return true;
}

TEST(the_input_waits_for_every_report)
{
    struct bus_world w;
    struct paper_stage p = { 0 };

    world_open(&w);
    rd_kafka_mock_broker_set_down(w.cluster, FAR); /* one output of the two is not reported */
    CHECK(world_put(&w, "one"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_count(&w, "out", 0) == 1));
    CHECK(stays_uncommitted(&w, 0));
    CHECK_EQ(p.steps, 1);
    rd_kafka_mock_broker_set_up(w.cluster, FAR);
    CHECK(EVENTUALLY(world_committed(&w) == 1));
    CHECK_EQ(world_count(&w, "out", 0), 1);
    CHECK_EQ(world_count(&w, "out", 1), 1);
    CHECK_EQ(p.steps, 1);
    paper_end(&p);
    CHECK_EQ(p.ended, 1 + CQ_OK);
    world_close(&w);
}

TEST(a_slow_report_holds_the_commit_up)
{
    struct bus_world w;
    struct paper_stage p = { 0 };

    world_open(&w);
    CHECK(world_put(&w, "zero"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_committed(&w) == 1));
    rd_kafka_mock_broker_push_request_error_rtts(w.cluster, FAR, API_PRODUCE, (size_t)1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, 3 * QUIET_MS);
    CHECK(world_put(&w, "one"));
    CHECK(EVENTUALLY(world_count(&w, "out", 1) == 2)); /* stored, and nobody has been told */
    CHECK(stays_uncommitted(&w, 1));
    CHECK(EVENTUALLY(world_committed(&w) == 2));
    paper_end(&p);
    world_close(&w);
}

TEST(an_output_that_fails_ends_the_stage_and_is_repeated)
{
    struct bus_world w;
    struct paper_stage p = { 0 }, again = { 0 };

    world_open(&w);
    CHECK(world_put(&w, "zero"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_committed(&w) == 1));
    rd_kafka_mock_broker_push_request_error_rtts(w.cluster, FAR, API_PRODUCE, (size_t)1,
                                                 RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 0);
    CHECK(world_put(&w, "one"));
    CHECK(EVENTUALLY(p.ended));
    CHECK_EQ(p.ended, 1 + CQ_FATAL);
    CHECK_STR(stage_error(p.stage), "an output failed: writing to partition 1 of out: "
                                    "TOPIC_AUTHORIZATION_FAILED");
    paper_end(&p);
    CHECK_EQ(world_committed(&w), 1); /* neither by the turn nor by leaving the group */
    CHECK(paper_start(&again, &w));
    CHECK(EVENTUALLY(world_committed(&w) == 2));
    CHECK_EQ(again.first, 1); /* from the commit, not from an output's tail */
    CHECK_EQ(again.steps, 1);
    CHECK_EQ(world_count(&w, "out", 1), 2);
    paper_end(&again);
    world_close(&w);
}

/* The text beside the commit says what the state behind it holds: restored at that offset, the two
 * must speak of the same records. */
TEST(leaving_after_a_failed_turn_commits_no_text_of_it)
{
    struct bus_world w;
    struct paper_stage p = { 0 };

    world_open(&w);
    CHECK(world_put(&w, "zero"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_committed(&w) == 1));
    CHECK_STR(w.meta, "1");
    CHECK(world_put(&w, "one")); /* done, and not yet committed when the next one fails */
    CHECK(EVENTUALLY(world_count(&w, "out", 1) == 2));
    rd_kafka_mock_broker_push_request_error_rtts(w.cluster, FAR, API_PRODUCE, (size_t)1,
                                                 RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 0);
    CHECK(world_put(&w, "two"));
    CHECK(EVENTUALLY(p.ended));
    CHECK_EQ(p.ended, 1 + CQ_FATAL);
    paper_end(&p);
    CHECK_EQ(p.steps, 3);
    CHECK(world_committed(&w) < 3);
    CHECK(world_committed(&w) == strtol(w.meta, NULL, 10));
    world_close(&w);
}

TEST(a_dead_letter_is_stored_before_the_input_is_committed)
{
    struct bus_world w;
    struct paper_stage p = { 0 };

    world_open(&w);
    rd_kafka_mock_broker_set_down(w.cluster, FAR);
    CHECK(world_put(&w, "poison"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(p.steps == 1));
    CHECK(stays_uncommitted(&w, 0));
    rd_kafka_mock_broker_set_up(w.cluster, FAR);
    CHECK(EVENTUALLY(world_committed(&w) == 1));
    CHECK_EQ(world_count(&w, "in.dlq", 0), 1);
    CHECK_EQ(world_count(&w, "out", 0), 0); /* what it emitted before it was poison never was */
    CHECK_EQ(world_count(&w, "out", 1), 0);
    paper_end(&p);
    world_close(&w);
}

TEST(a_record_in_parts_is_committed_after_the_last)
{
    struct bus_world w;
    struct paper_stage p = { 0 };

    world_open(&w);
    rd_kafka_mock_broker_set_down(w.cluster, FAR); /* the first part is not reported */
    CHECK(world_put(&w, "parts"));
    CHECK(world_put(&w, "next"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_count(&w, "out", 0) == 1));
    CHECK(stays_uncommitted(&w, 0));
    CHECK_EQ(p.steps, 1);
    rd_kafka_mock_broker_set_up(w.cluster, FAR);
    CHECK(EVENTUALLY(world_committed(&w) == 2));
    CHECK_EQ(p.steps, PAPER_PARTS + 1);
    CHECK_EQ(world_count(&w, "out", 0), PAPER_PARTS + 1);
    CHECK_EQ(world_count(&w, "out", 1), PAPER_PARTS + 1);
    CHECK_EQ(world_count(&w, "in.dlq", 0), 0);
    paper_end(&p);
    world_close(&w);
}

/* Nobody waits behind a record that no turn can hold; until it is given up, two numbers say so. */
TEST(a_record_without_progress_is_a_dead_letter_after_some_tries)
{
    struct bus_world w;
    struct paper_stage p = { 0 };

    world_open(&w);
    CHECK(world_put(&w, "before"));
    CHECK(world_put(&w, "stuck"));
    CHECK(world_put(&w, "after"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(count_get(COUNT_TURNS_REPEATED) > 2));
    CHECK(count_repeating_ms(clock_mono_ms()) > 0);
    CHECK(EVENTUALLY(world_committed(&w) == 3));
    CHECK_EQ(world_count(&w, "in.dlq", 0), 1);
    CHECK_EQ(world_count(&w, "out", 0), 2);
    CHECK_EQ(count_get(COUNT_TURNS_REPEATED), 0);
    CHECK_EQ(count_repeating_ms(clock_mono_ms()), 0);
    paper_end(&p);
    CHECK_EQ(p.ended, 1 + CQ_OK);
    world_close(&w);
}

TEST(a_record_that_finds_room_later_is_no_dead_letter)
{
    struct bus_world w;
    struct paper_stage p = { 0 };

    world_open(&w);
    CHECK(world_put(&w, "late"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_committed(&w) == 1));
    CHECK_EQ(p.steps, PAPER_LATE);
    CHECK_EQ(world_count(&w, "out", 0), 1);
    CHECK_EQ(world_count(&w, "in.dlq", 0), 0);
    paper_end(&p);
    world_close(&w);
}

/* ---- a log that is shorter than what was committed ------------------------------------- */

static void commit_at(struct bus_world *w, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, "in", 0)->offset = offset;
    CHECK_EQ(rd_kafka_commit(w->rk, list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
}

TEST(what_expired_is_passed_over_and_counted)
{
    enum { RECORD = 900 * 1024, RECORDS = 8 }; /* the paper broker keeps 5 MiB of a partition */
    static char value[RECORD + 1];
    struct bus_world w;
    struct paper_stage p = { 0 };
    int64_t low = 0, high = 0, expired = count_get(COUNT_EXPIRED);

    memset(value, 'x', RECORD);
    world_open(&w);
    CHECK(world_put(&w, "first"));
    commit_at(&w, 1);
    for (int i = 0; i < RECORDS; i++)
        CHECK(world_put(&w, value));
    CHECK_EQ(rd_kafka_query_watermark_offsets(w.rk, "in", 0, &low, &high, CALL_MS), 0);
    CHECK(low > 1); /* or this tests nothing */
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_committed(&w) == high));
    CHECK_EQ(p.first, low);
    CHECK_EQ(count_get(COUNT_EXPIRED), expired + low - 1);
    paper_end(&p);
    CHECK_EQ(p.ended, 1 + CQ_OK);
    world_close(&w);
}

static void take_floor(void *arg, int32_t partition, int64_t next, const char *meta)
{
    (void)meta;
    if (partition == 0)
        *(int64_t *)arg = next;
}

/* What is noted of partition 0; -1: nothing; -2: no answer. */
static int64_t floor_of(struct bus_world *w, const char *topic)
{
    struct reader *r = NULL;
    int64_t floor = -1;

    if (reader_new(w->brokers, &r) != CQ_OK ||
        reader_commits(r, BUS_FLOOR_GROUP, topic, 1, take_floor, &floor) != CQ_OK)
        floor = -2;
    reader_free(r);
    return floor;
}

/* What is written from now on would stand below the commit, and be skipped without a word. */
TEST(a_log_that_ends_before_the_commit_is_refused)
{
    struct bus_world w;
    struct paper_stage p = { 0 };

    world_open(&w);
    CHECK(world_put(&w, "one"));
    commit_at(&w, 5);
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(p.ended));
    CHECK_EQ(p.ended, 1 + CQ_FATAL);
    CHECK_EQ(p.steps, 0);
    CHECK_STR(stage_error(p.stage),
              "the input ended: log_was_cut: in partition 0 ends at 1, before "
              "position 5; it lost records");
    paper_end(&p);
    CHECK_EQ(world_committed(&w), 5);
    CHECK_EQ(floor_of(&w, "in"), 5); /* for those who write there */
    world_close(&w);
}

/* What is written now would be passed over by those who have read further. */
TEST(an_output_that_ends_before_its_readers_is_not_written_to)
{
    static const char *const groups[] = { "readers" };
    const struct bus_watched out = { "out", 2, groups, 1 };
    struct bus_world w;
    struct paper_stage p = { .outputs = &out };
    char why[128];

    world_open(&w);
    CHECK_EQ(reader_new(w.brokers, &p.reader), CQ_OK);
    CHECK_EQ(reader_move_group(p.reader, "readers", "out", 1, 7, NULL, why, sizeof why), CQ_OK);
    CHECK(world_put(&w, "one"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(p.ended));
    CHECK_EQ(p.ended, 1 + CQ_FATAL);
    CHECK_STR(stage_error(p.stage),
              "log_was_cut: out partition 1 ends at 0, before position 7; it lost records");
    paper_end(&p);
    CHECK_EQ(world_count(&w, "out", 0), 0);
    CHECK_EQ(world_count(&w, "out", 1), 0);
    CHECK(world_committed(&w) < 1);
    reader_free(p.reader);
    world_close(&w);
}

TEST(an_output_that_somebody_noted_as_cut_is_not_written_to)
{
    const struct bus_watched out = { "out", 2, NULL, 0 };
    struct bus_world w;
    struct paper_stage p = { .outputs = &out };

    world_open(&w);
    CHECK_EQ(reader_new(w.brokers, &p.reader), CQ_OK);
    CHECK_EQ(reader_raise_floor(p.reader, "out", 0, 3), CQ_OK);
    CHECK_EQ(reader_raise_floor(p.reader, "out", 0, 2), CQ_OK); /* never lowers */
    CHECK_EQ(floor_of(&w, "out"), 3);
    CHECK(world_put(&w, "one"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(p.ended));
    CHECK_EQ(p.ended, 1 + CQ_FATAL);
    paper_end(&p);
    CHECK_EQ(world_count(&w, "out", 0), 0);
    reader_free(p.reader);
    world_close(&w);
}

TEST(fillers_are_passed_over_and_counted)
{
    struct bus_world w;
    struct paper_stage p = { 0 };
    int64_t fillers = count_get(COUNT_FILLERS);

    world_open(&w);
    CHECK(world_put(&w, "one"));
    for (int i = 0; i < 3; i++)
        CHECK(world_put_keyed(&w, "in", BUS_FILLER_KEY, NULL));
    CHECK(world_put(&w, "two"));
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_committed(&w) == 5));
    CHECK_EQ(p.steps, 2);
    CHECK_EQ(count_get(COUNT_FILLERS), fillers + 3);
    CHECK_EQ(world_count(&w, "in.dlq", 0), 0);
    paper_end(&p);
    world_close(&w);
}
