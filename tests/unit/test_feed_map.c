/* SPDX-License-Identifier: MIT */
/*
 * What a feed's turn makes of the records it holds, without broker and database: a record that
 * finds no room in an empty turn ends as a dead letter, and waiting is no try.
 */
#include "tests/unit/test.h"

#include "lib/feed/state.h"
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
    struct paper_sink *x = arg;

    x->begun++;
    x->mapped = 0;
}

static enum cq_status on_step(void *arg, const struct bus_record *in, int64_t applied, bool quiet,
                              int64_t *ret_source, const char **ret_why)
{
    struct paper_sink *x = arg;

    (void)applied;
    (void)quiet;
    (void)ret_why;
    if (in->offset == x->stuck || x->mapped == x->room)
        return CQ_AGAIN;
    x->mapped++;
    *ret_source = x->far && in->offset == x->far ? 1 << 30 : in->offset;
    return CQ_OK;
}

static const struct feed_ops ops = { .begin = on_begin, .step = on_step };
static const struct feed_topic topic = { .name = "in" };

static bool sink_open(struct paper_sink *x, int stuck)
{
    *x = (struct paper_sink){ .stuck = stuck, .room = RECORDS };
    x->feed.conf = (struct feed_conf){ .topics = &topic, .topics_n = 1, .ops = &ops, .arg = x };
    x->feed.held = x->held;
    x->feed.hold = x->hold;
    x->feed.held_n = RECORDS;
    for (int i = 0; i < RECORDS; i++)
        x->held[i].rec = (struct bus_record){ .topic = "in", .offset = i };
    if (parts_init(&x->feed.parts, &x->feed.conf) != CQ_OK)
        return false;
    x->feed.parts.width = 1;
    parts_at(&x->feed.parts, 0, 0)->owned = true;
    parts_at(&x->feed.parts, 0, 0)->source = -1;
    return true;
}

static void sink_close(struct paper_sink *x)
{
    parts_release(&x->feed.parts);
}

/* The first `n` records were applied: they are held no more. */
static void drop_first(struct paper_sink *x, int n)
{
    memmove(x->held, x->held + n, sizeof x->held[0] * (size_t)(RECORDS - n));
    x->feed.held_n -= n;
}

TEST(a_turn_ends_before_what_it_has_no_room_for)
{
    struct paper_sink x;

    CHECK(sink_open(&x, -1));
    x.room = ROOM;
    CHECK_EQ(feed_map(&x.feed), CQ_OK);
    CHECK_EQ(x.feed.taken_n, ROOM);
    CHECK(!x.held[ROOM].taken);
    CHECK_EQ(parts_at(&x.feed.parts, 0, 0)->turn_next, ROOM);
    sink_close(&x);
}

TEST(a_record_without_room_in_an_empty_turn_is_a_dead_letter_after_some_tries)
{
    struct paper_sink x;

    CHECK(sink_open(&x, 1));
    CHECK_EQ(feed_map(&x.feed), CQ_OK); /* the one before it is no try */
    CHECK_EQ(x.feed.taken_n, 1);
    drop_first(&x, 1);
    for (int i = 1; i < FEED_TRIES_MAX; i++) {
        CHECK_EQ(feed_map(&x.feed), CQ_AGAIN);
        CHECK_EQ(x.feed.taken_n, 0);
    }
    CHECK_EQ(feed_map(&x.feed), CQ_OK);
    CHECK_EQ(x.feed.taken_n, 2);
    CHECK_STR(x.held[0].why,
              "made no progress in 8 tries: needs more memory or output than a turn may have");
    CHECK(!x.held[1].why);
    CHECK_EQ(parts_at(&x.feed.parts, 0, 0)->turn_next, RECORDS);
    sink_close(&x);
}

TEST(a_record_whose_time_has_not_come_is_not_tried)
{
    struct paper_sink x;

    CHECK(sink_open(&x, 0));
    x.hold[0] = true;
    for (int i = 0; i < 3 * FEED_TRIES_MAX; i++) {
        CHECK_EQ(feed_map(&x.feed), CQ_OK);
        CHECK_EQ(x.feed.taken_n, 0);
    }
    x.hold[0] = false;
    CHECK_EQ(feed_map(&x.feed), CQ_AGAIN);
    CHECK(!x.held[0].why && !*x.held[0].refused);
    sink_close(&x);
}

/* What its room was too small for may fit when the process has more memory: tries begin anew. */
TEST(tries_are_counted_in_a_row)
{
    struct paper_sink x;

    CHECK(sink_open(&x, 0));
    for (int i = 1; i < FEED_TRIES_MAX; i++)
        CHECK_EQ(feed_map(&x.feed), CQ_AGAIN);
    x.stuck = -1;
    CHECK_EQ(feed_map(&x.feed), CQ_OK);
    CHECK_EQ(x.feed.taken_n, RECORDS);
    x.stuck = 0;
    CHECK_EQ(feed_map(&x.feed), CQ_AGAIN);
    CHECK(!*x.held[0].refused);
    sink_close(&x);
}

/* A step takes it before its source is known to be impossible: the turn is mapped anew without it,
 * and what follows is no repeat. */
TEST(a_record_whose_source_the_log_does_not_have_is_a_dead_letter)
{
    static const struct feed_topic with_sources = { .name = "in", .sources = "sources" };
    struct bus_world w;
    struct paper_sink x;

    world_open(&w);
    rd_kafka_mock_topic_create(w.cluster, "sources", 1, 1);
    for (int i = 0; i < RECORDS; i++)
        CHECK(world_put_to(&w, "sources", "an action"));
    CHECK(sink_open(&x, -1));
    x.feed.conf.topics = &with_sources;
    x.far = 1;
    CHECK_EQ(reader_new(w.brokers, &x.feed.reader), CQ_OK);
    CHECK_EQ(feed_map(&x.feed), CQ_OK);
    CHECK_EQ(x.feed.taken_n, RECORDS);
    CHECK_STR(x.held[1].why, "its source is beyond the end of sources");
    CHECK(!x.held[0].why && !x.held[2].why);
    CHECK_EQ(x.begun, 2);
    CHECK_EQ(x.mapped, 2);
    CHECK_EQ(parts_at(&x.feed.parts, 0, 0)->turn_source, 2);
    reader_free(x.feed.reader);
    sink_close(&x);
    world_close(&w);
}
