/* SPDX-License-Identifier: MIT */
#include "schemas/topics.h"

#include "lib/base/dead_letter.h"
#include "lib/bus/bus.h"
#include "schemas/codec.h"
#include "tests/unit/test.h"

#include <stdlib.h>

static bool is_synced; /* DURABILITY */

static const char *config(const struct topic_wanted *wanted, const char *name)
{
    for (size_t i = 0; wanted->config[i]; i += 2)
        if (strcmp(wanted->config[i], name) == 0)
            return wanted->config[i + 1];
    return NULL;
}

static bool wanted(const char *name, struct topic_wanted *ret)
{
    for (size_t i = 0; topic_wanted(i, 12, 8, is_synced, ret); i++)
        if (strcmp(ret->name, name) == 0)
            return true;
    return false;
}

TEST(every_topic_has_a_schema_a_writer_and_a_reader)
{
    for (int topic = 0; topic < TOPIC_N; topic++) {
        const struct topic_spec *spec = topic_spec((enum topic)topic);
        bool found = false;

        CHECK(spec->name && spec->schema && spec->cleanup && spec->key);
        CHECK_EQ_ROW(spec->name, topic_user((enum topic)topic, TOPIC_WRITTEN, 0) != NULL, true);
        CHECK_EQ_ROW(spec->name,
                     topic_user((enum topic)topic, TOPIC_FOLLOWED, 0) ||
                         topic_user((enum topic)topic, TOPIC_READ, 0),
                     true);
        for (size_t i = 0; codec_records[i]; i++)
            found |= strcmp(codec_name(codec_records[i]), spec->schema) == 0;
        CHECK_EQ_ROW(spec->name, found, true);
    }
}

/* Contracts: places are kept under these names. */
TEST(groups_are_those_of_the_roles_that_follow)
{
    static const struct {
        enum topic topic;
        const char *groups[TOPIC_GROUPS_MAX];
    } rows[] = {
        { TOPIC_CHAT_ACTIONS, { "chat" } },
        { TOPIC_CHAT_EVENTS, { "persistence", "media", "search" } },
        { TOPIC_MEMBERS, { NULL } },
        { TOPIC_REJECTIONS, { "persistence" } },
        { TOPIC_DELIVERY_STATUS, { "status" } },
        { TOPIC_USER_INBOX, { "user" } },
        { TOPIC_USER_EVENTS, { "persistence" } },
        { TOPIC_PRESENCE, { NULL } },
        { TOPIC_WS_PUSH, { "edge-ws" } },
        { TOPIC_PUSH_TARGETS, { "persistence" } },
        { TOPIC_PUSH_CLAIMS, { NULL } },
        { TOPIC_PUSH_MUTES, { NULL } },
        { TOPIC_MOBILE_PUSH, { "mobile", "mobile-apns", "mobile-web" } },
        { TOPIC_PUSH_OUTCOMES, { NULL } },
        { TOPIC_SIGNALS, { NULL } },
    };

    CHECK_EQ(ARRAY_LEN(rows), TOPIC_N);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t group = 0; group < ARRAY_LEN(rows[i].groups); group++)
            CHECK_STR(topic_groups(rows[i].topic)[group], rows[i].groups[group]);
}

/* Who commits must have somewhere to put what can never succeed, and nobody else writes there. */
TEST(a_topic_with_dead_letters_is_followed)
{
    for (int t = 0; t < TOPIC_N; t++)
        CHECK_EQ_ROW(topic_name((enum topic)t), topic_spec((enum topic)t)->has_dlq,
                     topic_user((enum topic)t, TOPIC_FOLLOWED, 0) != NULL);
}

