/* SPDX-License-Identifier: MIT */
/*
 * A commit that failed leaves again, though its partition gets nothing more; one that was
 * overtaken, or is somebody else's to repeat, does not.
 */
#include "lib/bus/bus.h"
#include "tests/unit/bus_world.h"
#include "tests/unit/test.h"

enum { LEAVES_MS = 8000 }; /* for a thread that leaves the group on its own to be done */

static struct bus_world w;
static struct consumer *c;

static _Atomic int revoked;

static enum cq_status on_assigned(void *arg, const char *topic, int32_t partition,
                                  int64_t committed, const char *meta, int64_t *ret_from)
{
    (void)arg, (void)topic, (void)partition, (void)committed, (void)meta, (void)ret_from;
    return CQ_OK;
}

static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    (void)arg, (void)topic, (void)partition, (void)lost;
    revoked++;
}

static const struct consumer_ops ops = { on_assigned, on_revoked };

static void poll_once(void)
{
    struct bus_record rec;

    if (consumer_poll(c, 10, &rec) == CQ_OK && rec.topic)
        record_release(&rec);
}

/* Commits of the group fail `n` times, for good each time. */
static void fail_commits(size_t n)
{
    const rd_kafka_resp_err_t errs[] = { RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE,
                                         RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE };

    rd_kafka_mock_push_request_errors_array(w.cluster, API_OFFSET_COMMIT, n, errs);
}

static void begin(void)
{
    static const char *const topics[] = { "in" };

    world_open(&w);
    CHECK(world_put(&w, "one"));
    CHECK_EQ(consumer_new(&(struct consumer_conf){ .brokers = w.brokers,
                                                   .client_id = "paper",
                                                   .group = GROUP,
                                                   .topics = topics,
                                                   .topics_n = 1,
                                                   .ops = &ops,
                                                   .session_timeout_ms = 4000 },
                          &c),
             CQ_OK);
    CHECK(EVENTUALLY((poll_once(), consumer_owned(c) == 1)));
}

static void end(void)
{
    consumer_free(c);
    world_close(&w);
}

TEST(a_failed_commit_of_an_idle_partition_is_repeated)
{
    begin();
    fail_commits(2);
    consumer_commit(c, "in", 0, 1, "text");
    CHECK(EVENTUALLY((poll_once(), world_committed(&w) == 1)));
    CHECK_STR(w.meta, "text");
    end();
}

TEST(what_was_asked_for_last_is_what_is_repeated)
{
    begin();
    fail_commits(1);
    consumer_commit(c, "in", 0, 1, "older");
    poll_once(); /* it leaves, and fails */
    consumer_commit(c, "in", 0, 2, "newer");
    CHECK(EVENTUALLY((poll_once(), world_committed(&w) == 2)));
    for (int64_t until_ms = clock_mono_ms() + QUIET_MS; clock_mono_ms() < until_ms;)
        poll_once();
    CHECK_EQ(world_committed(&w), 2);
    CHECK_STR(w.meta, "newer");
    end();
}

/* librdkafka sends a commit again by itself when the broker says that it timed out; until then, a
 * newer one can be stored, and the older one after it. */
TEST(an_older_commit_never_comes_after_a_newer_one)
{
    static const rd_kafka_resp_err_t errs[] = { RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT };

    begin();
    rd_kafka_mock_push_request_errors_array(w.cluster, API_OFFSET_COMMIT, 1, errs);
    consumer_commit(c, "in", 0, 1, "older");
    poll_once();
    consumer_commit(c, "in", 0, 2, "newer");
    poll_once();
    for (int64_t until_ms = clock_mono_ms() + QUIET_MS; clock_mono_ms() < until_ms;)
        poll_once();
    CHECK(EVENTUALLY((poll_once(), world_committed(&w) == 2)));
    CHECK_STR(w.meta, "newer");
    end();
}

TEST(one_that_was_waited_for_is_the_callers_to_repeat)
{
    begin();
    fail_commits(1);
    CHECK_EQ(consumer_commit_wait(c, "in", 0, 1, "a word that may accuse"), CQ_AGAIN);
    for (int64_t until_ms = clock_mono_ms() + QUIET_MS; clock_mono_ms() < until_ms;)
        poll_once();
    CHECK_EQ(world_committed(&w), -1);
    end();
}

/* The broker stands still, so leaving the group takes longer than anybody waits. */
TEST(an_owner_that_has_freed_its_consumer_is_not_called_any_more)
{
    int before;

    begin();
    rd_kafka_mock_broker_set_rtt(w.cluster, NEAR, 4 * LEAVES_MS); /* it answers nobody */
    consumer_commit(c, "in", 0, 1, NULL);
    poll_once();
    consumer_free(c);
    before = revoked;
    for (int64_t until_ms = clock_mono_ms() + LEAVES_MS; clock_mono_ms() < until_ms;) {
        CHECK_EQ(revoked, before);
        clock_sleep_ms(20);
    }
    rd_kafka_mock_broker_set_rtt(w.cluster, NEAR, 0);
    world_close(&w);
}
