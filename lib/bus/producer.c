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

static void set_why(struct producer *p, const char *topic, int32_t partition,
                    rd_kafka_resp_err_t err)
{
    char fatal[128];
    rd_kafka_resp_err_t cause = rd_kafka_fatal_error(p->rk, fatal, sizeof fatal);

    snprintf(p->why, sizeof p->why, "writing to partition %d of %s: %s%s%s", partition, topic,
             rd_kafka_err2name(cause ? cause : err), cause ? ": " : "", cause ? fatal : "");
}

static struct topic_slot *topic_of(struct producer *p, const char *name)
{
    struct topic_slot *t;

    for (size_t i = 0; i < p->topics_n; i++)
        if (strcmp(rd_kafka_topic_name(p->topics[i].rkt), name) == 0)
            return &p->topics[i];
    if (p->topics_n == TOPICS_MAX)
        return NULL;
    t = &p->topics[p->topics_n];
    *t = (struct topic_slot){ .rkt = rd_kafka_topic_new(p->rk, name, NULL) };
    if (!t->rkt)
        return NULL;
    p->topics_n++;
    return t;
}

static struct topic_slot *slot_of_report(struct producer *p, const rd_kafka_message_t *m)
{
    for (size_t i = 0; i < p->topics_n; i++)
        if (p->topics[i].rkt == m->rkt)
            return &p->topics[i];
    return topic_of(p, rd_kafka_topic_name(m->rkt));
}

static void set_free(struct producer *p, struct target *t)
{
    if (t->is_free)
        return;
    t->is_free = true;
    t->next_free = p->free;
    p->free = t;
}

/* A partition's reports come in order, and its offsets rise. An offset below an earlier one was
 * given twice. An offset below 0 is a repeat that the broker knew. False: it fell. */
static bool note_offset(struct producer *p, struct target *t, const rd_kafka_message_t *m)
{
    if (m->err || m->offset < 0)
        return true;
    if (m->offset >= t->reached) {
        t->reached = m->offset + 1;
        return true;
    }
    p->cut = (struct bus_cut){ .partition = t->partition, .end = m->offset, .floor = t->reached };
    snprintf(p->cut.topic, sizeof p->cut.topic, "%s", rd_kafka_topic_name(t->rkt));
    snprintf(p->why, sizeof p->why,
             "log_was_cut: %s partition %d took a record at %lld, below %lld that it had before",
             p->cut.topic, p->cut.partition, (long long)p->cut.end, (long long)p->cut.floor);
    return false;
}

/* False: the record is stored where consumers will pass over it. */
static bool note_report(struct producer *p, const rd_kafka_message_t *m)
{
    struct topic_slot *slot = slot_of_report(p, m);
    struct target *t = slot && m->partition >= 0 && m->partition < slot->targets_n
                           ? slot->targets[m->partition]
                           : NULL;

    bool good;

    if (!t)
        return true;
    good = note_offset(p, t, m);
    t->failed |= m->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (backlog_reported(&t->backlog))
        set_free(p, t);
    else if (!t->backlog.in_flight)
        t->failed = false;
    return good;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    struct producer *p = arg;
    bool good;

    (void)rk;
    CQ_ASSERT(p->pending > 0, p->pending);
    p->pending--;
    p->reported++;
    good = note_report(p, m);
    count_add(m->err ? COUNT_SENDS_FAILED : COUNT_RECORDS_OUT, 1);
    if (m->err) {
        set_why(p, rd_kafka_topic_name(m->rkt), m->partition, m->err);
        log_debug("produce_failed", LOG_S("why", p->why));
    }
    p->reporting = rd_kafka_topic_name(m->rkt);
    if (p->report)
        p->report(p->arg, (uint64_t)(uintptr_t)m->_private, m->partition, m->offset,
                  m->err || !good ? CQ_AGAIN : CQ_OK);
}

/* On a thread of the library. It connects as the library would, and counts: a broker that was away
 * is reached by a new connection, and its log may be shorter. */
static int on_connect(int fd, const struct sockaddr *address, int address_n, const char *id,
                      void *arg)
{
    struct producer *p = arg;

    (void)id;
    p->connects++;
    return connect(fd, address, (socklen_t)address_n) == 0 || errno == EINPROGRESS ? 0 : errno;
}

static int probe(void *arg)
{
    struct producer *p = arg;

    if (!rdkafka_ask(p->rk, PROBE_WAIT_MS))
        p->probe.heard_ms = clock_mono_ms();
    return PROBE_EVERY_MS;
}

