/* SPDX-License-Identifier: MIT */
#include "lib/bus/backlog.h"
#include "lib/bus/bus.h"
#include "lib/bus/rdkafka_conf.h"

#include "lib/base/assert.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/partitions.h"
#include "lib/base/ticker.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TOPICS_MAX = 64,
    MESSAGE_BYTES = 1024 * 1024, /* message.max.bytes */
    RECORDS_MAX = 20000,
    KIB_MAX = 64 * 1024,
    FREE_WAIT_MS = 5000,
    PROBE_EVERY_MS = 1000,
    PROBE_WAIT_MS = 2000,
    PROBE_FRESH_MS = PROBE_EVERY_MS + PROBE_WAIT_MS + 1000,
};

/* Asking blocks, so it has a thread of its own; the client of the library is shared, it may be. */
struct probe {
    struct ticker ticker;
    _Atomic int64_t heard_ms; /* monotonic; 0: never */
};

struct target {
    struct backlog backlog;
    rd_kafka_topic_t *rkt; /* its topic's */
    int32_t partition;
    struct target *next_free; /* in producer.free … */
    bool is_free;             /* … if it is in it */
    bool failed;              /* a record in flight failed: the backlog must not overtake its
                               * retry */
    int64_t reached;          /* one past the highest offset reported */
};

struct topic_slot {
    rd_kafka_topic_t *rkt;   /* owned */
    struct target **targets; /* owned, by partition; NULL: never used */
    int32_t targets_n;
};

struct producer {
    rd_kafka_t *rk;                       /* owned */
    rd_kafka_queue_t *queue;              /* owned; only with a descriptor */
    struct topic_slot topics[TOPICS_MAX]; /* made at the first send to each */
    size_t topics_n;
    uint64_t turn;       /* one more with each producer_serve */
    struct target *free; /* nothing is in flight to them any more, and they have a backlog */
    size_t held_bytes, held_bytes_max;
    int pending_max;
    producer_report_fn *report;
    void *arg; /* borrowed */
    int fd;    /* eventfd, -1 until asked for */
    int pending;
    int reported;       /* since producer_serve began */
    char why[256];      /* of the last failure */
    struct bus_cut cut; /* not taken yet; topic "": none */
    _Atomic uint64_t connects;
    const char *reporting; /* topic of the report that is told now */
    struct probe probe;
};

static void set_why(struct producer *producer, const char *topic, int32_t partition,
                    rd_kafka_resp_err_t err)
{
    char fatal[128];
    rd_kafka_resp_err_t cause = rd_kafka_fatal_error(producer->rk, fatal, sizeof fatal);

    snprintf(producer->why, sizeof producer->why, "writing to partition %d of %s: %s%s%s",
             partition, topic, rd_kafka_err2name(cause ? cause : err), cause ? ": " : "",
             cause ? fatal : "");
}

static struct topic_slot *topic_of(struct producer *producer, const char *name)
{
    struct topic_slot *slot;

    for (size_t i = 0; i < producer->topics_n; i++)
        if (strcmp(rd_kafka_topic_name(producer->topics[i].rkt), name) == 0)
            return &producer->topics[i];
    if (producer->topics_n == TOPICS_MAX)
        return NULL;
    slot = &producer->topics[producer->topics_n];
    *slot = (struct topic_slot){ .rkt = rd_kafka_topic_new(producer->rk, name, NULL) };
    if (!slot->rkt)
        return NULL;
    producer->topics_n++;
    return slot;
}

static struct topic_slot *slot_of_report(struct producer *producer, const rd_kafka_message_t *m)
{
    for (size_t i = 0; i < producer->topics_n; i++)
        if (producer->topics[i].rkt == m->rkt)
            return &producer->topics[i];
    return topic_of(producer, rd_kafka_topic_name(m->rkt));
}

static void set_free(struct producer *producer, struct target *target)
{
    if (target->is_free)
        return;
    target->is_free = true;
    target->next_free = producer->free;
    producer->free = target;
}

