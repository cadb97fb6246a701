/* SPDX-License-Identifier: MIT */
/*
 * What waits behind records under way: the order stays, the library is given only what leaves at
 * once, and its thread rests meanwhile.
 */
#include "lib/bus/backlog.h"
#include "tests/unit/bus_world.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <sched.h>
#include <time.h>

static struct bus_send text(const char *value)
{
    return (struct bus_send){ .topic = "out", .value = span_str(value) };
}

TEST(records_of_one_turn_go_together_and_later_ones_wait)
{
    struct backlog backlog = { 0 };
    struct bus_send bus_send = text("two");

    CHECK(!backlog_must_wait(&backlog, 7));
    backlog_sent(&backlog, 7);
    CHECK(!backlog_must_wait(&backlog, 7));
    backlog_sent(&backlog, 7);
    CHECK(backlog_must_wait(&backlog, 8));
    CHECK(backlog_hold(&backlog, &bus_send));
    CHECK(!backlog_reported(&backlog));
    CHECK(backlog_reported(&backlog));
    CHECK(backlog_must_wait(&backlog, 9)); /* nobody passes those that wait */
    CHECK(span_eq_str(backlog_first(&backlog)->value, "two"));
    backlog_drop(&backlog);
    CHECK(!backlog_first(&backlog));
    CHECK(!backlog_must_wait(&backlog, 9));
    backlog_release(&backlog);
}

TEST(a_held_record_is_a_copy_with_its_headers)
{
    struct backlog backlog = { 0 };
    char key[] = "key", value[] = "value", name[] = "why", why[] = "because";
    struct bus_header header = { name, span_str(why) };
    struct bus_send bus_send = { .topic = "out",
                                 .partition = 3,
                                 .key = span_str(key),
                                 .value = span_str(value),
                                 .at_ms = 5,
                                 .headers = &header,
                                 .headers_n = 1,
                                 .opaque = 9 };
    const struct bus_send *got;

    CHECK(backlog_hold(&backlog, &bus_send));
    memset(key, 'x', sizeof key);
    memset(value, 'x', sizeof value);
    memset(name, 'x', sizeof name);
    memset(why, 'x', sizeof why);
    got = backlog_first(&backlog);
    CHECK(span_eq_str(got->key, "key"));
    CHECK(span_eq_str(got->value, "value"));
    CHECK_EQ(got->partition, 3);
    CHECK_EQ(got->at_ms, 5);
    CHECK_EQ(got->opaque, 9);
    CHECK_EQ(got->headers_n, 1);
    CHECK(strcmp(got->headers[0].name, "why") == 0);
    CHECK(span_eq_str(got->headers[0].value, "because"));
    backlog_release(&backlog);
}

enum { FIRST = 10, ALL = 200, SLOW_MS = 1000 };

struct told {
    struct bus_world *back_at_first; /* its brokers come back with the first report */
    int n, failed;
    int64_t last_offset[2];
    uint64_t last[2];
    bool in_order;
};

static void set_brokers(struct bus_world *world, bool up)
{
    for (int broker = NEAR; broker <= FAR; broker++)
        if (up)
            rd_kafka_mock_broker_set_up(world->cluster, broker);
        else
            rd_kafka_mock_broker_set_down(world->cluster, broker);
}

static void note(void *arg, uint64_t opaque, int32_t partition, int64_t offset, enum cq_status st)
{
    struct told *told = arg;

    if (!told->n && told->back_at_first)
        set_brokers(told->back_at_first, true);
    told->n++;
    told->failed += st != CQ_OK;
    told->in_order =
        told->in_order && offset > told->last_offset[partition] && opaque > told->last[partition];
    told->last_offset[partition] = offset;
    told->last[partition] = opaque;
}

static enum cq_status start(struct bus_world *world, int timeout_ms, struct told *told,
                            struct producer **ret)
{
    *told = (struct told){ .last_offset = { -1, -1 }, .in_order = true };
    return producer_new(&(struct producer_conf){ .brokers = world->brokers,
                                                 .client_id = "paper",
                                                 .message_timeout_ms = timeout_ms,
                                                 .queue_max_records = ALL,
                                                 .report = note,
                                                 .arg = told },
                        ret);
}

/* To `partitions` in turn. */
static void send_some(struct producer *producer, int partitions, int from, int to)
{
    for (int i = from; i < to; i++) {
        struct bus_send bus_send = text("x");

        bus_send.partition = i % partitions;
        bus_send.opaque = (uint64_t)i + 1;
        CHECK_EQ(producer_send(producer, &bus_send), CQ_OK);
    }
}