TEST(wanted_lists_each_once_with_dead_letters)
{
    struct topic_wanted wanted;
    size_t n = 0, dlqs = 0, with_dlq = 0;

    for (int topic = 0; topic < TOPIC_N; topic++)
        with_dlq += topic_spec((enum topic)topic)->has_dlq;
    for (; topic_wanted(n, 12, 8, is_synced, &wanted); n++) {
        size_t len = strlen(wanted.name);

        dlqs += len > 4 && strcmp(wanted.name + len - 4, DEAD_LETTER_SUFFIX) == 0;
        CHECK_STR(config(&wanted, "max.message.bytes"), "1048576");
        CHECK(config(&wanted, "cleanup.policy") && config(&wanted, "segment.bytes"));
        CHECK(wanted.config_n <= 2 * TOPIC_CONFIG_MAX && wanted.numbers_n <= TOPIC_CONFIG_MAX);
        for (size_t entry = 0; entry < n; entry++) {
            struct topic_wanted other;

            CHECK(topic_wanted(entry, 12, 8, is_synced, &other) &&
                  strcmp(other.name, wanted.name) != 0);
        }
    }
    CHECK_EQ(n, TOPIC_N + 1 + with_dlq); /* and the announced versions */
    CHECK_EQ(dlqs, with_dlq);
    CHECK(with_dlq > 0);
}

