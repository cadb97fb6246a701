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
    struct admin *admin = arg;
    const char *settings = security_settings(err, reason);

    (void)rk;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || admin->refused)
        return; /* says no more than what came before */
    admin->refused = settings != NULL;
    snprintf(admin->why, sizeof admin->why, ": %s%s%s", reason, settings ? "; look at " : "",
             settings ? settings : "");
}

static bool admin_open(struct admin *admin, const char *brokers)
{
    rd_kafka_conf_t *rc = rdkafka_conf_new(brokers, "chasqui-admin", NULL);

    *admin = (struct admin){ 0 };
    if (!rc)
        return false;
    rd_kafka_conf_set_opaque(rc, admin);
    rd_kafka_conf_set_error_cb(rc, on_error);
    admin->rk = rdkafka_client_new(RD_KAFKA_PRODUCER, rc);
    return admin->rk != NULL;
}

/* All topics; owned by caller. In slices, because complaints are heard only in between. */
static const struct rd_kafka_metadata *ask_topics(struct admin *admin)
{
    int64_t until_ms = clock_mono_ms() + CALL_MS;
    const struct rd_kafka_metadata *md;

    while (rd_kafka_metadata(admin->rk, 1, NULL, &md, SLICE_MS)) {
        rd_kafka_poll(admin->rk, 0);
        if (admin->refused || clock_mono_ms() >= until_ms)
            return NULL;
    }
    return md;
}

/* Partitions of `name`, 0 when it does not exist, -1 when the broker does not say. */
static int32_t partitions_of(struct admin *admin, const char *name)
{
    const struct rd_kafka_metadata *md = ask_topics(admin);
    int32_t n = 0;

    if (!md)
        return -1;
    for (int i = 0; i < md->topic_cnt; i++)
        if (strcmp(md->topics[i].topic, name) == 0 && !md->topics[i].err)
            n = md->topics[i].partition_cnt;
    rd_kafka_metadata_destroy(md);
    return n;
}

static enum cq_status check_all(struct admin *admin, const struct bus_topic_wanted *wanted,
                                size_t n, bool missing_is_fine, char *reterr, size_t reterr_n)
{
    for (size_t i = 0; i < n; i++) {
        int32_t have = partitions_of(admin, wanted[i].name);

        if (have < 0) {
            snprintf(reterr, reterr_n, "the broker %s%s",
                     admin->refused ? "refuses us" : "does not answer", admin->why);
            return CQ_AGAIN;
        }
        if (have == wanted[i].partitions || (have == 0 && missing_is_fine))
            continue;
        if (have)
            snprintf(reterr, reterr_n, "topic %s has %d partitions, must have %d", wanted[i].name,
                     have, wanted[i].partitions);
        else
            snprintf(reterr, reterr_n,
                     "topic %s is not there, or the broker does not let us Describe it",
                     wanted[i].name);
        return CQ_FATAL;
    }
    return CQ_OK;
}

