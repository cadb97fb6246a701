/* SPDX-License-Identifier: MIT */
/*
 * What a lane of sinks/mobile reads kills its process: a lane as it is, on a broker made of paper.
 * Its database is away, and its provider dies over one push while it makes the request: not when
 * the record is taken, but in a later step of it.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "lib/bus/suspect.h"
#include "schemas/codec.h"
#include "sinks/mobile/lane.h"
#include "tests/unit/bus_world.h"

enum { KILLER = 666, NOTED = SUSPECT_KILLS - 1 };

/* Nobody listens there: each request ends without an answer, which this provider takes for a yes. */
static const char NOWHERE[] = "http://127.0.0.1:1/";

static _Atomic int requests;

static enum provider_state credential(struct provider *provider, int64_t now_ms,
                                      struct http_request *ret)
{
    (void)provider;
    (void)now_ms;
    (void)ret;
    return PROVIDER_READY;
}

static enum cq_status request(struct provider *provider, const struct provider_push *push,
                              struct http_request *ret, const char **ret_why)
{
    static const char *const headers[] = { NULL };

    (void)provider;
    (void)ret_why;
    if (push->content->seq == KILLER)
        raise(SIGKILL);
    requests++;
    *ret = (struct http_request){ .url = NOWHERE, .headers = headers };
    return CQ_OK;
}

static void answer(const struct http_answer *http_answer, struct push_answer *ret)
{
    (void)http_answer;
    *ret = (struct push_answer){ .verdict = PUSH_TAKEN };
}

static void tell(void *arg, enum lane_news news, const char *lane, const char *why)
{
    (void)arg;
    (void)news;
    (void)lane;
    (void)why;
}

static struct lane *lane_open(const char *brokers, const volatile int *stop)
{
    static const struct provider_ops ops = {
        .name = "paper", .credential = credential, .request = request, .answer = answer
    };
    static struct provider provider = { .ops = &ops };
    struct lane *lane = NULL;

    if (lane_new(&(struct lane_conf){ .name = "fcm",
                                      .group = "mobile",
                                      .brokers = brokers,
                                      .database_url = "postgres://127.0.0.1:1/none",
                                      .instance = "",
                                      .provider = &provider,
                                      .id = PUSH_PROVIDER_FCM,
                                      .kinds = 1u << PUSH_KIND_FCM_TOKEN,
                                      .untargeted = true,
                                      .in_flight = 16,
                                      .connections = 1,
                                      .max_age_ms = 3600 * 1000,
                                      .stop = stop,
                                      .tell = tell },
                 &lane) != CQ_OK)
        return NULL;
    return lane;
}

/* Run in the child, before main(). */
__attribute__((constructor)) static void lane_child(void)
{
    static const volatile int never;
    const char *brokers = child_brokers();
    struct lane *lane = brokers ? lane_open(brokers, &never) : NULL;

    if (!brokers)
        return;
    _exit(lane && lane_run(lane) == CQ_OK ? 0 : 1);
}

static bool put_push(struct bus_world *world, int64_t seq)
{
    struct cq_id device = { { 2, (uint8_t)seq } };
    struct push_device target = {
        .device_id = device, .address = { .kind = PUSH_KIND_FCM_TOKEN, .token = span_str("token") }
    };
    struct mobile_push push = { .user_id = { { 1 } },
                                .at_ms = clock_wall_ms(),
                                .seq = seq,
                                .frame = span_str("{}"),
                                .devices = &device,
                                .devices_n = 1,
                                .targets = &target,
                                .targets_n = 1,
                                .read_after = -1 };

    return world_put_record(world, "mobile.push", span_str("user"), &mobile_push_codec, &push);
}

static void *lane_main(void *arg)
{
    return (void *)(intptr_t)lane_run(arg);
}

TEST(a_record_that_kills_a_lane_is_a_dead_letter)
{
    static const char *const topics[] = { "mobile.push", "mobile.push.dlq", "push.outcomes" };
    static volatile int stop;
    struct bus_world world;
    struct reader *reader = NULL;
    struct lane *lane;
    char meta[SUSPECT_TEXT_MAX], why[128];
    int64_t killers = count_get(COUNT_KILLERS);
    pthread_t thread;
    void *ended;

    world_open(&world);
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        rd_kafka_mock_topic_create(world.cluster, topics[i], 1, 1);
    CHECK_EQ(reader_new(world.brokers, &reader), CQ_OK);
    CHECK(put_push(&world, 1));
    CHECK(put_push(&world, KILLER));
    CHECK(put_push(&world, 3));
    suspect_format(&(struct suspect){ SUSPECT_STARTS, -1, 0, 1, NOTED }, meta);
    CHECK_EQ(reader_move_group(reader, "mobile", "mobile.push", 0, 0, meta, why, sizeof why),
             CQ_OK);
    CHECK_EQ(paper_await(child_spawn(&world)), SIGKILL); /* once more as until now */
    CHECK(world_committed_of(&world, reader, "mobile", "mobile.push") <= 1);
    CHECK((lane = lane_open(world.brokers, &stop)) != NULL);
    CHECK_EQ(pthread_create(&thread, NULL, lane_main, lane), 0);
    CHECK(EVENTUALLY(world_count(&world, "mobile.push.dlq", 0) == 1));
    /* all that is not guilty was sent */
    CHECK(EVENTUALLY(world_committed_of(&world, reader, "mobile", "mobile.push") == 3));
    stop = 1;
    pthread_join(thread, &ended);
    CHECK_EQ((intptr_t)ended, CQ_OK);
    CHECK_EQ(count_get(COUNT_KILLERS), killers + 1);
    CHECK_EQ(world_count(&world, "mobile.push.dlq", 0), 1);
    CHECK(requests >= 1);
    lane_free(lane);
    reader_free(reader);
    world_close(&world);
}
