/* SPDX-License-Identifier: MIT */
/*
 * Taking a partition over while a coordinator or a leader moves, and when its owner cannot yet: it
 * is tried again, and nobody ends.
 */
#include "lib/base/count.h"
#include "lib/bus/bus.h"
#include "tests/unit/bus_world.h"
#include "tests/unit/test.h"

enum {
    API_LIST_OFFSETS = 2,
    API_OFFSET_FETCH = 9,
    ERRORS = 9, /* more than a question gets whose error does not heal */
    SESSION_MS = 6000,
};

struct owner {
    int refuse; /* take-overs that are not possible yet */
    int assigned, revoked;
};

static enum cq_status on_assigned(void *arg, const char *topic, int32_t partition,
                                  int64_t committed, const char *meta, int64_t *ret_from)
{
    struct owner *owner = arg;

    (void)topic;
    (void)partition;
    (void)committed;
    (void)meta;
    (void)ret_from;
    owner->assigned++;
    return owner->refuse-- > 0 ? CQ_AGAIN : CQ_OK;
}

static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    struct owner *owner = arg;

    (void)topic;
    (void)partition;
    owner->revoked += lost;
}

static const struct consumer_ops ops = { on_assigned, on_revoked };

static struct consumer *subscribed(struct bus_world *world, struct owner *owner)
{
    static const char *const topics[] = { "in" };
    struct consumer *consumer = NULL;

    if (consumer_new(&(struct consumer_conf){ .brokers = world->brokers,
                                              .group = GROUP,
                                              .topics = topics,
                                              .topics_n = 1,
                                              .session_timeout_ms = SESSION_MS,
                                              .ops = &ops,
                                              .arg = owner },
                     &consumer) != CQ_OK)
        return NULL;
    return consumer;
}

/* Offset of the next record; -1: none in time, -2: the consumer ended. */
static int64_t next_record(struct consumer *consumer)
{
    int64_t until_ms = clock_mono_ms() + 3 * WITHIN_MS;
    struct bus_record rec = { 0 };

    while (!rec.topic && clock_mono_ms() < until_ms)
        if (consumer_poll(consumer, 100, &rec) != CQ_OK) {
            fprintf(stderr, "ended: %s\n", consumer_error(consumer));
            return -2;
        }
    if (rec.topic) {
        int64_t offset = rec.offset;

        record_release(&rec);
        return offset;
    }
    return -1;
}

static void push_errors(struct bus_world *world, int api, rd_kafka_resp_err_t err)
{
    for (int i = 0; i < ERRORS; i++)
        rd_kafka_mock_push_request_errors(world->cluster, (int16_t)api, 1, err);
}

TEST(a_coordinator_and_a_leader_that_move_are_asked_again)
{
    struct bus_world world;
    struct owner owner = { 0 };
    struct consumer *consumer;

    world_open(&world);
    CHECK(world_put(&world, "one"));
    push_errors(&world, API_OFFSET_FETCH, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    push_errors(&world, API_LIST_OFFSETS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    CHECK((consumer = subscribed(&world, &owner)));
    CHECK_EQ(next_record(consumer), 0);
    CHECK_EQ(owner.assigned, 1);
    consumer_free(consumer);
    world_close(&world);
}

TEST(an_owner_that_cannot_yet_is_asked_again)
{
    struct bus_world world;
    struct owner owner = { .refuse = 1 };
    struct consumer *consumer;
    int64_t rejoins = count_get(COUNT_REJOINS);

    world_open(&world);
    CHECK(world_put(&world, "one"));
    CHECK((consumer = subscribed(&world, &owner)));
    CHECK_EQ(next_record(consumer), 0);
    CHECK_EQ(owner.assigned, 2);
    CHECK_EQ(owner.revoked, 1); /* what the first one had begun */
    CHECK_EQ(count_get(COUNT_REJOINS) - rejoins, 1);
    consumer_free(consumer);
    world_close(&world);
}

/* A partition that is in no assignment cannot be sought in: a surer way to make a seek fail is not
 * known. */
TEST(a_seek_that_fails_takes_everything_over_again)
{
    struct bus_world world;
    struct owner owner = { 0 };
    struct consumer *consumer;

    world_open(&world);
    CHECK(world_put(&world, "one"));
    CHECK((consumer = subscribed(&world, &owner)));
    CHECK_EQ(next_record(consumer), 0);
    consumer_seek(consumer, "out", 0, 0);
    CHECK_EQ(next_record(consumer), 0); /* nothing was committed */
    CHECK_EQ(owner.revoked, 1);
    consumer_free(consumer);
    world_close(&world);
}
