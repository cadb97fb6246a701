/* SPDX-License-Identifier: MIT */
#include "lib/bus/bus.h"
#include "lib/bus/places.h"
#include "lib/bus/rdkafka_conf.h"
#include "lib/bus/versions.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/partitions.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LEADER_WITHIN_MS = 20000,
    ELSE_WITHIN_MS = 2000, /* a topic that is not known yet, say */
    LEADER_AGAIN_MS = 200,
    CALL_MS = 10000,
    SILENCE_MS = 30000,
    POLL_MS = 100,
};

struct reader {
    rd_kafka_t *rk; /* owned */
    char *brokers;  /* owned */
};

enum cq_status reader_new(const char *brokers, struct reader **ret)
{
    /* Assigning needs a group. This one is never joined; only floors are committed to it. */
    static const char *const pairs[] = {
        "group.id",
        BUS_FLOOR_GROUP,
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
    struct reader *reader = rc ? calloc(1, sizeof *reader) : NULL;

    if (!reader) {
        if (rc)
            rd_kafka_conf_destroy(rc);
        return CQ_FATAL;
    }
    reader->rk = rdkafka_client_new(RD_KAFKA_CONSUMER, rc);
    reader->brokers = strdup(brokers);
    if (!reader->rk || !reader->brokers) {
        reader_free(reader);
        return CQ_FATAL;
    }
    rd_kafka_poll_set_consumer(reader->rk);
    *ret = reader;
    return CQ_OK;
}

void reader_free(struct reader *reader)
{
    if (!reader)
        return;
    if (reader->rk)
        rd_kafka_assign(reader->rk, NULL);
    places_close(reader->rk);
    free(reader->brokers);
    free(reader);
}

/* A partition whose leader has just died has another one in a moment: not a reason to give up what
 * was assigned, or every role would restart with every broker. */
static enum cq_status ask_offset(struct reader *reader, const char *topic, int32_t partition,
                                 int64_t at_ms, int64_t *ret)
{
    int64_t began_ms = clock_mono_ms();
    rd_kafka_resp_err_t err;

    while ((err = rdkafka_find_offset(reader->rk, topic, partition, at_ms, CALL_MS, ret))) {
        int64_t gone_ms = clock_mono_ms() - began_ms;

        log_debug("offset_unknown", LOG_S("topic", topic), LOG_I("partition", partition),
                  LOG_S("code", rd_kafka_err2name(err)));
        if (gone_ms > (rdkafka_heals(err) ? LEADER_WITHIN_MS : ELSE_WITHIN_MS))
            return rdkafka_heals(err) ? CQ_AGAIN : CQ_FATAL;
        clock_sleep_ms(LEADER_AGAIN_MS);
    }
    return CQ_OK;
}

enum cq_status reader_watermarks(struct reader *reader, const char *topic, int32_t partition,
                                 int64_t *ret_first, int64_t *ret_next)
{
    int64_t first = -1, next = -1;
    enum cq_status st = ask_offset(reader, topic, partition, RD_KAFKA_OFFSET_BEGINNING, &first);

    if (st == CQ_OK)
        st = ask_offset(reader, topic, partition, RD_KAFKA_OFFSET_END, &next);
    if (st == CQ_OK && (first < 0 || next < first))
        st = CQ_AGAIN;
    if (st != CQ_OK)
        return st;
    *ret_first = first;
    *ret_next = next;
    return CQ_OK;
}

enum cq_status reader_offset_for_time(struct reader *reader, const char *topic, int32_t partition,
                                      int64_t at_ms, int64_t *ret)
{
    int64_t first, offset;
    enum cq_status st = ask_offset(reader, topic, partition, at_ms, &offset);

    if (st != CQ_OK)
        return st;
    if (offset < 0) /* every record is older */
        return reader_watermarks(reader, topic, partition, &first, ret);
    *ret = offset;
    return CQ_OK;
}

/* What a message, or an error in its place, means to one who reads until `*done`. Sets `*heard`
 * when the log spoke. */
typedef enum cq_status take_fn(void *what, const rd_kafka_message_t *m, bool *heard, bool *done);

/* Read the partitions of `list` from its offsets. CQ_AGAIN: the log is silent. */
static enum cq_status read_assigned(struct reader *reader, rd_kafka_topic_partition_list_t *list,
                                    take_fn *take, void *what)
{
    int64_t heard_ms = clock_mono_ms();
    enum cq_status st = rd_kafka_assign(reader->rk, list) ? CQ_AGAIN : CQ_OK;
    bool done = false;

    while (st == CQ_OK && !done) {
        rd_kafka_message_t *msg = rd_kafka_consumer_poll(reader->rk, POLL_MS);
        bool heard = false;

        if (msg) {
            st = take(what, msg, &heard, &done);
            rd_kafka_message_destroy(msg);
        }
        if (heard)
            heard_ms = clock_mono_ms();
        else if (st == CQ_OK && clock_mono_ms() - heard_ms > SILENCE_MS)
            st = CQ_AGAIN;
    }
    rd_kafka_assign(reader->rk, NULL);
    return st;
}

struct scan {
    int64_t to;
    int64_t judged; /* see versions_await() */
    reader_scan_fn *fn;
    void *arg;
};

static enum cq_status take_scanned(void *what, const rd_kafka_message_t *msg, bool *heard,
                                   bool *done)
{
    struct scan *scan = what;
    struct bus_record rec;
    enum cq_status st;

    *heard = true;
    switch ((int)msg->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        *done = msg->offset >= scan->to; /* compaction may have taken the last records */
        return CQ_OK;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR__FATAL:
        return CQ_FATAL;
    default:
        *heard = false;
        return CQ_OK;
    }
    *done = msg->offset + 1 >= scan->to;
    if (msg->offset >= scan->to)
        return CQ_OK;
    rec = rdkafka_record(msg);
    st = versions_await(&rec, &scan->judged);
    return st == CQ_OK ? scan->fn(scan->arg, &rec) : st;
}

enum cq_status reader_scan(struct reader *reader, const char *topic, int32_t partition,
                           int64_t from, int64_t to, reader_scan_fn *fn, void *arg)
{
    struct scan scan = { to, 0, fn, arg };
    rd_kafka_topic_partition_list_t *list;
    enum cq_status st;

    if (to <= 0 || (from >= 0 && from >= to))
        return CQ_OK;
    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
        from == BUS_FROM_START ? RD_KAFKA_OFFSET_BEGINNING : from;
    st = read_assigned(reader, list, take_scanned, &scan);
    rd_kafka_topic_partition_list_destroy(list);
    return st;
}

/* ---- many partitions at once ------------------------------------------------------------ */

enum cq_status reader_ends(struct reader *reader, const char *topic, int32_t n, int64_t *ret_next)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    int64_t until_ms = clock_mono_ms() + LEADER_WITHIN_MS;
    rd_kafka_resp_err_t err;
    bool again;

