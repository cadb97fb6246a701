/* SPDX-License-Identifier: MIT */
/*
 * What a feed's turn makes of the records it holds, without broker and database: a record that
 * finds no room in an empty turn ends as a dead letter, and waiting is no try.
 */
#include "tests/unit/test.h"

#include "lib/base/clock.h"
#include "lib/feed/slow.h"
#include "tests/unit/bus_world.h"

#include <stdlib.h>

enum { RECORDS = 3, ROOM = 2 };

struct paper_sink {
    struct feed feed;
    struct held held[RECORDS];
    bool hold[RECORDS];
    int stuck;  /* this record never finds room; -1: none */
    int far;    /* this one names a source that nobody has; 0: none */
    int begun;  /* turns */
    int room;   /* records a turn has room for */
    int mapped; /* in this turn */
};

static void on_begin(void *arg)
{
    struct paper_sink *sink = arg;

    sink->begun++;
    sink->mapped = 0;
}

static enum cq_status on_step(void *arg, const struct bus_record *in, int64_t applied, bool quiet,
                              int64_t *ret_source, const char **ret_why)
{
    struct paper_sink *sink = arg;

    (void)applied;
    (void)quiet;
    (void)ret_why;
    if (in->offset == sink->stuck || sink->mapped == sink->room)
        return CQ_AGAIN;
    sink->mapped++;
    *ret_source = sink->far && in->offset == sink->far ? 1 << 30 : in->offset;
    return CQ_OK;
}

static const struct feed_ops ops = { .begin = on_begin, .step = on_step };
static const struct feed_topic topic = { .name = "in" };

static struct feed_part *part_of(struct paper_sink *sink)
{
    return parts_of(&sink->feed.parts, holds_at(&sink->feed.holds, 0, 0));
}

static bool sink_open(struct paper_sink *sink, int stuck)
{
    static const char *const names[] = { "in" };
    const struct holds_conf conf = { .consumer = { .topics = names, .topics_n = 1 } };
    struct hold *of;

    *sink = (struct paper_sink){ .stuck = stuck, .room = RECORDS };
    sink->feed.conf =
        (struct feed_conf){ .topics = &topic, .topics_n = 1, .ops = &ops, .arg = sink };
    sink->feed.held = sink->held;
    sink->feed.hold = sink->hold;
    sink->feed.held_n = RECORDS;
    if (holds_init(&sink->feed.holds, &conf) != CQ_OK ||
        parts_init(&sink->feed.parts, &sink->feed.conf, &sink->feed.holds) != CQ_OK)
        return false;
    sink->feed.holds.width = 1;
    of = holds_at(&sink->feed.holds, 0, 0);
    of->owned = of->noted = true;
    for (int i = 0; i < RECORDS; i++)
        sink->held[i] = (struct held){ .rec = { .topic = "in", .offset = i }, .of = of };
    part_of(sink)->source = -1;
    return true;
}

static void sink_close(struct paper_sink *sink)
{
    parts_release(&sink->feed.parts);
    holds_close(&sink->feed.holds);
}

/* The first `n` records were applied: they are held no more. */
static void drop_first(struct paper_sink *sink, int n)
{
    memmove(sink->held, sink->held + n, sizeof sink->held[0] * (size_t)(RECORDS - n));
    sink->feed.held_n -= n;
}

TEST(a_partition_leads_to_what_the_sink_says_of_its_topic)
{
    static const char *const names[] = { "first", "second" };
    static const struct feed_topic topics[] = { { .name = "first" }, { .name = "second" } };
    const struct holds_conf conf = { .consumer = { .topics = names, .topics_n = 2 } };
    struct feed feed = { .conf = { .topics = topics, .topics_n = 2 } };

    CHECK_EQ(holds_init(&feed.holds, &conf), CQ_OK);
    for (int i = 0; i < 2; i++) {
        CHECK(feed_topic_of(&feed, holds_find(&feed.holds, names[i], 0)) == &topics[i]);
        CHECK(feed_topic_of(&feed, holds_find(&feed.holds, names[i], PARTITIONS_MAX - 1)) ==
              &topics[i]);
    }
    holds_close(&feed.holds);
}

