/* SPDX-License-Identifier: MIT */
/*
 * When records leave for the log (ingest/ingest.h), with a producer and a clock that the test
 * plays: what comes while reports are awaited leaves together.
 */
#include "tests/unit/test.h"

#include "ingest/ingest.h"
#include "ingest/log_check.h"
#include "ingest/validate.h"
#include "lib/base/clock.h"

static int64_t clock_ms;
static int sent_n, pending_n; /* records given to the producer, and those without a report */
static const struct producer_conf *conf_of_producer;
static struct producer_conf producer_conf_kept;
static int acks_n;

static int left_ms(int64_t until_ms)
{
    return until_ms > clock_ms ? (int)(until_ms - clock_ms) : 0;
}

static enum cq_status open_played(const struct producer_conf *conf, struct producer **ret)
{
    producer_conf_kept = *conf;
    conf_of_producer = &producer_conf_kept;
    *ret = (struct producer *)&clock_ms;
    return CQ_OK;
}

static enum cq_status send_played(void)
{
    sent_n++;
    pending_n++;
    return CQ_OK;
}

static bool answer_played(struct trust_found *ret)
{
    *ret = (struct trust_found){ .st = CQ_OK, .connects = 1 };
    return true;
}

static void on_ack(void *arg, uint64_t opaque, int32_t partition, int64_t offset, enum cq_status st)
{
    (void)arg;
    (void)opaque;
    (void)partition;
    (void)offset;
    acks_n += st == CQ_OK;
}

#define clock_mono_ms() clock_ms
#define clock_left_ms(until) left_ms(until)
#define clock_sleep_ms(ms) ((void)(clock_ms += (ms)))
#define producer_new(...) open_played(__VA_ARGS__) /* braces have commas */
#define producer_free(p) ((void)(p))
#define producer_send(p, ...) ((void)(p), (void)(__VA_ARGS__), send_played())
#define producer_serve(p, ms) ((void)(p))
#define producer_pending(p) ((void)(p), pending_n)
#define producer_fd(p) ((void)(p), 0)
#define producer_connects(p) ((void)(p), UINT64_C(1))
#define producer_take_cut(p, cut) ((void)(p), (void)(cut), false)
#define producer_reporting(p) ((void)(p), "chat.actions")
#define producer_reached(p, topic, partition) ((void)(p), (int64_t)0)
#define producer_is_fatal(p) ((void)(p), false)
#define producer_answers(p) ((void)(p), true)
#define producer_error(p) ((void)(p), "")
#define log_check_start(brokers, partitions, fd) ((void)(fd), (struct log_check *)&clock_ms)
#define log_check_stop(check) ((void)(check))
#define log_check_ask(check, question) ((void)(check), (void)(question))
#define log_check_take(check, ret) ((void)(check), answer_played(ret))
#define log_check_topic(topic) ((void)(topic), "chat.actions")
#include "ingest/ingest.c"

static struct ingest *opened(bool group_commit)
{
    struct ingest *in = NULL;

    clock_ms = 1000000;
    sent_n = pending_n = acks_n = 0;
    if (ingest_new(
            &(struct ingest_conf){ .partitions = 1, .group_commit = group_commit, .ack = on_ack },
            &in) != CQ_OK)
        return NULL;
    return in;
}

static enum cq_status put(struct ingest *in)
{
    struct chat_action action = { .chat_id = { { 1 } },
                                  .user_id = { { 2 } },
                                  .client_id = span_str("c1"),
                                  .action.kind = CHAT_ACTION_MESSAGE_SENT };
    const char *why = "";

    action.action.u.message_sent.content = span_str("hi");
    action.action.u.message_sent.content_type = span_str("text/plain");
    return ingest_chat(in, &action, 7, &why);
}

/* The broker has stored all that was sent. */
static void report_all(void)
{
    for (; pending_n; pending_n--)
        conf_of_producer->report(conf_of_producer->arg, 7, 0, sent_n, CQ_OK);
}

static void after(struct ingest *in, int64_t ms)
{
    clock_ms += ms;
    ingest_serve(in);
}

TEST(what_comes_first_leaves_at_once)
{
    for (int group = 0; group < 2; group++) {
        struct ingest *in = opened(group);

        CHECK(in);
        CHECK_EQ(put(in), CQ_OK);
        CHECK_EQ(sent_n, 1);
        CHECK_EQ(ingest_wait_ms(in), -1);
        ingest_free(in);
    }
}

/* A sync may take longer than records are held without one. */
TEST(group_commit_holds_what_comes_while_a_report_is_awaited)
{
    struct ingest *in = opened(true);

    CHECK(in);
    CHECK_EQ(put(in), CQ_OK);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(put(in), CQ_OK);
    CHECK_EQ(ingest_wait_ms(in), COMMIT_EVERY_MS);
    after(in, COMMIT_EVERY_MS - 1);
    CHECK_EQ(sent_n, 1);
    report_all();
    after(in, 0);
    CHECK_EQ(acks_n, 1);
    CHECK_EQ(sent_n, 101); /* all of them share the next sync */
    ingest_free(in);
}

TEST(group_commit_holds_nothing_for_longer_than_25_ms)
{
    struct ingest *in = opened(true);

    CHECK(in);
    CHECK_EQ(put(in), CQ_OK);
    CHECK_EQ(put(in), CQ_OK);
    after(in, 24);
    CHECK_EQ(sent_n, 1);
    CHECK_EQ(ingest_wait_ms(in), 1);
    after(in, 1);
    CHECK_EQ(sent_n, 2);
    CHECK_EQ(pending_n, 2); /* no report has come */
    ingest_free(in);
}

TEST(without_group_commit_records_are_held_for_milliseconds)
{
    struct ingest *in = opened(false);

    CHECK(in);
    CHECK_EQ(put(in), CQ_OK);
    CHECK_EQ(put(in), CQ_OK);
    CHECK_EQ(sent_n, 1);
    CHECK_EQ(ingest_wait_ms(in), FLUSH_EVERY_MS);
    after(in, FLUSH_EVERY_MS);
    CHECK_EQ(sent_n, 2);
    CHECK_EQ(pending_n, 2);
    ingest_free(in);
}

/* Else a gateway that is idle would send each record of a burst alone. */
TEST(after_a_report_the_next_records_keep_the_pace)
{
    struct ingest *in = opened(true);

    CHECK(in);
    CHECK_EQ(put(in), CQ_OK);
    report_all();
    CHECK_EQ(put(in), CQ_OK);
    CHECK_EQ(sent_n, 1);
    CHECK_EQ(ingest_wait_ms(in), PACE_MS);
    after(in, PACE_MS);
    CHECK_EQ(sent_n, 2);
    ingest_free(in);
}