/* A partition's reports come in order, and its offsets rise. An offset below an earlier one was
 * given twice. An offset below 0 is a repeat that the broker knew. False: it fell. */
static bool note_offset(struct producer *producer, struct target *target,
                        const rd_kafka_message_t *msg)
{
    if (msg->err || msg->offset < 0)
        return true;
    if (msg->offset >= target->reached) {
        target->reached = msg->offset + 1;
        return true;
    }
    producer->cut = (struct bus_cut){ .partition = target->partition,
                                      .end = msg->offset,
                                      .floor = target->reached };
    snprintf(producer->cut.topic, sizeof producer->cut.topic, "%s",
             rd_kafka_topic_name(target->rkt));
    snprintf(producer->why, sizeof producer->why,
             "log_was_cut: %s partition %d took a record at %lld, below %lld that it had before",
             producer->cut.topic, producer->cut.partition, (long long)producer->cut.end,
             (long long)producer->cut.floor);
    return false;
}

/* False: the record is stored where consumers will pass over it. */
static bool note_report(struct producer *producer, const rd_kafka_message_t *msg)
{
    struct topic_slot *slot = slot_of_report(producer, msg);
    struct target *target = slot && msg->partition >= 0 && msg->partition < slot->targets_n
                                ? slot->targets[msg->partition]
                                : NULL;

    bool good;

    if (!target)
        return true;
    good = note_offset(producer, target, msg);
    target->failed |= msg->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (backlog_reported(&target->backlog))
        set_free(producer, target);
    else if (!target->backlog.in_flight)
        target->failed = false;
    return good;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *arg)
{
    struct producer *producer = arg;
    bool good;

    (void)rk;
    CQ_ASSERT(producer->pending > 0, producer->pending);
    producer->pending--;
    producer->reported++;
    good = note_report(producer, msg);
    count_add(msg->err ? COUNT_SENDS_FAILED : COUNT_RECORDS_OUT, 1);
    if (msg->err) {
        set_why(producer, rd_kafka_topic_name(msg->rkt), msg->partition, msg->err);
        log_debug("produce_failed", LOG_S("why", producer->why));
    }
    producer->reporting = rd_kafka_topic_name(msg->rkt);
    if (producer->report)
        producer->report(producer->arg, (uint64_t)(uintptr_t)msg->_private, msg->partition,
                         msg->offset, msg->err || !good ? CQ_AGAIN : CQ_OK);
}

/* On a thread of the library. It connects as the library would, and counts: a broker that was away
 * is reached by a new connection, and its log may be shorter. */
static int on_connect(int fd, const struct sockaddr *address, int address_n, const char *id,
                      void *arg)
{
    struct producer *producer = arg;

    (void)id;
    producer->connects++;
    return connect(fd, address, (socklen_t)address_n) == 0 || errno == EINPROGRESS ? 0 : errno;
}

static int probe(void *arg)
{
    struct producer *producer = arg;

    if (!rdkafka_ask(producer->rk, PROBE_WAIT_MS))
        producer->probe.heard_ms = clock_mono_ms();
    return PROBE_EVERY_MS;
}

bool producer_answers(const struct producer *producer)
{
    return producer->probe.heard_ms && clock_mono_ms() - producer->probe.heard_ms < PROBE_FRESH_MS;
}

enum cq_status producer_new(const struct producer_conf *conf, struct producer **ret)
{
    char linger[32], timeout[32], records[32], kib[32];
    const char *const pairs[] = {
        "enable.idempotence",
        "true",
        "acks",
        "all",
        "linger.ms",
        linger,
        "message.timeout.ms",
        timeout,
        "queue.buffering.max.messages",
        records,
        "queue.buffering.max.kbytes",
        kib,
        "message.max.bytes",
        "1048576",
        /* A leader that stands still has a successor after a few seconds; by default its requests
         * are waited for a minute. */
        "request.timeout.ms",
        "5000",
        "socket.timeout.ms",
        "10000",
        "compression.codec",
        "lz4",
        "delivery.report.only.error",
        "false",
        NULL,
    };
    rd_kafka_conf_t *rc;
    struct producer *producer;

