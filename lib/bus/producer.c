/* SPDX-License-Identifier: MIT */
#include "lib/bus/bus.h"
#include "lib/bus/rdkafka_conf.h"

#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    TOPICS_MAX = 64,
    FREE_WAIT_MS = 5000,
    PROBE_EVERY_MS = 1000,
    PROBE_WAIT_MS = 2000,
    PROBE_FRESH_MS = PROBE_EVERY_MS + PROBE_WAIT_MS + 1000,
};

/* Asking blocks, so it has a thread of its own; the client of the library is shared, it may be. */
struct probe {
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool ending;              /* under the lock */
    _Atomic int64_t heard_ms; /* monotonic; 0: never */
};

struct producer {
    rd_kafka_t *rk;                       /* owned */
    rd_kafka_queue_t *queue;              /* owned; only with a descriptor */
    rd_kafka_topic_t *topics[TOPICS_MAX]; /* owned; made at the first send to each */
    size_t topics_n;
    producer_report_fn *report;
    void *arg; /* borrowed */
    int fd;    /* eventfd, -1 until asked for */
    int pending;
    int reported;  /* since producer_serve began */
    char why[256]; /* of the last failure */
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

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    struct producer *p = arg;

    (void)rk;
    p->pending--;
    p->reported++;
    count_add(m->err ? COUNT_SENDS_FAILED : COUNT_RECORDS_OUT, 1);
    if (m->err) {
        set_why(p, rd_kafka_topic_name(m->rkt), m->partition, m->err);
        log_debug("produce_failed", LOG_S("why", p->why));
    }
    if (p->report)
        p->report(p->arg, (uint64_t)(uintptr_t)m->_private, m->partition, m->offset,
                  m->err ? CQ_AGAIN : CQ_OK);
}

static bool probe_sleeps(struct probe *b)
{
    struct timespec until;
    bool ending;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PROBE_EVERY_MS / 1000;
    pthread_mutex_lock(&b->lock);
    while (!b->ending && pthread_cond_timedwait(&b->end, &b->lock, &until) == 0)
        ;
    ending = b->ending;
    pthread_mutex_unlock(&b->lock);
    return !ending;
}

static void *probe_main(void *arg)
{
    struct producer *p = arg;

    do {
        const struct rd_kafka_metadata *found = NULL;

        /* brokers only: no topic is named, and that is the smallest question there is */
        if (!rd_kafka_metadata(p->rk, 0, NULL, &found, PROBE_WAIT_MS)) {
            p->probe.heard_ms = clock_mono_ms();
            rd_kafka_metadata_destroy(found);
        }
    } while (probe_sleeps(&p->probe));
    return NULL;
}

static void probe_start(struct producer *p)
{
    pthread_mutex_init(&p->probe.lock, NULL);
    pthread_cond_init(&p->probe.end, NULL);
    p->probe.started = pthread_create(&p->probe.thread, NULL, probe_main, p) == 0;
}

static void probe_end(struct producer *p)
{
    if (!p->probe.started)
        return;
    pthread_mutex_lock(&p->probe.lock);
    p->probe.ending = true;
    pthread_cond_signal(&p->probe.end);
    pthread_mutex_unlock(&p->probe.lock);
    pthread_join(p->probe.thread, NULL);
    p->probe.started = false;
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
             conf->queue_max_records ? conf->queue_max_records : 20000);
    snprintf(kib, sizeof kib, "%d", conf->queue_max_kib ? conf->queue_max_kib : 64 * 1024);
    rc = rdkafka_conf_new(conf->brokers, conf->client_id, pairs);
    if (!rc)
        return CQ_FATAL;
    p = calloc(1, sizeof *p);
    if (!p) {
        rd_kafka_conf_destroy(rc);
        return CQ_FATAL;
    }
    p->fd = -1;
    p->report = conf->report;
    p->arg = conf->arg;
    rd_kafka_conf_set_dr_msg_cb(rc, on_report);
    rd_kafka_conf_set_opaque(rc, p);
    p->rk = rdkafka_client_new(RD_KAFKA_PRODUCER, rc);
    if (!p->rk) {
        free(p);
        return CQ_FATAL;
    }
    if (conf->probe)
        probe_start(p);
    *ret = p;
    return CQ_OK;
}

