/* SPDX-License-Identifier: MIT */
#include "lib/bus/bus.h"
#include "lib/bus/rdkafka_conf.h"

#include <stdio.h>
#include <stdlib.h>

enum { SAFE_REPLICAS = 3, SAFE_INSYNC = 2 };

/* How a setting may differ from the table. What is in no row is a matter of speed and of room, and
 * the operator's own: segment.bytes, segment.ms, min.cleanable.dirty.ratio. */
static const struct rule {
    const char *name;
    enum { SAME, AT_LEAST, AT_MOST } how; /* as numbers; at least: -1 is without an end */
} rules[] = {
    { "cleanup.policy", SAME },
    { "message.timestamp.type", SAME },
    { "retention.ms", AT_LEAST },
    { "retention.bytes", AT_LEAST },
    { "max.message.bytes", AT_LEAST },
    { "min.compaction.lag.ms", AT_LEAST },
    { "delete.retention.ms", AT_LEAST },
    { "min.insync.replicas", AT_LEAST },
    { "replicas", AT_LEAST },
    { "flush.messages", AT_MOST },
};

bool bus_setting_fits(const char *name, const char *wanted, const char *found)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        int64_t least, have;

        if (strcmp(rules[i].name, name) != 0)
            continue;
        if (rules[i].how == SAME)
            return strcmp(wanted, found) == 0;
        least = strtoll(wanted, NULL, 10);
        have = strtoll(found, NULL, 10);
        if (rules[i].how == AT_MOST)
            return have <= least;
        return have == -1 || (least != -1 && have >= least);
    }
    return true;
}

/* What the search goes through: one topic as it is wanted, and whom to tell. */
struct drift {
    const struct bus_topic_wanted *wanted;
    bus_drift_fn *fn;
    void *arg;
    size_t *n;
};

static void compare(const struct drift *drift, const char *name, const char *wanted,
                    const char *found)
{
    if (bus_setting_fits(name, wanted, found))
        return;
    drift->fn(drift->arg, drift->wanted->name, name, wanted, found);
    (*drift->n)++;
}

static void compare_number(const struct drift *drift, const char *name, int wanted,
                           const char *found)
{
    char text[16];

    snprintf(text, sizeof text, "%d", wanted);
    compare(drift, name, text, found);
}

/* What the broker says of one topic; `replicas` 0: it did not say. */
static void compare_topic(const struct drift *drift, const rd_kafka_ConfigResource_t *res,
                          int replicas)
{
    size_t n = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(res, &n);
    char text[16];

    for (size_t i = 0; i < n; i++) {
        const char *name = rd_kafka_ConfigEntry_name(entries[i]);
        const char *found = rd_kafka_ConfigEntry_value(entries[i]);

        for (const char *const *setting = drift->wanted->config; found && setting && setting[0];
             setting += 2)
            if (strcmp(setting[0], name) == 0)
                compare(drift, name, setting[1], found);
        /* An acknowledged record is on two machines, where there are three. */
        if (found && replicas >= SAFE_REPLICAS && strcmp(name, "min.insync.replicas") == 0)
            compare_number(drift, name, SAFE_INSYNC, found);
    }
    snprintf(text, sizeof text, "%d", replicas);
    if (replicas)
        compare_number(drift, "replicas", drift->wanted->replication, text);
}

static int replicas_of(const struct rd_kafka_metadata *md, const char *name)
{
    for (int i = 0; md && i < md->topic_cnt; i++)
        if (strcmp(md->topics[i].topic, name) == 0 && md->topics[i].partition_cnt)
            return md->topics[i].partitions[0].replica_cnt;
    return 0;
}

static enum cq_status compare_all(const rd_kafka_DescribeConfigs_result_t *result,
                                  const struct rd_kafka_metadata *md,
                                  const struct bus_topic_wanted *wanted, size_t n,
                                  struct drift *drift, char *reterr, size_t reterr_n)
{
    size_t found_n = 0;
    const rd_kafka_ConfigResource_t **found =
        rd_kafka_DescribeConfigs_result_resources(result, &found_n);

    for (size_t i = 0; i < found_n; i++) {
        const char *name = rd_kafka_ConfigResource_name(found[i]);
        rd_kafka_resp_err_t err = rd_kafka_ConfigResource_error(found[i]);

        if (err) {
            snprintf(reterr, reterr_n, "settings of topic %s cannot be read: %s", name,
                     rd_kafka_err2name(err));
            return rdkafka_heals(err) ? CQ_AGAIN : CQ_FATAL;
        }
        for (size_t which = 0; which < n; which++)
            if (strcmp(wanted[which].name, name) == 0) {
                drift->wanted = &wanted[which];
                compare_topic(drift, found[i], replicas_of(md, name));
            }
    }
    return CQ_OK;
}

static rd_kafka_event_t *describe(rd_kafka_t *rk, const struct bus_topic_wanted *wanted, size_t n,
                                  rd_kafka_queue_t *queue, int timeout_ms)
{
    rd_kafka_ConfigResource_t **asked = calloc(n, sizeof *asked);

    if (!asked)
        return NULL;
    for (size_t i = 0; i < n; i++)
        asked[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, wanted[i].name);
    rd_kafka_DescribeConfigs(rk, asked, n, NULL, queue);
    rd_kafka_ConfigResource_destroy_array(asked, n);
    free(asked);
    return rd_kafka_queue_poll(queue, timeout_ms);
}

enum cq_status bus_topics_drift(const char *brokers, const struct bus_topic_wanted *wanted,
                                size_t n, int timeout_ms, bus_drift_fn *fn, void *arg,
                                size_t *ret_n, char *reterr, size_t reterr_n)
{
    rd_kafka_conf_t *rc = rdkafka_conf_new(brokers, "chasqui-admin", NULL);
    rd_kafka_t *rk = rc ? rdkafka_client_new(RD_KAFKA_PRODUCER, rc) : NULL;
    const struct rd_kafka_metadata *md = NULL;
    struct drift drift = { NULL, fn, arg, ret_n };
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *ev;
    enum cq_status st = CQ_AGAIN;

    *ret_n = 0;
    if (!rk) {
        snprintf(reterr, reterr_n, "no Kafka client");
        return CQ_FATAL;
    }
    queue = rd_kafka_queue_new(rk);
    snprintf(reterr, reterr_n, "settings of topics: the broker does not answer");
    ev = rd_kafka_metadata(rk, 1, NULL, &md, timeout_ms)
             ? NULL
             : describe(rk, wanted, n, queue, timeout_ms);
    if (ev && rd_kafka_event_error(ev)) {
        snprintf(reterr, reterr_n, "settings of topics: %s", rd_kafka_event_error_string(ev));
        st = rdkafka_heals(rd_kafka_event_error(ev)) ? CQ_AGAIN : CQ_FATAL;
    } else if (ev) {
        st = compare_all(rd_kafka_event_DescribeConfigs_result(ev), md, wanted, n, &drift, reterr,
                         reterr_n);
    }
    if (ev)
        rd_kafka_event_destroy(ev);
    if (md)
        rd_kafka_metadata_destroy(md);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return st;
}
