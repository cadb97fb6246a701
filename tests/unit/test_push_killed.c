/* SPDX-License-Identifier: MIT */
/*
 * What a gateway reads from ws.push kills its process: reader and sink as they are, on a broker made
 * of paper. Nobody is connected, so each record is handed back, and that is what kills.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "lib/bus/suspect.h"
#include "schemas/codec.h"
#include "sinks/websocket/push_reader.h"
#include "tests/unit/bus_world.h"

enum { KILLER = 666, NOTED = SUSPECT_KILLS - 1, LOST_MAX = 64 };

/* A gateway without sockets. */
struct paper_gateway {
    struct sink *sink;
    struct push_reader *reader;
    uint64_t lost[LOST_MAX]; /* opaques, not reported yet */
    int lost_n;
    int64_t last; /* seq of the last message that was handed back */
};

static struct paper_gateway gateway;

static enum cq_status port_submit(void *arg, const struct user_action *action, uint64_t opaque)
{
    const struct session_lost *lost = &action->action.u.session_lost;

    (void)arg;
    if (action->action.kind != USER_ACTION_SESSION_LOST || gateway.lost_n == LOST_MAX)
        return CQ_AGAIN;
    for (size_t i = 0; i < lost->items_n; i++) {
        if (lost->items[i].seq == KILLER)
            raise(SIGKILL);
        gateway.last = lost->items[i].seq;
    }
    gateway.lost[gateway.lost_n++] = opaque;
    return CQ_OK;
}

static void port_commit(void *arg, int32_t slot, int64_t next, bool wait)
{
    (void)arg;
    push_reader_commit(gateway.reader, slot, next, wait);
}

static void port_pause(void *arg, int32_t slot, bool pause)
{
    (void)arg;
    push_reader_pause(gateway.reader, slot, pause);
}

static bool gateway_open(const char *brokers)
{
    const struct sink_conf conf = {
        .port = { .submit = port_submit, .commit = port_commit, .pause = port_pause },
        .slots = 1,
        .sessions_max = 1
    };
    const struct push_reader_conf rc = { .brokers = brokers, .client_id = "paper", .instance = "" };

    return sink_new(&conf, &gateway.sink) == CQ_OK &&
           push_reader_new(&rc, &gateway.reader) == CQ_OK &&
           push_reader_start(gateway.reader, gateway.sink) == CQ_OK;
}

static enum cq_status turn(void)
{
    bool more = true;
    enum cq_status st;

    sink_set_now(gateway.sink, clock_mono_ms(), clock_wall_ms());
    st = push_reader_poll(gateway.reader, 16, clock_wall_ms(), &more);
    sink_batch_end(gateway.sink);
    while (gateway.lost_n)
        sink_report(gateway.sink, gateway.lost[--gateway.lost_n], CQ_OK);
    sink_tick(gateway.sink);
    clock_sleep_ms(1);
    return st;
}

/* Run in the child, before main(). */
__attribute__((constructor)) static void gateway_child(void)
{
    const char *brokers = child_brokers();

    if (!brokers)
        return;
    if (!gateway_open(brokers))
        _exit(3);
    while (turn() == CQ_OK)
        ;
    _exit(1);
}

/* A message for a session that is nowhere. */
static bool put_message(struct bus_world *world, int64_t seq)
{
    struct ws_target to = { { { 1 } }, { { 2, (uint8_t)seq } } };
    struct ws_entry entry = { .kind = WS_ENTRY_KIND_FRAME,
                              .class = FRAME_CLASS_MESSAGE,
                              .seq = seq,
                              .frame = span_str("\"t\":\"message\"}"),
                              .to = &to,
                              .to_n = 1 };
    struct ws_push push = { &entry, 1 };

    return world_put_record(world, "ws.push", (struct cq_span){ 0 }, &ws_push_codec, &push);
}

static int64_t committed(struct bus_world *world, struct reader *reader)
{
    return world_committed_of(world, reader, "edge-ws", "ws.push");
}

/* Turns until `next` is committed, or too long. */
static void until_committed(struct bus_world *world, struct reader *reader, int64_t next)
{
    int64_t until_ms = clock_mono_ms() + 2 * WITHIN_MS; /* the group may have to miss a dead one */

    while (committed(world, reader) < next && clock_mono_ms() < until_ms)
        CHECK_EQ(turn(), CQ_OK);
    CHECK_EQ(committed(world, reader), next);
}

static void gateway_close(void)
{
    push_reader_free(gateway.reader);
    sink_free(gateway.sink);
    gateway = (struct paper_gateway){ 0 };
}

TEST(a_gateway_notes_its_start_and_reads_on)
{
    struct bus_world world;
    struct reader *reader = NULL;

    world_open(&world);
    rd_kafka_mock_topic_create(world.cluster, "ws.push", 1, 1);
    CHECK_EQ(reader_new(world.brokers, &reader), CQ_OK);
    CHECK(put_message(&world, 1));
    CHECK(put_message(&world, 2));
    CHECK(gateway_open(world.brokers));
    until_committed(&world, reader, 2);
    CHECK(put_message(&world, 3));
    until_committed(&world, reader, 3);
    CHECK_EQ(gateway.last, 3);
    gateway_close();
    reader_free(reader);
    world_close(&world);
}

