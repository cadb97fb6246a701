/* SPDX-License-Identifier: MIT */
#include "lib/pg/pg.h"

#include "lib/base/clock.h"
#include "lib/base/contact.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { EVERY_MS = 1000, ANSWER_MS = 3000, END_SECONDS = 1 };

struct pg_watch {
    struct pg *db; /* owned */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool ending; /* under the lock */
};

static bool sleeps(struct pg_watch *w)
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
    struct pg_watch *w = arg;

    do {
        bool heard = pg_ready(w->db, NULL) == CQ_OK && pg_script(w->db, "SELECT 1") == CQ_OK;

        if (heard)
            contact_heard(CONTACT_DATABASE, clock_mono_ms());
        contact_tell(CONTACT_DATABASE, clock_mono_ms(),
                     heard ? "a statement waits" : pg_error(w->db));
    } while (sleeps(w));
    return NULL;
}

enum cq_status pg_watch_start(const char *url, struct pg_watch **ret)
{
    struct pg_watch *w = calloc(1, sizeof *w);

    contact_expect(CONTACT_DATABASE, clock_mono_ms());
    if (!w)
        return CQ_FATAL;
    w->db = pg_new(url, "chasqui-watch");
    pg_limit(w->db, ANSWER_MS);
    pg_uncounted(w->db);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->end, NULL);
    if (pthread_create(&w->thread, NULL, watch_main, w) != 0) {
        pg_free(w->db);
        free(w);
        return CQ_FATAL;
    }
    *ret = w;
    return CQ_OK;
}

void pg_watch_stop(struct pg_watch *w)
{
    struct timespec until;

    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_signal(&w->end);
    pthread_mutex_unlock(&w->lock);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += END_SECONDS;
    if (pthread_timedjoin_np(w->thread, NULL, &until) != 0)
        return; /* leaked on purpose: it waits for a server, and the process is ending */
    pg_free(w->db);
    free(w);
}
