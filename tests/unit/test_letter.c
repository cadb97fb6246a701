/* SPDX-License-Identifier: MIT */
/*
 * Dead letters on a broker made of paper: what does not fit into the topic is cut, and says so.
 */
#include "tests/unit/test.h"

#include "tests/unit/bus_world.h"

enum { MIB = 1024 * 1024 };

/* What was stored last, by its report. */
static int stored, failed;

static void on_report(void *arg, uint64_t opaque, int32_t partition, int64_t offset,
                      enum cq_status st)
{
    (void)arg;
    (void)opaque;
    (void)partition;
    (void)offset;
    stored += st == CQ_OK;
    failed += st != CQ_OK;
}

struct letter {
    size_t key_n, value_n;
    char cut[80]; /* the header, "" for none */
    char error[80];
};

static rd_kafka_t *reading;

static void header(const rd_kafka_message_t *m, const char *name, char *out, size_t cap)
{
    rd_kafka_headers_t *all;
    const void *p;
    size_t n;

    *out = '\0';
    if (rd_kafka_message_headers(m, &all) || rd_kafka_header_get_last(all, name, &p, &n))
        return;
    snprintf(out, cap, "%.*s", (int)n, (const char *)p);
}

/* The letter at `offset` of in.dlq. */
static bool read_letter(struct bus_world *world, int64_t offset, struct letter *ret)
{
    rd_kafka_topic_t *topic;
    rd_kafka_message_t *message;
    bool found;

    if (!reading) {
        rd_kafka_conf_t *conf = rd_kafka_conf_new();

        rd_kafka_conf_set(conf, "bootstrap.servers", world->brokers, NULL, 0);
        reading = rd_kafka_new(RD_KAFKA_CONSUMER, conf, NULL, 0);
    }
    topic = rd_kafka_topic_new(reading, "in.dlq", NULL);
    rd_kafka_consume_start(topic, 0, offset);
    message = rd_kafka_consume(topic, 0, CALL_MS);
    found = message && !message->err && message->offset == offset;
    if (found) {
        ret->key_n = message->key_len;
        ret->value_n = message->len;
        header(message, "cut", ret->cut, sizeof ret->cut);
        header(message, "error", ret->error, sizeof ret->error);
    }
    if (message)
        rd_kafka_message_destroy(message);
    rd_kafka_consume_stop(topic, 0);
    rd_kafka_topic_destroy(topic);
    return found;
}

/* Bytes that no codec makes smaller. */
static void fill_with_noise(uint8_t *p, size_t n)
{
    uint64_t x = 88172645463325252ull;

    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        p[i] = (uint8_t)(x >> 32);
    }
}

TEST(a_letter_that_is_too_large_is_cut)
{
    static const struct {
        size_t key_n, value_n;
        bool is_cut;
    } rows[] = {
        { 36, 1000, false },        { 0, 0, false },
        { 36, MIB - 2048, false },  { 36, MIB - 36, true },
        { 0, 5 * MIB, true },       { 2 * MIB, 0, true },
        { 2 * MIB, 2 * MIB, true }, { MIB / 4, 3 * MIB, true },
    };
    static uint8_t noise[5 * MIB];
    struct producer *producer = NULL;
    struct bus_world world;

    fill_with_noise(noise, sizeof noise);
    world_open(&world);
    CHECK_EQ(producer_new(&(struct producer_conf){ .brokers = world.brokers,
                                                   .client_id = "paper",
                                                   .report = on_report },
                          &producer),
             CQ_OK);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bus_record rec = { .topic = "in",
                                  .offset = 7,
                                  .key = span_of(noise, rows[i].key_n),
                                  .value = span_of(noise, rows[i].value_n) };
        struct letter got = { 0 };
        char want[80] = "";

        CHECK_EQ(dead_letter_send(producer, &rec, "said so", "paper", 1, 0), CQ_OK);
        CHECK(EVENTUALLY((producer_serve(producer, 10), stored + failed == (int)i + 1)));
        CHECK_EQ(failed, 0);
        CHECK(read_letter(&world, (int64_t)i, &got));
        if (rows[i].is_cut)
            snprintf(want, sizeof want, "of %zu bytes of key, %zu bytes of value", rows[i].key_n,
                     rows[i].value_n);
        CHECK_STR(got.cut, want);
        CHECK_STR(got.error, "said so");
        CHECK(got.key_n + got.value_n <= MIB);
        CHECK(rows[i].is_cut ? got.key_n + got.value_n > MIB / 2 - 1024
                             : got.key_n == rows[i].key_n && got.value_n == rows[i].value_n);
    }
    rd_kafka_destroy(reading);
    producer_free(producer);
    world_close(&world);
}