TEST(a_turn_ends_before_what_it_has_no_room_for)
{
    struct paper_sink sink;

    CHECK(sink_open(&sink, -1));
    sink.room = ROOM;
    CHECK_EQ(feed_map(&sink.feed), CQ_OK);
    CHECK_EQ(sink.feed.taken_n, ROOM);
    CHECK(!sink.held[ROOM].taken);
    CHECK_EQ(part_of(&sink)->turn_next, ROOM);
    sink_close(&sink);
}

TEST(a_record_without_room_in_an_empty_turn_is_a_dead_letter_after_some_tries)
{
    struct paper_sink sink;

    CHECK(sink_open(&sink, 1));
    CHECK_EQ(feed_map(&sink.feed), CQ_OK); /* the one before it is no try */
    CHECK_EQ(sink.feed.taken_n, 1);
    drop_first(&sink, 1);
    for (int i = 1; i < FEED_TRIES_MAX; i++) {
        CHECK_EQ(feed_map(&sink.feed), CQ_AGAIN);
        CHECK_EQ(sink.feed.taken_n, 0);
    }
    CHECK_EQ(feed_map(&sink.feed), CQ_OK);
    CHECK_EQ(sink.feed.taken_n, 2);
    CHECK_STR(sink.held[0].why,
              "made no progress in 8 tries: needs more memory or output than a turn may have");
    CHECK(!sink.held[1].why);
    CHECK_EQ(part_of(&sink)->turn_next, RECORDS);
    sink_close(&sink);
}

TEST(a_record_whose_time_has_not_come_is_not_tried)
{
    struct paper_sink sink;

    CHECK(sink_open(&sink, 0));
    sink.hold[0] = true;
    for (int i = 0; i < 3 * FEED_TRIES_MAX; i++) {
        CHECK_EQ(feed_map(&sink.feed), CQ_OK);
        CHECK_EQ(sink.feed.taken_n, 0);
    }
    sink.hold[0] = false;
    CHECK_EQ(feed_map(&sink.feed), CQ_AGAIN);
    CHECK(!sink.held[0].why && !*sink.held[0].refused);
    sink_close(&sink);
}

/* What its room was too small for may fit when the process has more memory: tries begin anew. */
TEST(tries_are_counted_in_a_row)
{
    struct paper_sink sink;

    CHECK(sink_open(&sink, 0));
    for (int i = 1; i < FEED_TRIES_MAX; i++)
        CHECK_EQ(feed_map(&sink.feed), CQ_AGAIN);
    sink.stuck = -1;
    CHECK_EQ(feed_map(&sink.feed), CQ_OK);
    CHECK_EQ(sink.feed.taken_n, RECORDS);
    sink.stuck = 0;
    CHECK_EQ(feed_map(&sink.feed), CQ_AGAIN);
    CHECK(!*sink.held[0].refused);
    sink_close(&sink);
}

/* A step takes it before its source is known to be impossible: the turn is mapped anew without it,
 * and what follows is no repeat. */
TEST(a_record_whose_source_the_log_does_not_have_is_a_dead_letter)
{
    static const struct feed_topic with_sources = { .name = "in", .sources = "sources" };
    struct bus_world world;
    struct paper_sink sink;

    world_open(&world);
    rd_kafka_mock_topic_create(world.cluster, "sources", 1, 1);
    for (int i = 0; i < RECORDS; i++)
        CHECK(world_put_to(&world, "sources", "an action"));
    CHECK(sink_open(&sink, -1));
    sink.feed.conf.topics = &with_sources;
    sink.far = 1;
    CHECK_EQ(reader_new(world.brokers, &sink.feed.reader), CQ_OK);
    CHECK_EQ(feed_map(&sink.feed), CQ_OK);
    CHECK_EQ(sink.feed.taken_n, RECORDS);
    CHECK_STR(sink.held[1].why, "its source is beyond the end of sources");
    CHECK(!sink.held[0].why && !sink.held[2].why);
    CHECK_EQ(sink.begun, 2);
    CHECK_EQ(sink.mapped, 2);
    CHECK_EQ(part_of(&sink)->turn_source, 2);
    reader_free(sink.feed.reader);
    sink_close(&sink);
    world_close(&world);
}

