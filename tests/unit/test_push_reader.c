/* SPDX-License-Identifier: MIT */
/*
 * A dead letter of ws.push whose broker is away: the gateway neither ends nor stands still.
 */
#include "tests/unit/test.h"

#include "sinks/websocket/push_reader.h"
#include "tests/unit/bus_world.h"

enum { AWAY_MS = 8000 };

static struct push_reader *reader; /* of the running case, for the port */
static int64_t committed = -1;

static enum cq_status port_submit(void *arg, const struct user_action *action, uint64_t opaque)
{
    (void)arg;
    (void)action;
    (void)opaque;
    return CQ_AGAIN;
}

static void port_commit(void *arg, int32_t slot, int64_t next, bool wait)
{
    (void)arg;
    (void)slot;
    (void)wait;
    committed = next;
}

static void port_pause(void *arg, int32_t slot, bool pause)
{
    (void)arg;
    push_reader_pause(reader, slot, pause);
}

/* A few turns of the gateway's loop. */
static enum cq_status turn(struct sink *sink)
{
    bool more = true;
    enum cq_status st;

    sink_set_now(sink, clock_mono_ms(), clock_wall_ms());
    st = push_reader_poll(reader, 16, clock_wall_ms(), &more);
    sink_batch_end(sink);
    sink_tick(sink);
    clock_sleep_ms(5);
    return st;
}

TEST(a_dead_letter_waits_for_its_broker)
{
    struct bus_world world;
    struct sink *sink = NULL;
    int64_t until_ms;

    world_open(&world);
    rd_kafka_mock_topic_create(world.cluster, "ws.push", 1, 1);
    rd_kafka_mock_topic_create(world.cluster, "ws.push.dlq", 1, 1);
    rd_kafka_mock_partition_set_leader(world.cluster, "ws.push", 0, NEAR);
    rd_kafka_mock_partition_set_leader(world.cluster, "ws.push.dlq", 0, FAR);
    rd_kafka_mock_coordinator_set(world.cluster, "group", "edge-ws", NEAR);
    rd_kafka_mock_broker_set_down(world.cluster, FAR);
    CHECK(world_put_to(&world, "ws.push", "no push at all"));
    CHECK_EQ(sink_new(
                 &(struct sink_conf){
                     .port = { .submit = port_submit, .commit = port_commit, .pause = port_pause },
                     .slots = 1,
                     .sessions_max = 1 },
                 &sink),
             CQ_OK);
    CHECK_EQ(push_reader_new(&(struct push_reader_conf){ .brokers = world.brokers,
                                                         .client_id = "paper",
                                                         .instance = "" },
                             &reader),
             CQ_OK);
    CHECK_EQ(push_reader_start(reader, sink), CQ_OK);
    until_ms = clock_mono_ms() + AWAY_MS; /* the fault itself */
    while (clock_mono_ms() < until_ms)
        CHECK_EQ(turn(sink), CQ_OK);
    CHECK_EQ(sink_stats(sink)->slots_ours, 1);
    CHECK_EQ(committed, -1);
    rd_kafka_mock_broker_set_up(world.cluster, FAR);
    until_ms = clock_mono_ms() + WITHIN_MS;
    while (committed != 1 && clock_mono_ms() < until_ms)
        CHECK_EQ(turn(sink), CQ_OK);
    CHECK_EQ(committed, 1);
    CHECK_EQ(world_count(&world, "ws.push.dlq", 0), 1);
    push_reader_free(reader);
    sink_free(sink);
    world_close(&world);
}
