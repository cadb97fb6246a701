/* SPDX-License-Identifier: MIT */
#include "lib/bus/rdkafka_conf.h"

#include "lib/base/clock.h"
#include "lib/base/contact.h"
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

/* Kafka's names for the requests whose answers say that a broker serves us. Those before a login
 * (ApiVersions, the handshake of SASL) are answered to strangers, too. */
enum { API_PRODUCE = 0, API_FETCH = 1, API_HEARTBEAT = 12 };

static rd_kafka_resp_err_t on_response(rd_kafka_t *rk, int sock, const char *broker, int32_t id,
                                       int16_t api, int16_t version, int32_t correlation,
                                       size_t size, int64_t rtt, rd_kafka_resp_err_t err, void *arg)
{
    (void)rk;
    (void)sock;
    (void)broker;
    (void)id;
    (void)version;
    (void)correlation;
    (void)size;
    (void)rtt;
    (void)arg;
    if (!err && (api == API_PRODUCE || api == API_FETCH || api == API_HEARTBEAT))
        contact_heard(CONTACT_KAFKA, clock_mono_ms());
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *arg, char *why,
                                  size_t why_n)
{
    (void)conf;
    (void)arg;
    (void)why;
    (void)why_n;
    rd_kafka_interceptor_add_on_response_received(rk, "contact", on_response, NULL);
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
    rd_kafka_conf_interceptor_add_on_new(conf, "chasqui", on_new, NULL);
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

static void set_number(rd_kafka_conf_t *conf, const char *name, int32_t value)
{
    char text[16], why[128] = "";

    snprintf(text, sizeof text, "%d", value);
    if (rd_kafka_conf_set(conf, name, text, why, sizeof why) != RD_KAFKA_CONF_OK)
        log_debug("setting_not_changed", LOG_S("name", name), LOG_S("why", why));
}

/* The library has no call for this, and hands out the configuration of a running client to be read.
 * It reads these two numbers for each fetch that it builds (rd_kafka_broker_fetch_toppars), so that
 * a change is seen by the next one; a version that no longer did would fetch as it did before, and
 * nothing else. The other way, a new client, takes every partition over anew for it. */
void rdkafka_fetch_as(rd_kafka_t *rk, int32_t wait_ms, int32_t min_bytes)
{
    rd_kafka_conf_t *conf = (rd_kafka_conf_t *)(uintptr_t)rd_kafka_conf(rk);

    set_number(conf, "fetch.wait.max.ms", wait_ms);
    set_number(conf, "fetch.min.bytes", min_bytes);
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
