/* SPDX-License-Identifier: MIT */
#include "lib/bus/rdkafka_conf.h"

#include "lib/base/log.h"

#include <pthread.h>
#include <sched.h>

/* The library's own chatter matters to somebody who debugs a broker, to nobody else. */
static void library_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    log_debug("librdkafka", LOG_I("severity", level), LOG_S("facility", facility),
              LOG_S("text", text));
}

static void library_error(rd_kafka_t *rk, int err, const char *reason, void *arg)
{
    (void)rk;
    (void)arg;
    security_note_error(err, reason);
}

static bool set_pairs(rd_kafka_conf_t *conf, const char *const *pairs)
{
    char why[256];

    for (; pairs && pairs[0]; pairs += 2)
        if (rd_kafka_conf_set(conf, pairs[0], pairs[1], why, sizeof why) != RD_KAFKA_CONF_OK) {
            log_debug("kafka_setting_refused", LOG_S("name", pairs[0]), LOG_S("why", why));
            return false;
        }
    return true;
}

/* The first record of several wakes the library's sending thread. If that preempts the thread that
 * is about to hand over the second record, the first leaves in a request of its own: under load
 * that was every other request. A thread with this policy (SCHED_BATCH, sched(7)) does not preempt,
 * and still gets an idle processor at once. If setting it is not permitted, only this gain is
 * lost. */
static rd_kafka_resp_err_t on_thread_start(rd_kafka_t *rk, rd_kafka_thread_type_t type,
                                           const char *name, void *arg)
{
    static const struct sched_param none = { 0 };

    (void)rk;
    (void)name;
    (void)arg;
    if (type == RD_KAFKA_THREAD_BROKER)
        (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *arg, char *why,
                                  size_t why_n)
{
    (void)conf;
    (void)arg;
    (void)why;
    (void)why_n;
    return rd_kafka_interceptor_add_on_thread_start(rk, "scheduling", on_thread_start, NULL);
}

rd_kafka_conf_t *rdkafka_conf_new(const char *brokers, const char *client_id,
                                  const char *const *pairs)
{
    const char *const shared[] = {
        "bootstrap.servers",
        brokers,
        "client.id",
        client_id ? client_id : "chasqui",
        "socket.nagle.disable",
        "true",
        "socket.keepalive.enable",
        "true",
        "reconnect.backoff.ms",
        "50",
        "reconnect.backoff.max.ms",
        "1000",
        "topic.metadata.refresh.sparse",
        "true",
        "log_level",
        "4",
        NULL,
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    if (!set_pairs(conf, shared) || !set_pairs(conf, pairs) || !security_set(conf)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_interceptor_add_on_new(conf, "scheduling", on_new, NULL);
    rd_kafka_conf_set_log_cb(conf, library_log);
    rd_kafka_conf_set_error_cb(conf, library_error);
    return conf;
}

rd_kafka_t *rdkafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[256];
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);

    if (!rk) {
        rd_kafka_conf_destroy(conf);
        log_debug("kafka_client_refused", LOG_S("why", why));
        return NULL;
    }
    security_client_ready(rk);
    return rk;
}

rd_kafka_resp_err_t rdkafka_ask(rd_kafka_t *rk, int timeout_ms)
{
    const struct rd_kafka_metadata *found = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, NULL, &found, timeout_ms); /* brokers only */

    if (!err)
        rd_kafka_metadata_destroy(found);
    return err;
}

struct bus_record rdkafka_record(const rd_kafka_message_t *m)
{
    return (struct bus_record){
        .topic = rd_kafka_topic_name(m->rkt),
        .partition = m->partition,
        .offset = m->offset,
        .at_ms = rd_kafka_message_timestamp(m, NULL),
        .key = span_of(m->key, m->key_len),
        .value = span_of(m->payload, m->len),
    };
}