TEST(retention_is_as_designed)
{
    static const struct {
        const char *name, *cleanup, *retention, *lag;
        int32_t partitions;
    } rows[] = {
        { "chat.events", "delete", "-1", NULL, 12 },
        { "user.events", "delete", "-1", NULL, 12 },
        { "rejections", "delete", "2592000000", NULL, 12 },
        { "user.inbox", "delete", "604800000", NULL, 12 },
        { "ws.push", "delete", "604800000", NULL, 8 },
        { "signals", "delete", "60000", NULL, 8 },
        { "members", "compact", NULL, "0", 12 },
        { "presence", "compact", NULL, "3600000", 12 },
        { "delivery.status", "compact", NULL, "2592000000", 12 },
        { "schemas", "compact", NULL, "0", 1 },
        { "delivery.status.dlq", "delete", "7776000000", NULL, 12 },
        { "ws.push.dlq", "delete", "7776000000", NULL, 8 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct topic_wanted topic_wanted;

        CHECK_EQ_ROW(rows[i].name, wanted(rows[i].name, &topic_wanted), true);
        CHECK_STR(config(&topic_wanted, "cleanup.policy"), rows[i].cleanup);
        CHECK_STR(config(&topic_wanted, "retention.ms"), rows[i].retention);
        CHECK_STR(config(&topic_wanted, "min.compaction.lag.ms"), rows[i].lag);
        CHECK_EQ_ROW(rows[i].name, topic_wanted.partitions, rows[i].partitions);
    }
}

/* "found" of the second column where the table says the first. */
TEST(what_loses_records_is_drift)
{
    static const struct {
        const char *name, *wanted, *found;
        bool fits;
    } rows[] = {
        { "retention.ms", "-1", "3600000", false },
        { "retention.ms", "-1", "-1", true },
        { "retention.ms", "604800000", "604799999", false },
        { "retention.ms", "604800000", "604800000", true },
        { "retention.ms", "604800000", "604800001", true }, /* kept for longer: their disk */
        { "retention.ms", "604800000", "-1", true },
        { "retention.bytes", "-1", "1073741824", false },
        { "cleanup.policy", "delete", "compact", false },
        { "cleanup.policy", "compact", "compact,delete", false },
        { "cleanup.policy", "compact", "compact", true },
        { "message.timestamp.type", "LogAppendTime", "CreateTime", false },
        { "max.message.bytes", "1048576", "1048575", false },
        { "max.message.bytes", "1048576", "2097152", true },
        { "min.compaction.lag.ms", "2592000000", "0", false },
        { "delete.retention.ms", "604800000", "86400000", false },
        { "min.insync.replicas", "2", "1", false },
        { "min.insync.replicas", "2", "3", true },
        { "replicas", "3", "1", false },
        { "flush.messages", "1", "9223372036854775807", false },
        { "flush.messages", "1", "1", true },
        { "segment.bytes", "268435456", "1048576", true }, /* speed and room are theirs */
        { "segment.ms", "86400000", "1000", true },
        { "min.cleanable.dirty.ratio", "0.1", "0.5", true },
    };
    struct topic_wanted topic_wanted;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ_ROW(rows[i].name, bus_setting_fits(rows[i].name, rows[i].wanted, rows[i].found),
                     rows[i].fits);
    CHECK(wanted("chat.events", &topic_wanted));
    CHECK_STR(config(&topic_wanted, "retention.bytes"), "-1");
    CHECK(wanted("mobile.push", &topic_wanted)); /* what is lost there wakes nobody too late */
    CHECK(!config(&topic_wanted, "retention.bytes"));
}

TEST(truth_and_dead_letters_are_synced_and_nothing_else)
{
    static const char *const synced[] = { "chat.actions", "user.inbox", "push.outcomes",
                                          "schemas" };
    struct topic_wanted topic_wanted_now;

    for (is_synced = false;; is_synced = true) {
        for (size_t i = 0; topic_wanted(i, 12, 8, is_synced, &topic_wanted_now); i++) {
            const char *name = topic_wanted_now.name;
            bool want = strstr(name, DEAD_LETTER_SUFFIX) != NULL;

            for (size_t row = 0; row < ARRAY_LEN(synced); row++)
                want |= strcmp(name, synced[row]) == 0;
            CHECK_STR(config(&topic_wanted_now, "flush.messages"), want && is_synced ? "1" : NULL);
        }
        if (is_synced)
            break;
    }
    is_synced = false;
}

/* From Kafka's own client: Utils.toPositive(Utils.murmur2(key.getBytes())) % n. */
TEST(partition_is_the_one_that_kafka_would_pick)
{
    struct cq_id id;

    CHECK(id_parse(span_str("00000000-0000-0000-0000-000000000000"), &id));
    CHECK_EQ(topic_partition(id, 12), 9);
    CHECK(id_parse(span_str("1B9D6BCD-bbfd-4b2d-9b5d-ab8dfbbd4bed"), &id));
    CHECK_EQ(topic_partition(id, 12), 9);
    CHECK_EQ(topic_partition(id, 48), 21);
    CHECK_EQ(topic_partition(id, 1), 0);
}

TEST(partition_is_the_part_modulo_their_number)
{
    struct cq_id id;

    CHECK(id_parse(span_str("00000000-0000-0000-0000-000000000000"), &id));
    CHECK_EQ(id_part(id), 893);
    CHECK(id_parse(span_str("1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"), &id));
    CHECK_EQ(id_part(id), 533);
    for (int i = 0; i < 1000; i++) {
        id = id_random();
        for (int32_t n = 1; n <= CQ_PARTS; n *= 2)
            CHECK_EQ(topic_partition(id, n), id_part(id) % n);
    }
}

TEST(seq_is_exact_in_a_double)
{
    int64_t last = seq_make(TOPIC_GENERATION_MAX, ((int64_t)1 << 48) - 1);

    CHECK_EQ((int64_t)(double)last, last);
    CHECK_EQ(last, ((int64_t)1 << 53) - 1);
    CHECK_EQ(seq_offset(seq_make(3, 12345)), 12345);
    CHECK(seq_make(TOPIC_GENERATION, 0) > 0);
    CHECK(seq_make(2, 0) > seq_make(1, ((int64_t)1 << 48) - 1));
}

TEST(markdown_has_a_row_a_topic)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    char row[80];

    topics_print_markdown(f);
    fclose(f);
    for (int t = 0; t < TOPIC_N; t++) {
        snprintf(row, sizeof row, "\n| %s | ", topic_name((enum topic)t));
        CHECK_EQ_ROW(topic_name((enum topic)t), strstr(text, row) != NULL, true);
    }
    CHECK(strstr(text, "| for ever |") && strstr(text, "| 7 d |"));
    free(text);
}
