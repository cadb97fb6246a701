/* SPDX-License-Identifier: MIT */
#include "lib/bus/bus.h"
#include "lib/bus/rdkafka_conf.h"

#include "lib/base/clock.h"
#include "lib/base/contact.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { EVERY_MS = 1000, ANSWER_MS = 2000 };

struct bus_watch {
    rd_kafka_t *rk; /* owned */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool ending; /* under the lock */
};

static bool sleeps(struct bus_watch *w)
{
    struct timespec until;
    bool ending;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += EVERY_MS / 1000;
    pthread_mutex_lock(&w->lock);
    while (!w->ending && pthread_cond_timedwait(&w->end, &w->lock, &until) == 0)
        ;
    ending = w->ending;
    pthread_mutex_unlock(&w->lock);
    return !ending;
}

static void *watch_main(void *arg)
{
    struct bus_watch *w = arg;

    do {
        const struct rd_kafka_metadata *found = NULL;
        /* brokers only: no topic is named, and that is the smallest question there is */
        rd_kafka_resp_err_t err = rd_kafka_metadata(w->rk, 0, NULL, &found, ANSWER_MS);

        if (!err) {
            contact_heard(CONTACT_KAFKA, clock_mono_ms());
            rd_kafka_metadata_destroy(found);
        }
        contact_tell(CONTACT_KAFKA, clock_mono_ms(), err ? rd_kafka_err2name(err) : "");
    } while (sleeps(w));
    return NULL;
}

enum cq_status bus_watch_start(const char *brokers, struct bus_watch **ret)
{
    struct bus_watch *w = calloc(1, sizeof *w);
    rd_kafka_conf_t *rc = w ? rdkafka_conf_new(brokers, "chasqui-watch", NULL) : NULL;

    contact_expect(CONTACT_KAFKA, clock_mono_ms());
    if (rc)
        w->rk = rdkafka_client_new(RD_KAFKA_PRODUCER, rc);
    if (!w || !w->rk) {
        free(w);
        return CQ_FATAL;
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->end, NULL);
    if (pthread_create(&w->thread, NULL, watch_main, w) != 0) {
        rd_kafka_destroy(w->rk);
        free(w);
        return CQ_FATAL;
    }
    *ret = w;
    return CQ_OK;
}

void bus_watch_stop(struct bus_watch *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_signal(&w->end);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    rd_kafka_destroy(w->rk);
    free(w);
}
