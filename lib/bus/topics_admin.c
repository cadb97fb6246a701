/* SPDX-License-Identifier: MIT */
#include "lib/bus/bus.h"
#include "lib/bus/rdkafka_conf.h"

#include "lib/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { CALL_MS = 15000, SLICE_MS = 500, TRIES = 20, WHY_MAX = 400 };

struct admin {
    rd_kafka_t *rk;    /* owned */
    bool refused;      /* the broker hears us and will not have us */
    char why[WHY_MAX]; /* what a client of the library last complained about, "": nothing */
};

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *arg)
{
    struct admin *a = arg;
    const char *settings = security_settings(err, reason);

    (void)rk;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || a->refused)
        return; /* says no more than what came before */
    a->refused = settings != NULL;
    snprintf(a->why, sizeof a->why, ": %s%s%s", reason, settings ? "; look at " : "",
             settings ? settings : "");
}

static bool admin_open(struct admin *a, const char *brokers)
{
    rd_kafka_conf_t *rc = rdkafka_conf_new(brokers, "chasqui-admin", NULL);

    *a = (struct admin){ 0 };
    if (!rc)
        return false;
    rd_kafka_conf_set_opaque(rc, a);
    rd_kafka_conf_set_error_cb(rc, on_error);
    a->rk = rdkafka_client_new(RD_KAFKA_PRODUCER, rc);
    return a->rk != NULL;
}

/* All topics; owned by caller. In slices, because complaints are heard only in between. */
static const struct rd_kafka_metadata *ask_topics(struct admin *a)
{
    int64_t until_ms = clock_mono_ms() + CALL_MS;
    const struct rd_kafka_metadata *md;

    while (rd_kafka_metadata(a->rk, 1, NULL, &md, SLICE_MS)) {
        rd_kafka_poll(a->rk, 0);
        if (a->refused || clock_mono_ms() >= until_ms)
            return NULL;
    }
    return md;
}

/* Partitions of `name`, 0 when it does not exist, -1 when the broker does not say. */
static int32_t partitions_of(struct admin *a, const char *name)
{
    const struct rd_kafka_metadata *md = ask_topics(a);
    int32_t n = 0;

    if (!md)
        return -1;
    for (int i = 0; i < md->topic_cnt; i++)
        if (strcmp(md->topics[i].topic, name) == 0 && !md->topics[i].err)
            n = md->topics[i].partition_cnt;
    rd_kafka_metadata_destroy(md);
    return n;
}

static enum cq_status check_all(struct admin *a, const struct bus_topic_wanted *t, size_t n,
                                bool missing_is_fine, char *reterr, size_t reterr_n)
{
    for (size_t i = 0; i < n; i++) {
        int32_t have = partitions_of(a, t[i].name);

        if (have < 0) {
            snprintf(reterr, reterr_n, "the broker %s%s",
                     a->refused ? "refuses us" : "does not answer", a->why);
            return CQ_AGAIN;
        }
        if (have == t[i].partitions || (have == 0 && missing_is_fine))
            continue;
        if (have)
            snprintf(reterr, reterr_n, "topic %s has %d partitions, must have %d", t[i].name, have,
                     t[i].partitions);
        else
            snprintf(reterr, reterr_n,
                     "topic %s is not there, or the broker does not let us Describe it", t[i].name);
        return CQ_FATAL;
    }
    return CQ_OK;
}

enum cq_status bus_topics_check(const char *brokers, const struct bus_topic_wanted *t, size_t n,
                                char *reterr, size_t reterr_n)
{
    struct admin a;
    enum cq_status st;

    if (!admin_open(&a, brokers)) {
        snprintf(reterr, reterr_n, "no Kafka client");
        return CQ_FATAL;
    }
    st = check_all(&a, t, n, false, reterr, reterr_n);
    rd_kafka_destroy(a.rk);
    return st;
}

static rd_kafka_NewTopic_t *new_topic(const struct bus_topic_wanted *w)
{
    char why[128];
    rd_kafka_NewTopic_t *t =
        rd_kafka_NewTopic_new(w->name, w->partitions, w->replication, why, sizeof why);

    for (const char *const *c = w->config; t && c && c[0]; c += 2)
        rd_kafka_NewTopic_set_config(t, c[0], c[1]);
    /* An acknowledged record is on two machines, whatever the cluster's own default is. */
    if (t && w->replication >= 3)
        rd_kafka_NewTopic_set_config(t, "min.insync.replicas", "2");
    return t;
}

/* First refusal other than "exists already", in words; false when there is one. */
static bool results_good(rd_kafka_event_t *ev, char *reterr, size_t reterr_n)
{
    const rd_kafka_CreateTopics_result_t *res = rd_kafka_event_CreateTopics_result(ev);
    const rd_kafka_topic_result_t **topics;
    size_t n = 0;

    if (rd_kafka_event_error(ev)) {
        snprintf(reterr, reterr_n, "creating topics: %s", rd_kafka_event_error_string(ev));
        return false;
    }
    topics = rd_kafka_CreateTopics_result_topics(res, &n);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(topics[i]);

        if (err && err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            snprintf(reterr, reterr_n, "creating topic %s: %s",
                     rd_kafka_topic_result_name(topics[i]),
                     rd_kafka_topic_result_error_string(topics[i])
                         ? rd_kafka_topic_result_error_string(topics[i])
                         : rd_kafka_err2str(err));
            return false;
        }
    }
    return true;
}

static enum cq_status create_all(rd_kafka_t *rk, const struct bus_topic_wanted *t, size_t n,
                                 char *reterr, size_t reterr_n)
{
    rd_kafka_NewTopic_t **wanted = calloc(n, sizeof *wanted);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_event_t *ev = NULL;
    enum cq_status st = wanted ? CQ_OK : CQ_FATAL;

    for (size_t i = 0; st == CQ_OK && i < n; i++)
        if (!(wanted[i] = new_topic(&t[i]))) {
            snprintf(reterr, reterr_n, "topic %s: bad settings", t[i].name);
            st = CQ_FATAL;
        }
    if (st == CQ_OK) {
        rd_kafka_CreateTopics(rk, wanted, n, NULL, queue);
        ev = rd_kafka_queue_poll(queue, CALL_MS);
        if (!ev) {
            snprintf(reterr, reterr_n, "creating topics: the broker does not answer");
            st = CQ_AGAIN;
        } else if (!results_good(ev, reterr, reterr_n)) {
            st = CQ_FATAL;
        }
    }
    for (size_t i = 0; wanted && i < n; i++)
        if (wanted[i])
            rd_kafka_NewTopic_destroy(wanted[i]);
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(queue);
    free(wanted);
    return st;
}

enum cq_status bus_topics_ensure(const char *brokers, const struct bus_topic_wanted *t, size_t n,
                                 char *reterr, size_t reterr_n)
{
    struct admin a;
    enum cq_status st;

    if (!admin_open(&a, brokers)) {
        snprintf(reterr, reterr_n, "no Kafka client");
        return CQ_FATAL;
    }
    st = check_all(&a, t, n, true, reterr, reterr_n);
    if (st == CQ_OK)
        st = create_all(a.rk, t, n, reterr, reterr_n);
    /* creation is asynchronous in the cluster: wait until the metadata shows it */
    for (int i = 0; st == CQ_OK && i < TRIES; i++) {
        enum cq_status seen = check_all(&a, t, n, false, reterr, reterr_n);

        if (seen == CQ_OK)
            break;
        if (i == TRIES - 1)
            st = seen;
        else
            clock_sleep_ms(200);
    }
    rd_kafka_destroy(a.rk);
    return st;
}