void producer_free(struct producer *p)
{
    if (!p)
        return;
    probe_end(p);
    p->report = NULL; /* the owner is going: nobody is left to be told */
    if (!producer_is_fatal(p))
        rd_kafka_flush(p->rk, FREE_WAIT_MS);
    else
        rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    for (size_t i = 0; i < p->topics_n; i++)
        rd_kafka_topic_destroy(p->topics[i]);
    if (p->queue)
        rd_kafka_queue_destroy(p->queue);
    rd_kafka_destroy(p->rk);
    if (p->fd >= 0)
        close(p->fd);
    free(p);
}

static rd_kafka_topic_t *topic_of(struct producer *p, const char *name)
{
    rd_kafka_topic_t *t;

    for (size_t i = 0; i < p->topics_n; i++)
        if (strcmp(rd_kafka_topic_name(p->topics[i]), name) == 0)
            return p->topics[i];
    if (p->topics_n == TOPICS_MAX)
        return NULL;
    t = rd_kafka_topic_new(p->rk, name, NULL);
    if (t)
        p->topics[p->topics_n++] = t;
    return t;
}

static enum cq_status send_error(rd_kafka_resp_err_t err)
{
    switch (err) {
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

/* The list of arguments cannot be conditional, so there are two of them. */
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

enum cq_status producer_send(struct producer *p, const struct bus_send *m)
{
    rd_kafka_topic_t *topic = topic_of(p, m->topic);
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_resp_err_t err;

    if (!topic)
        return CQ_POISON;
    if (m->headers_n)
        headers = headers_of(m);
    err = produce(p, topic, m, headers);
    if (err && headers)
        rd_kafka_headers_destroy(headers); /* taken over on success only */
    if (!err)
        p->pending++;
    if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        count_add(COUNT_QUEUE_FULL, 1);
    else if (err)
        set_why(p, m->topic, m->partition, err);
    return send_error(err);
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
    drain_fd(p->fd);
    rd_kafka_poll(p->rk, timeout_ms);
    while (rd_kafka_poll(p->rk, 0) > 0)
        ; /* the descriptor tells of empty → non-empty only: leave it empty */
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

bool producer_is_fatal(const struct producer *p)
{
    char why[8];

    return rd_kafka_fatal_error(p->rk, why, sizeof why) != RD_KAFKA_RESP_ERR_NO_ERROR;
}

enum cq_status dead_letter_send(struct producer *p, const char *dlq_topic,
                                const struct bus_record *rec, const char *error, const char *worker,
                                int64_t now_ms, uint64_t opaque)
{
    char partition[16], offset[24], ts[24];
    struct bus_header headers[6];
    enum cq_status st;

    snprintf(partition, sizeof partition, "%d", rec->partition);
    snprintf(offset, sizeof offset, "%lld", (long long)rec->offset);
    snprintf(ts, sizeof ts, "%lld", (long long)now_ms);
    headers[0] = (struct bus_header){ "src_topic", span_str(rec->topic) };
    headers[1] = (struct bus_header){ "src_partition", span_str(partition) };
    headers[2] = (struct bus_header){ "src_offset", span_str(offset) };
    headers[3] = (struct bus_header){ "error", span_str(error ? error : "unknown") };
    headers[4] = (struct bus_header){ "worker", span_str(worker) };
    headers[5] = (struct bus_header){ "ts", span_str(ts) };
    st = producer_send(p, &(struct bus_send){ .topic = dlq_topic,
                                              .partition = rec->partition,
                                              .key = rec->key,
                                              .value = rec->value,
                                              .at_ms = now_ms,
                                              .headers = headers,
                                              .headers_n = ARRAY_LEN(headers),
                                              .opaque = opaque });
    count_add(COUNT_DEAD_LETTERS, st == CQ_OK);
    return st;
}