    snprintf(linger, sizeof linger, "%g", conf->linger_ms);
    snprintf(timeout, sizeof timeout, "%d", conf->message_timeout_ms);
    snprintf(records, sizeof records, "%d",
             conf->queue_max_records ? conf->queue_max_records : RECORDS_MAX);
    snprintf(kib, sizeof kib, "%d", conf->queue_max_kib ? conf->queue_max_kib : KIB_MAX);
    rc = rdkafka_conf_new(conf->brokers, conf->client_id, pairs);
    if (!rc)
        return CQ_FATAL;
    producer = calloc(1, sizeof *producer);
    if (!producer) {
        rd_kafka_conf_destroy(rc);
        return CQ_FATAL;
    }
    producer->fd = -1;
    producer->pending_max = conf->queue_max_records ? conf->queue_max_records : RECORDS_MAX;
    producer->held_bytes_max = (size_t)(conf->queue_max_kib ? conf->queue_max_kib : KIB_MAX) * 1024;
    producer->report = conf->report;
    producer->arg = conf->arg;
    rd_kafka_conf_set_dr_msg_cb(rc, on_report);
    rd_kafka_conf_set_connect_cb(rc, on_connect);
    rd_kafka_conf_set_opaque(rc, producer);
    producer->rk = rdkafka_client_new(RD_KAFKA_PRODUCER, rc);
    if (!producer->rk) {
        free(producer);
        return CQ_FATAL;
    }
    if (conf->probe && ticker_start(&producer->probe.ticker, probe, producer) != CQ_OK) {
        producer_free(producer);
        return CQ_FATAL;
    }
    *ret = producer;
    return CQ_OK;
}

static void topic_release(struct topic_slot *slot)
{
    for (int32_t i = 0; i < slot->targets_n; i++) {
        if (slot->targets[i])
            backlog_release(&slot->targets[i]->backlog);
        free(slot->targets[i]);
    }
    free(slot->targets);
    rd_kafka_topic_destroy(slot->rkt);
}

void producer_free(struct producer *producer)
{
    int64_t until_ms;

    if (!producer)
        return;
    ticker_stop(&producer->probe.ticker);
    producer->report = NULL; /* the owner is going: nobody is left to be told */
    until_ms = clock_mono_ms() + FREE_WAIT_MS;
    while (producer->pending && !producer_is_fatal(producer) && clock_mono_ms() < until_ms)
        producer_serve(producer, clock_left_ms(until_ms));
    if (producer_is_fatal(producer))
        rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    for (size_t i = 0; i < producer->topics_n; i++)
        topic_release(&producer->topics[i]);
    if (producer->queue)
        rd_kafka_queue_destroy(producer->queue);
    rd_kafka_destroy(producer->rk);
    if (producer->fd >= 0)
        close(producer->fd);
    free(producer);
}

static enum cq_status send_error(rd_kafka_resp_err_t err)
{
    switch ((int)err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return CQ_OK;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return CQ_AGAIN;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return CQ_POISON;
    default:
        return CQ_FATAL;
    }
}

static rd_kafka_headers_t *headers_of(const struct bus_send *send)
{
    rd_kafka_headers_t *h = rd_kafka_headers_new(send->headers_n);

    for (size_t i = 0; i < send->headers_n; i++)
        rd_kafka_header_add(h, send->headers[i].name, -1, send->headers[i].value.p,
                            (ssize_t)send->headers[i].value.n);
    return h;
}

/* NULL: out of memory. */
static struct target *target_of(struct topic_slot *slot, int32_t partition)
{
    struct target *target;

