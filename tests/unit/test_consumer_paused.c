/* SPDX-License-Identifier: MIT */
/*
 * A pause ends when its partition goes away: after it has come back it is read.
 */
#include "lib/bus/bus.h"
#include "tests/unit/bus_world.h"
#include "tests/unit/test.h"

static const char TWO[] = "two";

static enum cq_status member(struct bus_world *world, struct consumer **ret)
{
    static const char *const topics[] = { TWO };

    return consumer_new(&(struct consumer_conf){ .brokers = world->brokers,
                                                 .client_id = "paper",
                                                 .group = GROUP,
                                                 .topics = topics,
                                                 .topics_n = 1,
                                                 .session_timeout_ms = 4000 },
                        ret);
}

/* Poll once. The number of records that came. */
static int poll_once(struct consumer *consumer)
{
    struct bus_record rec;

    if (consumer_poll(consumer, 10, &rec) != CQ_OK || !rec.topic)
        return 0;
    record_release(&rec);
    return 1;
}

/* Poll both until they own so many partitions; `b` may be NULL. */
static bool until_owned(struct consumer *a, int a_owns, struct consumer *b, int b_owns)
{
    int64_t until_ms = clock_mono_ms() + WITHIN_MS;

    while (clock_mono_ms() < until_ms) {
        poll_once(a);
        if (b)
            poll_once(b);
        if (consumer_owned(a) == a_owns && (!b || consumer_owned(b) == b_owns))
            return true;
    }
    return false;
}

TEST(a_paused_partition_that_went_away_is_read_when_it_is_back)
{
    struct bus_world world;
    struct consumer *stays = NULL, *goes = NULL;
    int64_t until_ms;
    int got = 0;

    world_open(&world);
    rd_kafka_mock_topic_create(world.cluster, TWO, 2, 1);
    CHECK(world_put_to(&world, TWO, "first"));
    CHECK_EQ(member(&world, &stays), CQ_OK);
    CHECK(until_owned(stays, 2, NULL, 0));
    consumer_pause(stays, TWO, 0, true);
    consumer_pause(stays, TWO, 1, true);
    CHECK_EQ(member(&world, &goes), CQ_OK);
    CHECK(until_owned(stays, 1, goes, 1));
    consumer_free(goes);
    CHECK(until_owned(stays, 2, NULL, 0));
    CHECK(world_put_to(&world, TWO, "second"));
    for (until_ms = clock_mono_ms() + WITHIN_MS; !got && clock_mono_ms() < until_ms;)
        got += poll_once(stays);
    CHECK(got);
    consumer_free(stays);
    world_close(&world);
}