    rd_kafka_topic_partition_list_add_range(list, topic, 0, n - 1);
    do {
        for (int i = 0; i < list->cnt; i++)
            list->elems[i].offset = RD_KAFKA_OFFSET_END;
        err = rd_kafka_offsets_for_times(reader->rk, list, CALL_MS);
        for (int i = 0; !err && i < list->cnt; i++)
            err = list->elems[i].err;
        again = rdkafka_heals(err) && clock_left_ms(until_ms);
        if (again)
            clock_sleep_ms(LEADER_AGAIN_MS);
    } while (again);
    for (int i = 0; !err && i < list->cnt; i++)
        ret_next[list->elems[i].partition] = list->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return err ? CQ_AGAIN : CQ_OK;
}

enum cq_status reader_commits(struct reader *reader, const char *group, const char *topic,
                              int32_t n, reader_commit_fn *fn, void *arg)
{
    bool is_own = strcmp(group, BUS_FLOOR_GROUP) == 0;
    rd_kafka_t *rk = is_own ? reader->rk : places_open(reader->brokers, group);
    enum cq_status st = rk ? places_commits(rk, topic, 0, n, fn, arg) : CQ_FATAL;

    if (!is_own)
        places_close(rk);
    return st;
}

/* Which partitions have shown their last record, or have none to show. */
struct lasts {
    const int64_t *next;
    bool shown[PARTITIONS_MAX];
    int32_t left;
    reader_scan_fn *fn;
    void *arg;
};