TEST(a_turn_that_takes_too_long_is_applied_record_by_record)
{
    struct paper_sink sink;

    CHECK(sink_open(&sink, -1));
    CHECK_EQ(feed_map(&sink.feed), CQ_OK);
    CHECK_EQ(sink.feed.taken_n, RECORDS);
    slow_note(&sink.feed, clock_mono_ms());
    CHECK_EQ(sink.feed.single, RECORDS);
    CHECK_EQ(slow_partitions(&sink.feed), 0);
    CHECK_EQ(feed_map(&sink.feed), CQ_OK);
    CHECK_EQ(sink.feed.taken_n, 1);
    sink_close(&sink);
}

TEST(the_partition_of_a_record_that_takes_too_long_alone_waits)
{
    struct paper_sink sink;
    struct hold *other;
    int64_t now_ms = clock_mono_ms(), wait_ms = SLOW_FIRST_MS;

    CHECK(sink_open(&sink, -1));
    sink.feed.holds.width = 2;
    other = holds_at(&sink.feed.holds, 0, 1);
    other->owned = other->noted = true;
    sink.held[1].of = sink.held[2].of = other;
    holds_at(&sink.feed.holds, 0, 0)->paused = true; /* there is no consumer */
    sink.feed.single = RECORDS;
    CHECK_EQ(feed_map(&sink.feed), CQ_OK);
    CHECK(sink.held[0].taken && sink.feed.taken_n == 1);
    slow_note(&sink.feed, now_ms);
    CHECK_EQ(slow_partitions(&sink.feed), 1);
    sink.feed.single = 0;
    CHECK_EQ(feed_map(&sink.feed), CQ_OK); /* others go on, and nothing of it is passed over */
    CHECK(sink.held[1].taken && sink.held[2].taken && sink.feed.taken_n == 2);
    slow_over(&sink.feed);
    CHECK_EQ(slow_partitions(&sink.feed), 1);
    CHECK_EQ(sink.feed.stats.slow_begun, 1);
    for (int i = 0; i < 20; i++) { /* its time has come again and again, and it is tried alone */
        part_of(&sink)->slow_until_ms = 0;
        CHECK_EQ(feed_map(&sink.feed), CQ_OK);
        CHECK(sink.held[0].taken && sink.feed.taken_n == 1);
        slow_note(&sink.feed, now_ms);
        wait_ms = 2 * wait_ms < SLOW_MAX_MS ? 2 * wait_ms : SLOW_MAX_MS;
        CHECK_EQ(part_of(&sink)->slow_until_ms, now_ms + wait_ms);
    }
    part_of(&sink)->slow_until_ms = 0;
    CHECK_EQ(feed_map(&sink.feed), CQ_OK);
    slow_over(&sink.feed);
    CHECK_EQ(slow_partitions(&sink.feed), 0);
    CHECK_EQ(feed_map(&sink.feed), CQ_OK);
    CHECK_EQ(sink.feed.taken_n, RECORDS);
    sink_close(&sink);
}

static enum cq_status on_assigned(void *arg, struct hold *hold, const char *meta, int64_t *ret_from)
{
    struct paper_sink *sink = arg;

    (void)meta;
    (void)ret_from;
    parts_of(&sink->feed.parts, hold)->source = -1;
    return CQ_OK;
}

