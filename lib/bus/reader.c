/* SPDX-License-Identifier: MIT */
#include "lib/bus/bus.h"
#include "lib/bus/rdkafka_conf.h"

#include "lib/base/clock.h"

#include <stdlib.h>

enum {
    LEADER_WITHIN_MS = 20000,
    LEADER_AGAIN_MS = 200,
    CALL_MS = 10000,
    SILENCE_MS = 30000,
    POLL_MS = 100
};

struct reader {
    rd_kafka_t *rk; /* owned */
};

enum cq_status reader_new(const char *brokers, struct reader **ret)
{
    /* A group is named because assigning asks for one; nothing is ever committed to it. */
    static const char *const pairs[] = {
        "group.id",
        "chasqui-reader",
        "enable.auto.commit",
        "false",
        "enable.auto.offset.store",
        "false",
        "enable.partition.eof",
        "true",
        "auto.offset.reset",
        "error",
        "fetch.wait.max.ms",
        "50",
        "fetch.error.backoff.ms",
        "20",
        "allow.auto.create.topics",
        "false",
        NULL,
    };
    rd_kafka_conf_t *rc = rdkafka_conf_new(brokers, "chasqui-reader", pairs);
    struct reader *r = rc ? calloc(1, sizeof *r) : NULL;

    if (!r) {
        if (rc)
            rd_kafka_conf_destroy(rc);
        return CQ_FATAL;
    }
    r->rk = rdkafka_client_new(RD_KAFKA_CONSUMER, rc);
    if (!r->rk) {
        free(r);
        return CQ_FATAL;
    }
    rd_kafka_poll_set_consumer(r->rk);
    *ret = r;
    return CQ_OK;
}

void reader_free(struct reader *r)
{
    if (!r)
        return;
    rd_kafka_assign(r->rk, NULL);
    rd_kafka_destroy_flags(r->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(r);
}

/* A partition whose leader has just died has another one in a moment: not a reason to give up what
 * was assigned, or every role would restart with every broker. */
static bool has_no_leader_yet(rd_kafka_resp_err_t err, int64_t until_ms)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__SSL: /* the same behind TLS: it died without a word of good-bye */
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        if (clock_mono_ms() >= until_ms)
            return false;
        clock_sleep_ms(LEADER_AGAIN_MS);
        return true;
    default:
        return false;
    }
}

/* The offset of the first record at `at_ms` or later, -1: none; or RD_KAFKA_OFFSET_BEGINNING's,
 * RD_KAFKA_OFFSET_END's: what the protocol takes in the place of a time. One question for each end
 * and not rd_kafka_query_watermark_offsets(), which takes a partition for empty when only one of
 * its two questions is answered. */
static enum cq_status ask_offset(struct reader *r, const char *topic, int32_t partition,
                                 int64_t at_ms, int64_t *ret)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    int64_t until_ms = clock_mono_ms() + LEADER_WITHIN_MS;
    rd_kafka_resp_err_t err;

    rd_kafka_topic_partition_list_add(list, topic, partition);
    do {
        list->elems[0].offset = at_ms;
        err = rd_kafka_offsets_for_times(r->rk, list, CALL_MS);
        if (!err)
            err = list->elems[0].err;
    } while (has_no_leader_yet(err, until_ms));
    *ret = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return err ? CQ_AGAIN : CQ_OK;
}

enum cq_status reader_watermarks(struct reader *r, const char *topic, int32_t partition,
                                 int64_t *ret_first, int64_t *ret_next)
{
    int64_t first, next;

    if (ask_offset(r, topic, partition, RD_KAFKA_OFFSET_BEGINNING, &first) != CQ_OK ||
        ask_offset(r, topic, partition, RD_KAFKA_OFFSET_END, &next) != CQ_OK || first < 0 ||
        next < first)
        return CQ_AGAIN;
    *ret_first = first;
    *ret_next = next;
    return CQ_OK;
}

enum cq_status reader_offset_for_time(struct reader *r, const char *topic, int32_t partition,
                                      int64_t at_ms, int64_t *ret)
{
    int64_t first, offset;

    if (ask_offset(r, topic, partition, at_ms, &offset) != CQ_OK)
        return CQ_AGAIN;
    if (offset < 0) /* every record is older */
        return reader_watermarks(r, topic, partition, &first, ret);
    *ret = offset;
    return CQ_OK;
}

/* One poll of a scan. Sets *done at the end of the range. */
static enum cq_status scan_step(struct reader *r, int64_t to, reader_scan_fn *fn, void *arg,
                                bool *heard, bool *done)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(r->rk, POLL_MS);
    enum cq_status st = CQ_OK;

    *heard = m != NULL;
    if (!m)
        return CQ_OK;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        *done = m->offset >= to; /* compaction may have taken the last records */
    } else if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
               m->err == RD_KAFKA_RESP_ERR__FATAL) {
        st = CQ_FATAL;
    } else if (m->err) {
        *heard = false;
    } else if (m->offset >= to) {
        *done = true;
    } else {
        struct bus_record rec = {
            .topic = rd_kafka_topic_name(m->rkt),
            .partition = m->partition,
            .offset = m->offset,
            .at_ms = rd_kafka_message_timestamp(m, NULL),
            .key = span_of(m->key, m->key_len),
            .value = span_of(m->payload, m->len),
        };
        st = fn(arg, &rec);
        *done = m->offset + 1 >= to;
    }
    rd_kafka_message_destroy(m);
    return st;
}

enum cq_status reader_scan(struct reader *r, const char *topic, int32_t partition, int64_t from,
                           int64_t to, reader_scan_fn *fn, void *arg)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    int64_t last_heard_ms = clock_mono_ms();
    enum cq_status st = CQ_OK;
    bool done = to <= 0 || (from >= 0 && from >= to);

    rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
        from == BUS_FROM_START ? RD_KAFKA_OFFSET_BEGINNING : from;
    if (!done && rd_kafka_assign(r->rk, list))
        st = CQ_AGAIN;
    while (st == CQ_OK && !done) {
        bool heard;

        st = scan_step(r, to, fn, arg, &heard, &done);
        if (heard)
            last_heard_ms = clock_mono_ms();
        else if (st == CQ_OK && clock_mono_ms() - last_heard_ms > SILENCE_MS)
            st = CQ_AGAIN;
    }
    rd_kafka_assign(r->rk, NULL);
    rd_kafka_topic_partition_list_destroy(list);
    return st;
}
