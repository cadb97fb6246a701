/* SPDX-License-Identifier: MIT */
#include "lib/bus/places.h"

#include "lib/base/log.h"
#include "lib/bus/rdkafka_conf.h"

enum { CALL_MS = 10000 };

rd_kafka_t *places_open(const char *brokers, const char *group)
{
    const char *const pairs[] = { "group.id", group, "enable.auto.commit", "false", NULL };
    rd_kafka_conf_t *rc = rdkafka_conf_new(brokers, "chasqui-places", pairs);

    return rc ? rdkafka_client_new(RD_KAFKA_CONSUMER, rc) : NULL;
}

void places_close(rd_kafka_t *rk)
{
    if (rk)
        rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void tell_commits(const rd_kafka_topic_partition_list_t *list, reader_commit_fn *fn,
                         void *arg)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *tp = &list->elems[i];
        char meta[BUS_META_MAX + 1] = "";

        if (tp->offset < 0)
            continue;
        if (tp->metadata && tp->metadata_size <= BUS_META_MAX)
            memcpy(meta, tp->metadata, tp->metadata_size);
        fn(arg, tp->partition, tp->offset, meta);
    }
}

enum cq_status places_commits(rd_kafka_t *rk, const char *topic, int32_t first, int32_t n,
                              reader_commit_fn *fn, void *arg)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    rd_kafka_resp_err_t err;

    rd_kafka_topic_partition_list_add_range(list, topic, first, first + n - 1);
    err = rd_kafka_committed(rk, list, CALL_MS);
    for (int i = 0; !err && i < list->cnt; i++)
        err = list->elems[i].err;
    if (!err)
        tell_commits(list, fn, arg);
    else
        log_debug("commits_unknown", LOG_S("topic", topic), LOG_S("code", rd_kafka_err2name(err)));
    rd_kafka_topic_partition_list_destroy(list);
    return err ? CQ_AGAIN : CQ_OK;
}

rd_kafka_resp_err_t places_move(rd_kafka_t *rk, const char *topic, int32_t partition, int64_t next,
                                const char *meta)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_add(list, topic, partition);
    rd_kafka_resp_err_t err;

    tp->offset = next;
    if (meta && *meta) {
        tp->metadata = strdup(meta); /* freed with the list */
        tp->metadata_size = tp->metadata ? strlen(meta) : 0;
    }
    err = rd_kafka_commit(rk, list, 0);
    if (!err)
        err = list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    return err;
}

static void take_commit(void *arg, int32_t partition, int64_t next, const char *meta)
{
    (void)partition;
    (void)meta;
    *(int64_t *)arg = next;
}

enum cq_status places_raise(rd_kafka_t *rk, const char *topic, int32_t partition, int64_t next)
{
    int64_t known = -1;
    rd_kafka_resp_err_t err;
    enum cq_status st = places_commits(rk, topic, partition, 1, take_commit, &known);

    if (st != CQ_OK || known >= next)
        return st;
    err = places_move(rk, topic, partition, next, NULL);
    if (err)
        log_debug("floor_not_raised", LOG_S("code", rd_kafka_err2name(err)));
    return err ? CQ_AGAIN : CQ_OK;
}