static void note_shown(struct lasts *lasts, int32_t partition, bool *done)
{
    if (!lasts->shown[partition])
        lasts->left--;
    lasts->shown[partition] = true;
    *done = lasts->left == 0;
}

static enum cq_status take_last(void *what, const rd_kafka_message_t *msg, bool *heard, bool *done)
{
    struct lasts *lasts = what;
    struct bus_record rec;
    enum cq_status st = CQ_OK;

    *heard = !msg->err || msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    switch ((int)msg->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: /* compacted away, or expired */
        note_shown(lasts, msg->partition, done);
        return CQ_OK;
    case RD_KAFKA_RESP_ERR__FATAL:
        return CQ_FATAL;
    default:
        return CQ_OK;
    }
    if (lasts->shown[msg->partition])
        return CQ_OK;
    rec = rdkafka_record(msg);
    if (msg->offset < lasts->next[msg->partition])
        st = lasts->fn(lasts->arg, &rec);
    note_shown(lasts, msg->partition, done);
    return st;
}

enum cq_status reader_lasts(struct reader *reader, const char *topic, int32_t n,
                            const int64_t *next, reader_scan_fn *fn, void *arg)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    struct lasts lasts = { .next = next, .fn = fn, .arg = arg };
    enum cq_status st = CQ_OK;

    for (int32_t p = 0; p < n && p < PARTITIONS_MAX; p++)
        if (next[p] > 0)
            rd_kafka_topic_partition_list_add(list, topic, p)->offset = next[p] - 1;
    lasts.left = list->cnt;
    if (lasts.left)
        st = read_assigned(reader, list, take_last, &lasts);
    rd_kafka_topic_partition_list_destroy(list);
    return st;
}

/* ---- groups from outside ---------------------------------------------------------------- */

enum cq_status reader_move_group(struct reader *reader, const char *group, const char *topic,
                                 int32_t partition, int64_t next, const char *meta, char *reterr,
                                 size_t reterr_n)
{
    rd_kafka_t *rk = places_open(reader->brokers, group);
    rd_kafka_resp_err_t err =
        rk ? places_move(rk, topic, partition, next, meta) : RD_KAFKA_RESP_ERR__FAIL;

    places_close(rk);
    if (err)
        snprintf(reterr, reterr_n, "the commit of group %s in %s partition %d cannot be set: %s",
                 group, topic, partition, rd_kafka_err2name(err));
    return err ? CQ_AGAIN : CQ_OK;
}

enum cq_status reader_raise_floor(struct reader *reader, const char *topic, int32_t partition,
                                  int64_t next)
{
    return places_raise(reader->rk, topic, partition, next);
}

enum cq_status reader_group_members(struct reader *reader, const char *group, int *ret_members)
{
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t err = rd_kafka_list_groups(reader->rk, group, &list, CALL_MS);

    *ret_members = 0;
    for (int i = 0; !err && i < list->group_cnt; i++) {
        err = list->groups[i].err;
        if (strcmp(list->groups[i].group, group) == 0)
            *ret_members += list->groups[i].member_cnt;
    }
    if (list)
        rd_kafka_group_list_destroy(list);
    return err ? CQ_AGAIN : CQ_OK;
}