/* The same with what a broker has, and nothing held. */
static bool sink_join(struct paper_sink *sink, const struct bus_world *world)
{
    static const char *const names[] = { "in" };
    static const struct hold_ops hold_ops = { .assigned = on_assigned };
    const struct holds_conf conf = { .consumer = { .brokers = world->brokers,
                                                   .client_id = "paper",
                                                   .group = GROUP,
                                                   .topics = names,
                                                   .topics_n = 1 },
                                     .ops = &hold_ops,
                                     .arg = sink };

    *sink = (struct paper_sink){ .stuck = -1, .room = RECORDS };
    sink->feed.conf =
        (struct feed_conf){ .topics = &topic, .topics_n = 1, .ops = &ops, .arg = sink };
    sink->feed.held = sink->held;
    sink->feed.hold = sink->hold;
    return holds_open(&sink->feed.holds, &conf) == CQ_OK &&
           parts_init(&sink->feed.parts, &sink->feed.conf, &sink->feed.holds) == CQ_OK;
}

/* Hold records until there are `n`, or none has come for so long. */
static int sink_gather(struct paper_sink *sink, int n, int within_ms)
{
    struct feed *feed = &sink->feed;
    int64_t until_ms = clock_mono_ms() + within_ms;

    while (feed->held_n < n && clock_left_ms(until_ms)) {
        struct held held = { 0 };

        if (holds_poll(&feed->holds, clock_left_ms(until_ms), &held.rec, &held.of) != CQ_OK ||
            !held.rec.topic)
            continue;
        parts_of(&feed->parts, held.of)->held++;
        feed->held_bytes += held.rec.value.n;
        feed->held[feed->held_n++] = held;
    }
    return feed->held_n;
}

/* Nobody else would be read while what is behind it fills the room of all. */
TEST(what_is_behind_a_record_that_takes_too_long_is_held_no_more_and_read_again)
{
    struct bus_world world;
    struct paper_sink sink;
    struct hold *of;

    world_open(&world);
    for (int i = 0; i < RECORDS + 2; i++)
        CHECK(world_put(&world, "good"));
    CHECK(sink_join(&sink, &world));
    of = holds_at(&sink.feed.holds, 0, 0);
    CHECK_EQ(sink_gather(&sink, RECORDS, WITHIN_MS), RECORDS);
    sink.feed.single = RECORDS;
    for (int i = 0; i < 2; i++) { /* and it takes too long again */
        part_of(&sink)->slow_until_ms = 0;
        CHECK_EQ(feed_map(&sink.feed), CQ_OK);
        slow_note(&sink.feed, clock_mono_ms());
        CHECK_EQ(sink.feed.held_n, 1);
        CHECK_EQ(part_of(&sink)->held, 1);
        CHECK_EQ(sink.feed.held_bytes, strlen("good"));
        CHECK_EQ(sink.held[0].rec.offset, 0);
        CHECK(of->paused);
        CHECK_EQ(sink_gather(&sink, RECORDS, QUIET_MS), 1); /* it stays so */
    }
    hold_pause(&sink.feed.holds, of, false);
    CHECK_EQ(sink_gather(&sink, RECORDS, WITHIN_MS), RECORDS);
    for (int i = 0; i < RECORDS; i++) /* and nothing is passed over */
        CHECK_EQ(sink.held[i].rec.offset, i);
    CHECK_EQ(own_moved(&sink.feed, of, 1, 0), CQ_OK); /* it was written, though nobody said so */
    CHECK_EQ(slow_partitions(&sink.feed), 0);
    CHECK_EQ(sink.feed.held_n, RECORDS - 1);
    own_drop(&sink.feed, of, 0, INT64_MAX);
    CHECK_EQ(sink_gather(&sink, 2, WITHIN_MS), 2);
    CHECK_EQ(sink.held[1].rec.offset, RECORDS + 1);
    own_drop(&sink.feed, of, 0, INT64_MAX);
    sink_close(&sink);
    world_close(&world);
}
