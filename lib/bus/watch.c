/* SPDX-License-Identifier: MIT */
#include "lib/bus/bus.h"
#include "lib/bus/rdkafka_conf.h"

#include "lib/base/clock.h"
#include "lib/base/contact.h"
#include "lib/base/ticker.h"

#include <stdlib.h>
#include <string.h>

enum { EVERY_MS = 1000, ANSWER_MS = 2000 };

struct bus_watch {
    char *brokers;  /* owned */
    rd_kafka_t *rk; /* owned; NULL while the role hears from Kafka without it */
    struct ticker ticker;
};

static bool open_client(struct bus_watch *watch)
{
    rd_kafka_conf_t *conf =
        watch->rk ? NULL : rdkafka_conf_new(watch->brokers, "chasqui-watch", NULL);

    if (conf)
        watch->rk = rdkafka_client_new(RD_KAFKA_PRODUCER, conf); /* takes it over */
    return watch->rk != NULL;
}

static void close_client(struct bus_watch *watch)
{
    if (watch->rk)
        rd_kafka_destroy(watch->rk);
    watch->rk = NULL;
}

/* Most roles hear from Kafka all the time, by the requests of their other clients. A client that
 * only waits to ask costs threads that wake, and a request each second. */
static int ask(void *arg)
{
    struct bus_watch *watch = arg;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

    if (contact_was_heard(CONTACT_KAFKA) &&
        contact_silence_ms(CONTACT_KAFKA, clock_mono_ms()) < EVERY_MS) {
        close_client(watch);
    } else {
        err = open_client(watch) ? rdkafka_ask(watch->rk, ANSWER_MS) : RD_KAFKA_RESP_ERR__FAIL;
        if (!err)
            contact_heard(CONTACT_KAFKA, clock_mono_ms());
    }
    contact_tell(CONTACT_KAFKA, clock_mono_ms(), err ? rd_kafka_err2name(err) : "");
    return EVERY_MS;
}

enum cq_status bus_watch_start(const char *brokers, struct bus_watch **ret)
{
    struct bus_watch *watch = calloc(1, sizeof *watch);

    contact_expect(CONTACT_KAFKA, clock_mono_ms());
    if (watch)
        watch->brokers = strdup(brokers);
    if (!watch || !watch->brokers || !open_client(watch) ||
        ticker_start(&watch->ticker, ask, watch) != CQ_OK) {
        bus_watch_stop(watch);
        return CQ_FATAL;
    }
    *ret = watch;
    return CQ_OK;
}

void bus_watch_stop(struct bus_watch *watch)
{
    if (!watch)
        return;
    ticker_stop(&watch->ticker);
    close_client(watch);
    free(watch->brokers);
    free(watch);
}
