/* SPDX-License-Identifier: MIT */
#include "lib/bus/bus.h"
#include "lib/bus/rdkafka_conf.h"

#include "lib/base/clock.h"
#include "lib/base/contact.h"
#include "lib/base/ticker.h"

#include <stdlib.h>

enum { EVERY_MS = 1000, ANSWER_MS = 2000 };

struct bus_watch {
    rd_kafka_t *rk; /* owned */
    struct ticker ticker;
};

static int ask(void *arg)
{
    struct bus_watch *w = arg;
    rd_kafka_resp_err_t err = rdkafka_ask(w->rk, ANSWER_MS);

    if (!err)
        contact_heard(CONTACT_KAFKA, clock_mono_ms());
    contact_tell(CONTACT_KAFKA, clock_mono_ms(), err ? rd_kafka_err2name(err) : "");
    return EVERY_MS;
}

enum cq_status bus_watch_start(const char *brokers, struct bus_watch **ret)
{
    struct bus_watch *w = calloc(1, sizeof *w);
    rd_kafka_conf_t *rc = w ? rdkafka_conf_new(brokers, "chasqui-watch", NULL) : NULL;

    contact_expect(CONTACT_KAFKA, clock_mono_ms());
    if (rc)
        w->rk = rdkafka_client_new(RD_KAFKA_PRODUCER, rc);
    if (!w || !w->rk || ticker_start(&w->ticker, ask, w) != CQ_OK) {
        bus_watch_stop(w);
        return CQ_FATAL;
    }
    *ret = w;
    return CQ_OK;
}

void bus_watch_stop(struct bus_watch *w)
{
    if (!w)
        return;
    ticker_stop(&w->ticker);
    if (w->rk)
        rd_kafka_destroy(w->rk);
    free(w);
}