/* Whether the text of the commit begins with the guard's front (lib/bus/suspect.h). */
static bool is_noted(struct bus_world *world, struct reader *reader)
{
    return committed(world, reader) >= 0 && world->meta[0] == '!';
}

/* The gateway's loop goes round while the broker takes its time over a note. */
TEST(a_gateway_does_not_stand_still_for_its_notes)
{
    enum { SLOW_MS = 2000, TURNS = 20 };
    struct bus_world world;
    struct reader *reader = NULL;
    int64_t until_ms;
    int turns = 0;

    world_open(&world);
    rd_kafka_mock_topic_create(world.cluster, "ws.push", 1, 1);
    rd_kafka_mock_coordinator_set(world.cluster, "group", "edge-ws", NEAR);
    CHECK_EQ(reader_new(world.brokers, &reader), CQ_OK);
    CHECK(put_message(&world, 1));
    rd_kafka_mock_broker_push_request_error_rtts(world.cluster, NEAR, API_OFFSET_COMMIT, (size_t)1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, SLOW_MS);
    CHECK(gateway_open(world.brokers));
    until_ms = clock_mono_ms() + WITHIN_MS;
    while (!(sink_stats(gateway.sink)->slots_ours && is_noted(&world, reader)) &&
           clock_mono_ms() < until_ms)
        CHECK_EQ(turn(), CQ_OK);
    CHECK_EQ(gateway.last, 0); /* the note is stored, and its answer on the way */
    until_ms = clock_mono_ms() + WITHIN_MS;
    for (; !gateway.last && clock_mono_ms() < until_ms; turns++)
        CHECK_EQ(turn(), CQ_OK);
    CHECK_EQ(gateway.last, 1);
    CHECK(turns > TURNS);
    gateway_close();
    reader_free(reader);
    world_close(&world);
}

TEST(a_record_that_kills_a_gateway_is_a_dead_letter)
{
    enum { SLOW_MS = 100, SLOW_N = 1000 };
    struct bus_world world;
    struct reader *reader = NULL;
    char meta[SUSPECT_TEXT_MAX], why[128];
    int64_t killers = count_get(COUNT_KILLERS);

    world_open(&world);
    rd_kafka_mock_topic_create(world.cluster, "ws.push", 1, 1);
    rd_kafka_mock_topic_create(world.cluster, "ws.push.dlq", 1, 1);
    CHECK_EQ(reader_new(world.brokers, &reader), CQ_OK);
    CHECK(put_message(&world, 1));
    CHECK(put_message(&world, KILLER));
    CHECK(put_message(&world, 3));
    suspect_format(&(struct suspect){ SUSPECT_STARTS, -1, 0, 1, NOTED }, meta);
    CHECK_EQ(reader_move_group(reader, "edge-ws", "ws.push", 0, 0, meta, why, sizeof why), CQ_OK);
    CHECK_EQ(paper_await(child_spawn(&world)), SIGKILL); /* once more as until now */
    CHECK(committed(&world, reader) <= 1);
    /* the answer to a note comes some turns later */
    rd_kafka_mock_coordinator_set(world.cluster, "group", "edge-ws", NEAR);
    for (int i = 0; i < SLOW_N; i++)
        rd_kafka_mock_broker_push_request_error_rtts(
            world.cluster, NEAR, API_OFFSET_COMMIT, (size_t)1, RD_KAFKA_RESP_ERR_NO_ERROR, SLOW_MS);
    CHECK(gateway_open(world.brokers));
    until_committed(&world, reader, 3);
    CHECK_EQ(gateway.last, 3);
    CHECK_EQ(world_count(&world, "ws.push.dlq", 0), 1);
    CHECK_EQ(count_get(COUNT_KILLERS), killers + 1);
    gateway_close();
    reader_free(reader);
    world_close(&world);
}

/* A note is refused because the group has forgotten the member: only a poll tells the reader that
 * its slot went and comes back. */
TEST(a_gateway_whose_note_is_refused_reads_on)
{
    const rd_kafka_resp_err_t errs[] = { RD_KAFKA_RESP_ERR_NO_ERROR, /* the start's note */
                                         RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID };
    struct bus_world world;
    struct reader *reader = NULL;
    char meta[SUSPECT_TEXT_MAX], why[128];

    world_open(&world);
    rd_kafka_mock_topic_create(world.cluster, "ws.push", 1, 1);
    CHECK_EQ(reader_new(world.brokers, &reader), CQ_OK);
    CHECK(put_message(&world, 1));
    CHECK(put_message(&world, 2));
    suspect_format(&(struct suspect){ SUSPECT_STARTS, -1, 0, -1, 0 }, meta);
    CHECK_EQ(reader_move_group(reader, "edge-ws", "ws.push", 0, 0, meta, why, sizeof why), CQ_OK);
    rd_kafka_mock_push_request_errors_array(world.cluster, API_OFFSET_COMMIT, ARRAY_LEN(errs),
                                            errs);
    CHECK(gateway_open(world.brokers));
    until_committed(&world, reader, 2);
    CHECK_EQ(gateway.last, 2);
    gateway_close();
    reader_free(reader);
    world_close(&world);
}