    if (partition >= slot->targets_n) {
        size_t n = (size_t)partition + 1, had = (size_t)slot->targets_n;
        struct target **targets = realloc(slot->targets, n * sizeof(struct target *));

        if (!targets)
            return NULL;
        memset(targets + had, 0, (n - had) * sizeof(struct target *));
        slot->targets = targets;
        slot->targets_n = (int32_t)n;
    }
    if (slot->targets[partition])
        return slot->targets[partition];
    target = calloc(1, sizeof *target);
    if (target)
        *target = (struct target){ .rkt = slot->rkt, .partition = partition };
    slot->targets[partition] = target;
    return target;
}

/* The list of arguments cannot be conditional, so there are two of them. `headers` are taken over
 * on success only. */
static rd_kafka_resp_err_t produce(struct producer *producer, rd_kafka_topic_t *topic,
                                   const struct bus_send *send, rd_kafka_headers_t *headers)
{
    const void *key = send->key.n ? send->key.p : NULL;
    void *opaque = (void *)(uintptr_t)send->opaque;

    if (headers)
        return rd_kafka_producev(
            producer->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(send->partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, send->key.n),
            RD_KAFKA_V_VALUE((void *)send->value.p, send->value.n),
            RD_KAFKA_V_TIMESTAMP(send->at_ms), RD_KAFKA_V_OPAQUE(opaque),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    return rd_kafka_producev(
        producer->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(send->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, send->key.n),
        RD_KAFKA_V_VALUE((void *)send->value.p, send->value.n), RD_KAFKA_V_TIMESTAMP(send->at_ms),
        RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
}

static enum cq_status hold(struct producer *producer, struct target *target,
                           const struct bus_send *send)
{
    size_t bytes = backlog_bytes_of(send);

    if (send->key.n + send->value.n > MESSAGE_BYTES)
        return CQ_POISON;
    if (producer->pending >= producer->pending_max ||
        producer->held_bytes + bytes > producer->held_bytes_max) {
        count_add(COUNT_QUEUE_FULL, 1);
        return CQ_AGAIN;
    }
    if (!backlog_hold(&target->backlog, send))
        return CQ_AGAIN;
    producer->held_bytes += bytes;
    producer->pending++;
    return CQ_OK;
}

static rd_kafka_resp_err_t hand_over(struct producer *producer, rd_kafka_topic_t *rkt,
                                     const struct bus_send *send)
{
    rd_kafka_headers_t *headers = send->headers_n ? headers_of(send) : NULL;
    rd_kafka_resp_err_t err = produce(producer, rkt, send, headers);

    if (err && headers)
        rd_kafka_headers_destroy(headers); /* taken over on success only */
    if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        count_add(COUNT_QUEUE_FULL, 1);
    else if (err)
        set_why(producer, rd_kafka_topic_name(rkt), send->partition, err);
    return err;
}

enum cq_status producer_send(struct producer *producer, const struct bus_send *send)
{
    struct topic_slot *slot = topic_of(producer, send->topic);
    struct target *target = NULL;
    rd_kafka_resp_err_t err;

    if (!slot)
        return CQ_POISON;
    if (send->partition >= 0 && send->partition < PARTITIONS_MAX) {
        target = target_of(slot, send->partition);
        if (!target)
            return CQ_AGAIN;
        if (backlog_must_wait(&target->backlog, producer->turn))
            return hold(producer, target, send);
    }
    err = hand_over(producer, slot->rkt, send);
    if (!err) {
        producer->pending++;
        if (target)
            backlog_sent(&target->backlog, producer->turn);
    }
    return send_error(err);
}

/* The first of the backlog cannot be sent: its owner is told that its outcome is unknown. */
static void give_up(struct producer *producer, struct target *target)
{
    uint64_t opaque = backlog_first(&target->backlog)->opaque;

    CQ_ASSERT(producer->pending > 0 &&
                  producer->held_bytes >= backlog_bytes_of(backlog_first(&target->backlog)),
              producer->pending, producer->held_bytes);
    producer->held_bytes -= backlog_bytes_of(backlog_first(&target->backlog));
    backlog_drop(&target->backlog);
    producer->pending--;
    producer->reported++;
    count_add(COUNT_SENDS_FAILED, 1);
    producer->reporting = rd_kafka_topic_name(target->rkt);
    if (producer->report)
        producer->report(producer->arg, opaque, target->partition, -1, CQ_AGAIN);
}

/* CQ_AGAIN: the library has no room now. */
static enum cq_status drain_one(struct producer *producer, struct target *target)
{
    const struct bus_send *send = backlog_first(&target->backlog);
    rd_kafka_resp_err_t err = hand_over(producer, target->rkt, send);

    if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return CQ_AGAIN;
    if (err) {
        give_up(producer, target);
        return CQ_OK;
    }
    producer->held_bytes -= backlog_bytes_of(send);
    backlog_drop(&target->backlog);
    backlog_sent(&target->backlog, producer->turn);
    return CQ_OK;
}

/* Send the backlog of each partition to which nothing is in flight any more, all of it at once. */
static void drain_backlogs(struct producer *producer)
{
    while (producer->free) {
        struct target *target = producer->free;

        while (backlog_first(&target->backlog))
            if (target->failed)
                give_up(producer, target);
            else if (drain_one(producer, target) != CQ_OK)
                return;
        target->failed = false;
        producer->free = target->next_free;
        target->is_free = false;
    }
}

static void drain_fd(int fd)
{
    uint64_t n;

    if (fd >= 0 && read(fd, &n, sizeof n) < 0)
        return; /* empty already */
}

int producer_serve(struct producer *producer, int timeout_ms)
{
    producer->reported = 0;
    producer->turn++;
    drain_fd(producer->fd);
    drain_backlogs(producer);
    rd_kafka_poll(producer->rk, timeout_ms);
    while (rd_kafka_poll(producer->rk, 0) > 0)
        ; /* the descriptor tells of empty → non-empty only: leave it empty */
    drain_backlogs(producer);
    return producer->reported;
}

int producer_flush(struct producer *producer, int timeout_ms)
{
    producer->reported = 0;
    producer->turn++;
    drain_fd(producer->fd);
    drain_backlogs(producer);
    rd_kafka_flush(producer->rk, timeout_ms);
    drain_backlogs(producer);
    return producer->reported;
}

int producer_fd(struct producer *producer)
{
    static const uint64_t one = 1;

    if (producer->fd < 0) {
        producer->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        producer->queue = rd_kafka_queue_get_main(producer->rk);
        rd_kafka_queue_io_event_enable(producer->queue, producer->fd, &one, sizeof one);
    }
    return producer->fd;
}

int producer_pending(const struct producer *producer)
{
    return producer->pending;
}

const char *producer_error(const struct producer *producer)
{
    return producer->why;
}

bool producer_take_cut(struct producer *producer, struct bus_cut *ret)
{
    if (!*producer->cut.topic)
        return false;
    *ret = producer->cut;
    *producer->cut.topic = '\0';
    return true;
}

const char *producer_reporting(const struct producer *producer)
{
    return producer->reporting;
}

int64_t producer_reached(const struct producer *producer, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < producer->topics_n; i++) {
        const struct topic_slot *slot = &producer->topics[i];

        if (partition < slot->targets_n && slot->targets[partition] &&
            strcmp(rd_kafka_topic_name(slot->rkt), topic) == 0)
            return slot->targets[partition]->reached;
    }
    return 0;
}

uint64_t producer_connects(const struct producer *producer)
{
    return producer->connects;
}

bool producer_is_fatal(const struct producer *producer)
{
    char why[8];

    return rd_kafka_fatal_error(producer->rk, why, sizeof why) != RD_KAFKA_RESP_ERR_NO_ERROR;
}