bool producer_answers(const struct producer *p)
{
    return p->probe.heard_ms && clock_mono_ms() - p->probe.heard_ms < PROBE_FRESH_MS;
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
    struct producer *p;

    snprintf(linger, sizeof linger, "%g", conf->linger_ms);
    snprintf(timeout, sizeof timeout, "%d", conf->message_timeout_ms);
    snprintf(records, sizeof records, "%d",
             conf->queue_max_records ? conf->queue_max_records : RECORDS_MAX);
    snprintf(kib, sizeof kib, "%d", conf->queue_max_kib ? conf->queue_max_kib : KIB_MAX);
    rc = rdkafka_conf_new(conf->brokers, conf->client_id, pairs);
    if (!rc)
        return CQ_FATAL;
    p = calloc(1, sizeof *p);
    if (!p) {
        rd_kafka_conf_destroy(rc);
        return CQ_FATAL;
    }
    p->fd = -1;
    p->pending_max = conf->queue_max_records ? conf->queue_max_records : RECORDS_MAX;
    p->held_bytes_max = (size_t)(conf->queue_max_kib ? conf->queue_max_kib : KIB_MAX) * 1024;
    p->report = conf->report;
    p->arg = conf->arg;
    rd_kafka_conf_set_dr_msg_cb(rc, on_report);
    rd_kafka_conf_set_connect_cb(rc, on_connect);
    rd_kafka_conf_set_opaque(rc, p);
    p->rk = rdkafka_client_new(RD_KAFKA_PRODUCER, rc);
    if (!p->rk) {
        free(p);
        return CQ_FATAL;
    }
    if (conf->probe && ticker_start(&p->probe.ticker, probe, p) != CQ_OK) {
        producer_free(p);
        return CQ_FATAL;
    }
    *ret = p;
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

void producer_free(struct producer *p)
{
    int64_t until_ms;

    if (!p)
        return;
    ticker_stop(&p->probe.ticker);
    p->report = NULL; /* the owner is going: nobody is left to be told */
    until_ms = clock_mono_ms() + FREE_WAIT_MS;
    while (p->pending && !producer_is_fatal(p) && clock_mono_ms() < until_ms)
        producer_serve(p, clock_left_ms(until_ms));
    if (producer_is_fatal(p))
        rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    for (size_t i = 0; i < p->topics_n; i++)
        topic_release(&p->topics[i]);
    if (p->queue)
        rd_kafka_queue_destroy(p->queue);
    rd_kafka_destroy(p->rk);
    if (p->fd >= 0)
        close(p->fd);
    free(p);
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

static rd_kafka_headers_t *headers_of(const struct bus_send *m)
{
    rd_kafka_headers_t *h = rd_kafka_headers_new(m->headers_n);

    for (size_t i = 0; i < m->headers_n; i++)
        rd_kafka_header_add(h, m->headers[i].name, -1, m->headers[i].value.p,
                            (ssize_t)m->headers[i].value.n);
    return h;
}

/* NULL: out of memory. */
static struct target *target_of(struct topic_slot *slot, int32_t partition)
{
    struct target *t;

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
    t = calloc(1, sizeof *t);
    if (t)
        *t = (struct target){ .rkt = slot->rkt, .partition = partition };
    slot->targets[partition] = t;
    return t;
}

/* The list of arguments cannot be conditional, so there are two of them. `headers` are taken over
 * on success only. */
static rd_kafka_resp_err_t produce(struct producer *p, rd_kafka_topic_t *topic,
                                   const struct bus_send *m, rd_kafka_headers_t *headers)
{
    const void *key = m->key.n ? m->key.p : NULL;
    void *opaque = (void *)(uintptr_t)m->opaque;

    if (headers)
        return rd_kafka_producev(
            p->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(m->partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, m->key.n),
            RD_KAFKA_V_VALUE((void *)m->value.p, m->value.n), RD_KAFKA_V_TIMESTAMP(m->at_ms),
            RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    return rd_kafka_producev(
        p->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(m->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, m->key.n),
        RD_KAFKA_V_VALUE((void *)m->value.p, m->value.n), RD_KAFKA_V_TIMESTAMP(m->at_ms),
        RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
}

static enum cq_status hold(struct producer *p, struct target *t, const struct bus_send *m)
{
    size_t bytes = backlog_bytes_of(m);

    if (m->key.n + m->value.n > MESSAGE_BYTES)
        return CQ_POISON;
    if (p->pending >= p->pending_max || p->held_bytes + bytes > p->held_bytes_max) {
        count_add(COUNT_QUEUE_FULL, 1);
        return CQ_AGAIN;
    }
    if (!backlog_hold(&t->backlog, m))
        return CQ_AGAIN;
    p->held_bytes += bytes;
    p->pending++;
    return CQ_OK;
}

static rd_kafka_resp_err_t hand_over(struct producer *p, rd_kafka_topic_t *rkt,
                                     const struct bus_send *m)
{
    rd_kafka_headers_t *headers = m->headers_n ? headers_of(m) : NULL;
    rd_kafka_resp_err_t err = produce(p, rkt, m, headers);

    if (err && headers)
        rd_kafka_headers_destroy(headers); /* taken over on success only */
    if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        count_add(COUNT_QUEUE_FULL, 1);
    else if (err)
        set_why(p, rd_kafka_topic_name(rkt), m->partition, err);
    return err;
}

enum cq_status producer_send(struct producer *p, const struct bus_send *m)
{
    struct topic_slot *slot = topic_of(p, m->topic);
    struct target *t = NULL;
    rd_kafka_resp_err_t err;

    if (!slot)
        return CQ_POISON;
    if (m->partition >= 0 && m->partition < PARTITIONS_MAX) {
        t = target_of(slot, m->partition);
        if (!t)
            return CQ_AGAIN;
        if (backlog_must_wait(&t->backlog, p->turn))
            return hold(p, t, m);
    }
    err = hand_over(p, slot->rkt, m);
    if (!err) {
        p->pending++;
        if (t)
            backlog_sent(&t->backlog, p->turn);
    }
    return send_error(err);
}

/* The first of the backlog cannot be sent: its owner is told that its outcome is unknown. */
static void give_up(struct producer *p, struct target *t)
{
    uint64_t opaque = backlog_first(&t->backlog)->opaque;

    CQ_ASSERT(p->pending > 0 && p->held_bytes >= backlog_bytes_of(backlog_first(&t->backlog)),
              p->pending, p->held_bytes);
    p->held_bytes -= backlog_bytes_of(backlog_first(&t->backlog));
    backlog_drop(&t->backlog);
    p->pending--;
    p->reported++;
    count_add(COUNT_SENDS_FAILED, 1);
    p->reporting = rd_kafka_topic_name(t->rkt);
    if (p->report)
        p->report(p->arg, opaque, t->partition, -1, CQ_AGAIN);
}

/* CQ_AGAIN: the library has no room now. */
static enum cq_status let_out(struct producer *p, struct target *t)
{
    const struct bus_send *m = backlog_first(&t->backlog);
    rd_kafka_resp_err_t err = hand_over(p, t->rkt, m);

    if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return CQ_AGAIN;
    if (err) {
        give_up(p, t);
        return CQ_OK;
    }
    p->held_bytes -= backlog_bytes_of(m);
    backlog_drop(&t->backlog);
    backlog_sent(&t->backlog, p->turn);
    return CQ_OK;
}

/* Send the backlog of each partition to which nothing is in flight any more, all of it at once. */
static void let_out_held(struct producer *p)
{
    while (p->free) {
        struct target *t = p->free;

        while (backlog_first(&t->backlog))
            if (t->failed)
                give_up(p, t);
            else if (let_out(p, t) != CQ_OK)
                return;
        t->failed = false;
        p->free = t->next_free;
        t->is_free = false;
    }
}

static void drain_fd(int fd)
{
    uint64_t n;

    if (fd >= 0 && read(fd, &n, sizeof n) < 0)
        return; /* empty already */
}

int producer_serve(struct producer *p, int timeout_ms)
{
    p->reported = 0;
    p->turn++;
    drain_fd(p->fd);
    let_out_held(p);
    rd_kafka_poll(p->rk, timeout_ms);
    while (rd_kafka_poll(p->rk, 0) > 0)
        ; /* the descriptor tells of empty → non-empty only: leave it empty */
    let_out_held(p);
    return p->reported;
}

int producer_flush(struct producer *p, int timeout_ms)
{
    p->reported = 0;
    p->turn++;
    drain_fd(p->fd);
    let_out_held(p);
    rd_kafka_flush(p->rk, timeout_ms);
    let_out_held(p);
    return p->reported;
}

int producer_fd(struct producer *p)
{
    static const uint64_t one = 1;

    if (p->fd < 0) {
        p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        p->queue = rd_kafka_queue_get_main(p->rk);
        rd_kafka_queue_io_event_enable(p->queue, p->fd, &one, sizeof one);
    }
    return p->fd;
}

int producer_pending(const struct producer *p)
{
    return p->pending;
}

const char *producer_error(const struct producer *p)
{
    return p->why;
}

bool producer_take_cut(struct producer *p, struct bus_cut *ret)
{
    if (!*p->cut.topic)
        return false;
    *ret = p->cut;
    *p->cut.topic = '\0';
    return true;
}

const char *producer_reporting(const struct producer *p)
{
    return p->reporting;
}

int64_t producer_reached(const struct producer *p, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < p->topics_n; i++) {
        const struct topic_slot *slot = &p->topics[i];

        if (partition < slot->targets_n && slot->targets[partition] &&
            strcmp(rd_kafka_topic_name(slot->rkt), topic) == 0)
            return slot->targets[partition]->reached;
    }
    return 0;
}

uint64_t producer_connects(const struct producer *p)
{
    return p->connects;
}

bool producer_is_fatal(const struct producer *p)
{
    char why[8];

    return rd_kafka_fatal_error(p->rk, why, sizeof why) != RD_KAFKA_RESP_ERR_NO_ERROR;
}