static void await_all(struct producer *producer, const struct told *told, int n)
{
    int64_t until_ms = clock_mono_ms() + WITHIN_MS;

    while (told->n < n && clock_mono_ms() < until_ms)
        producer_serve(producer, 100);
    CHECK_EQ(told->n, n);
}

static int64_t cpu_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

TEST(nobody_turns_while_reports_are_awaited)
{
    struct bus_world world;
    struct told told;
    struct producer *producer = NULL;
    struct bus_send full = text("one too many");
    int64_t used_ms;

    world_open(&world);
    CHECK_EQ(start(&world, 0, &told, &producer), CQ_OK);
    send_some(producer, 2, 0, FIRST);
    await_all(producer, &told, FIRST); /* connected, and with an id */
    for (int broker = NEAR; broker <= FAR; broker++)
        rd_kafka_mock_broker_push_request_error_rtts(world.cluster, broker, API_PRODUCE, (size_t)1,
                                                     RD_KAFKA_RESP_ERR_NO_ERROR, SLOW_MS);
    used_ms = cpu_ms();
    for (int i = FIRST; i < FIRST + ALL; i += FIRST) { /* turn after turn, behind the slow ones */
        send_some(producer, 2, i, i + FIRST);
        producer_serve(producer, 1);
    }
    CHECK_EQ(producer_pending(producer), ALL);
    CHECK_EQ(producer_send(producer, &full), CQ_AGAIN);
    await_all(producer, &told, FIRST + ALL);
    used_ms = cpu_ms() - used_ms;
    CHECK_EQ(told.failed, 0);
    CHECK(told.in_order);
    CHECK(used_ms < SLOW_MS / 2);
    CHECK_EQ(producer_pending(producer), 0);
    producer_free(producer);
    world_close(&world);
}

/* Threads of this process that push nobody aside when they wake, sched(7). */
static int batch_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    const struct dirent *dirent;
    int n = 0;

    while (d && (dirent = readdir(d)))
        n += dirent->d_name[0] != '.' &&
             sched_getscheduler((pid_t)strtol(dirent->d_name, NULL, 10)) == SCHED_BATCH;
    if (d)
        closedir(d);
    return n;
}

TEST(the_librarys_thread_does_not_push_aside_who_hands_it_records)
{
    struct bus_world world;
    struct told told;
    struct producer *producer = NULL;
    int64_t until_ms = clock_mono_ms() + WITHIN_MS;

    world_open(&world);
    CHECK_EQ(batch_threads(), 0); /* those of the paper broker are as the library makes them */
    CHECK_EQ(start(&world, 0, &told, &producer), CQ_OK);
    while (batch_threads() < 2 && clock_mono_ms() < until_ms)
        producer_serve(producer, 10); /* one for each broker, or the first list of brokers */
    CHECK(batch_threads() >= 2);
    producer_free(producer);
    world_close(&world);
}

TEST(what_waits_behind_a_record_that_failed_does_not_pass_its_next_try)
{
    struct bus_world world;
    struct told told;
    struct producer *producer = NULL;
    int64_t until_ms = clock_mono_ms() + WITHIN_MS;

    world_open(&world);
    CHECK_EQ(start(&world, SLOW_MS, &told, &producer), CQ_OK);
    send_some(producer, 1, 0, FIRST);
    await_all(producer, &told, FIRST);
    told.n = 0;
    told.back_at_first = &world;
    set_brokers(&world, false);
    send_some(producer, 1, 0, 1);
    producer_serve(producer, 1);
    send_some(producer, 1, 1, FIRST); /* held behind it */
    await_all(producer, &told, FIRST);
    CHECK_EQ(told.failed, FIRST);
    CHECK_EQ(world_count(&world, "out", 0) + world_count(&world, "out", 1), FIRST);
    CHECK_EQ(producer_pending(producer), 0);
    told.back_at_first = NULL;
    do { /* again, from the first on; to reconnect may take longer than a record lives */
        told.n = told.failed = 0;
        send_some(producer, 1, 0, FIRST);
        await_all(producer, &told, FIRST);
    } while (told.failed && clock_mono_ms() < until_ms);
    CHECK_EQ(told.failed, 0);
    producer_free(producer);
    world_close(&world);
}