static rd_kafka_NewTopic_t *new_topic(const struct bus_topic_wanted *wanted)
{
    char why[128];
    rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(wanted->name, wanted->partitions,
                                                   wanted->replication, why, sizeof why);

    for (const char *const *c = wanted->config; t && c && c[0]; c += 2)
        rd_kafka_NewTopic_set_config(t, c[0], c[1]);
    /* An acknowledged record is on two machines, whatever the cluster's own default is. */
    if (t && wanted->replication >= 3)
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

static enum cq_status create_all(rd_kafka_t *rk, const struct bus_topic_wanted *topics, size_t n,
                                 char *reterr, size_t reterr_n)
{
    rd_kafka_NewTopic_t **wanted = calloc(n, sizeof *wanted);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_event_t *ev = NULL;
    enum cq_status st = wanted ? CQ_OK : CQ_FATAL;

    for (size_t i = 0; st == CQ_OK && i < n; i++)
        if (!(wanted[i] = new_topic(&topics[i]))) {
            snprintf(reterr, reterr_n, "topic %s: bad settings", topics[i].name);
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

/* Creation is asynchronous in the cluster: wait until the metadata shows it. */
static enum cq_status await_all(struct admin *admin, const struct bus_topic_wanted *wanted,
                                size_t n, char *reterr, size_t reterr_n)
{
    enum cq_status st = CQ_AGAIN;

    for (int i = 0; st != CQ_OK && i < TRIES; i++) {
        if (i)
            clock_sleep_ms(200);
        st = check_all(admin, wanted, n, false, reterr, reterr_n);
    }
    return st;
}

static enum cq_status ask(const char *brokers, const struct bus_topic_wanted *wanted, size_t n,
                          bool create, char *reterr, size_t reterr_n)
{
    struct admin admin;
    enum cq_status st;

    if (!admin_open(&admin, brokers)) {
        snprintf(reterr, reterr_n, "no Kafka client");
        return CQ_FATAL;
    }
    st = check_all(&admin, wanted, n, create, reterr, reterr_n);
    if (st == CQ_OK && create)
        st = create_all(admin.rk, wanted, n, reterr, reterr_n);
    if (st == CQ_OK && create)
        st = await_all(&admin, wanted, n, reterr, reterr_n);
    rd_kafka_destroy(admin.rk);
    return st;
}

enum cq_status bus_topics_check(const char *brokers, const struct bus_topic_wanted *wanted,
                                size_t n, char *reterr, size_t reterr_n)
{
    return ask(brokers, wanted, n, false, reterr, reterr_n);
}

enum cq_status bus_topics_ensure(const char *brokers, const struct bus_topic_wanted *wanted,
                                 size_t n, char *reterr, size_t reterr_n)
{
    return ask(brokers, wanted, n, true, reterr, reterr_n);
}

/* ---- one setting ------------------------------------------------------------------------ */

/* What `res` has of its own, and `name` as it is to be: the broker takes settings only all at once. */
static rd_kafka_ConfigResource_t *with_setting(const rd_kafka_ConfigResource_t *res,
                                               const char *name, const char *value)
{
    size_t n = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(res, &n);
    rd_kafka_ConfigResource_t *ret =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, rd_kafka_ConfigResource_name(res));

    for (size_t i = 0; ret && i < n; i++)
        if (rd_kafka_ConfigEntry_source(entries[i]) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG)
            rd_kafka_ConfigResource_set_config(ret, rd_kafka_ConfigEntry_name(entries[i]),
                                               rd_kafka_ConfigEntry_value(entries[i]));
    if (ret)
        rd_kafka_ConfigResource_set_config(ret, name, value);
    return ret;
}

/* The first resource of an answer without an error; NULL: `reterr` has the words. */
static const rd_kafka_ConfigResource_t *first_good(rd_kafka_event_t *ev,
                                                   const rd_kafka_ConfigResource_t **all, size_t n,
                                                   char *reterr, size_t reterr_n)
{
    rd_kafka_resp_err_t err = ev ? rd_kafka_event_error(ev) : RD_KAFKA_RESP_ERR__TIMED_OUT;

    if (!err && n)
        err = rd_kafka_ConfigResource_error(all[0]);
    if (!err && n)
        return all[0];
    snprintf(reterr, reterr_n, "settings of a topic: %s", rd_kafka_err2str(err));
    return NULL;
}

static enum cq_status alter(rd_kafka_t *rk, rd_kafka_queue_t *queue,
                            rd_kafka_ConfigResource_t *wanted, char *reterr, size_t reterr_n)
{
    rd_kafka_event_t *ev;
    const rd_kafka_ConfigResource_t **all = NULL;
    size_t n = 0;
    bool good;

    rd_kafka_AlterConfigs(rk, &wanted, 1, NULL, queue);
    ev = rd_kafka_queue_poll(queue, CALL_MS);
    if (ev && !rd_kafka_event_error(ev))
        all = rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(ev), &n);
    good = first_good(ev, all, n, reterr, reterr_n) != NULL;
    if (ev)
        rd_kafka_event_destroy(ev);
    return good ? CQ_OK : CQ_AGAIN;
}

enum cq_status bus_topic_set(const char *brokers, const char *topic, const char *name,
                             const char *value, char *reterr, size_t reterr_n)
{
    struct admin admin;
    rd_kafka_ConfigResource_t *asked, *wanted = NULL;
    const rd_kafka_ConfigResource_t **all = NULL, *found;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *ev;
    size_t n = 0;
    enum cq_status st = CQ_AGAIN;

    if (!admin_open(&admin, brokers)) {
        snprintf(reterr, reterr_n, "no Kafka client");
        return CQ_FATAL;
    }
    queue = rd_kafka_queue_new(admin.rk);
    asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_DescribeConfigs(admin.rk, &asked, 1, NULL, queue);
    ev = rd_kafka_queue_poll(queue, CALL_MS);
    if (ev && !rd_kafka_event_error(ev))
        all = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(ev),
                                                        &n);
    found = first_good(ev, all, n, reterr, reterr_n);
    if (found && (wanted = with_setting(found, name, value)) != NULL) {
        st = alter(admin.rk, queue, wanted, reterr, reterr_n);
        rd_kafka_ConfigResource_destroy(wanted);
    }
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_ConfigResource_destroy(asked);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(admin.rk);
    return st;
}
