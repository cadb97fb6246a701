/* SPDX-License-Identifier: MIT */
#include "lib/bus/lossy.h"

#include "lib/bus/rdkafka_conf.h"

#include "lib/base/log.h"
#include "lib/base/partitions.h"

#include <stdio.h>
#include <stdlib.h>

struct lossy {
    rd_kafka_t *out, *in; /* owned */
    char topic[BUS_NAME_MAX];
    bool reads[PARTITIONS_MAX];
};

static rd_kafka_t *producer_open(const char *brokers, const char *client_id)
{
    char records[16], kib[16], life[16];
    const char *const pairs[] = {
        "enable.idempotence",
        "false",
        "acks",
        "1",
        "retries",
        "0",
        "message.timeout.ms",
        life,
        "queue.buffering.max.messages",
        records,
        "queue.buffering.max.kbytes",
        kib,
        "linger.ms",
        "0",
        "compression.codec",
        "lz4",
        NULL,
    };
    rd_kafka_conf_t *conf;

    snprintf(records, sizeof records, "%d", LOSSY_RECORDS_MAX);
    snprintf(kib, sizeof kib, "%d", LOSSY_KIB_MAX);
    snprintf(life, sizeof life, "%d", LOSSY_LIFE_MS);
    conf = rdkafka_conf_new(brokers, client_id, pairs);
    return conf ? rdkafka_client_new(RD_KAFKA_PRODUCER, conf) : NULL;
}

static rd_kafka_t *consumer_open(const char *brokers, const char *client_id)
{
    /* Assigning needs a group. This one is never joined, and nothing is committed to it. */
    static const char *const pairs[] = {
        "group.id",
        BUS_FLOOR_GROUP,
        "enable.auto.commit",
        "false",
        "enable.auto.offset.store",
        "false",
        "auto.offset.reset",
        "latest",
        "fetch.wait.max.ms",
        "1000",
        "fetch.error.backoff.ms",
        "500",
        "queued.max.messages.kbytes",
        "4096",
        "allow.auto.create.topics",
        "false",
        NULL,
    };
    rd_kafka_conf_t *conf = rdkafka_conf_new(brokers, client_id, pairs);
    rd_kafka_t *rk = conf ? rdkafka_client_new(RD_KAFKA_CONSUMER, conf) : NULL;

    if (rk)
        rd_kafka_poll_set_consumer(rk);
    return rk;
}

enum cq_status lossy_new(const char *brokers, const char *client_id, const char *topic,
                         struct lossy **ret)
{
    struct lossy *lossy = calloc(1, sizeof *lossy);

    if (!lossy)
        return CQ_FATAL;
    snprintf(lossy->topic, sizeof lossy->topic, "%s", topic);
    lossy->out = producer_open(brokers, client_id);
    lossy->in = consumer_open(brokers, client_id);
    if (!lossy->out || !lossy->in) {
        lossy_free(lossy);
        return CQ_FATAL;
    }
    *ret = lossy;
    return CQ_OK;
}

void lossy_free(struct lossy *lossy)
{
    if (!lossy)
        return;
    if (lossy->in) {
        rd_kafka_assign(lossy->in, NULL);
        rd_kafka_destroy_flags(lossy->in, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    if (lossy->out) {
        rd_kafka_purge(lossy->out, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(lossy->out);
    }
    free(lossy);
}

bool lossy_send(struct lossy *lossy, int32_t partition, struct cq_span value)
{
    rd_kafka_resp_err_t err =
        rd_kafka_producev(lossy->out, RD_KAFKA_V_TOPIC(lossy->topic),
                          RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n), RD_KAFKA_V_END);

    if (err)
        log_debug("signal_dropped", LOG_S("code", rd_kafka_err2name(err)));
    rd_kafka_poll(lossy->out, 0);
    return !err;
}

/* Where the reading of a partition stands, or its end. */
static int64_t place_of(struct lossy *lossy, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list;
    int64_t next = RD_KAFKA_OFFSET_END;

    if (!lossy->reads[partition])
        return next;
    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, lossy->topic, partition);
    if (!rd_kafka_position(lossy->in, list) && list->elems[0].offset >= 0)
        next = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return next;
}

void lossy_listen(struct lossy *lossy, const int32_t *partitions, size_t n)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    bool reads[PARTITIONS_MAX] = { false };
    rd_kafka_resp_err_t err;

    for (size_t i = 0; i < n; i++) {
        rd_kafka_topic_partition_list_add(list, lossy->topic, partitions[i])->offset =
            place_of(lossy, partitions[i]);
        reads[partitions[i]] = true;
    }
    err = rd_kafka_assign(lossy->in, n ? list : NULL);
    if (err)
        log_debug("signals_not_read", LOG_S("code", rd_kafka_err2name(err)));
    memcpy(lossy->reads, reads, sizeof reads);
    rd_kafka_topic_partition_list_destroy(list);
}

bool lossy_poll(struct lossy *lossy, struct bus_record *ret)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(lossy->in, 0);

    if (m && m->err) /* it heals, or there are no signals */
        log_debug("signals_not_read", LOG_S("code", rd_kafka_err2name(m->err)));
    if (!m || m->err) {
        if (m)
            rd_kafka_message_destroy(m);
        return false;
    }
    *ret = rdkafka_record(m);
    ret->handle = m;
    return true;
}
