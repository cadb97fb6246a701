/* SPDX-License-Identifier: MIT */
#include "edge/rest/keeper.h"

#include "edge/auth/sweep.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { EVERY_S = 10, MORE_S = 1 };

struct keeper {
    pthread_t thread;
    struct pg *db;        /* the thread's own */
    pthread_mutex_t lock; /* guards stop */
    pthread_cond_t ended;
    bool stop;
};

/* True while there is more to do at once. */
static bool keep(struct keeper *k)
{
    static const struct cq_id all;
    int64_t now_ms = clock_wall_ms(), swept = 0, percent = 0;
    bool more = false;
    enum cq_status st = pg_ready(k->db, NULL);

    if (st == CQ_OK)
        st = auth_sweep(k->db, now_ms, &swept, &more);
    if (st == CQ_OK)
        st = budget_used(k->db, BUDGET_CODES_ALL, all, now_ms, &percent);
    if (st != CQ_OK) {
        log_debug("sweep_failed", LOG_S("why", pg_error(k->db)));
        return false;
    }
    count_add(COUNT_AUTH_SWEPT, swept);
    count_set(COUNT_CODES_USED, percent);
    return more;
}

static void *keeper_main(void *arg)
{
    struct keeper *k = arg;
    struct timespec until;
    bool more;

    pthread_mutex_lock(&k->lock);
    while (!k->stop) {
        pthread_mutex_unlock(&k->lock);
        more = keep(k);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += more ? MORE_S : EVERY_S;
        pthread_mutex_lock(&k->lock);
        while (!k->stop && pthread_cond_timedwait(&k->ended, &k->lock, &until) == 0)
            continue;
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

static void keeper_free(struct keeper *k)
{
    pg_free(k->db);
    pthread_cond_destroy(&k->ended);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

enum cq_status keeper_start(const char *database_url, struct keeper **ret)
{
    struct keeper *k = calloc(1, sizeof *k);
    pthread_condattr_t attr;

    if (!k)
        return CQ_FATAL;
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&k->ended, &attr);
    pthread_condattr_destroy(&attr);
    k->db = pg_new(database_url, "chasqui-edge-rest-keeper");
    if (!k->db || pthread_create(&k->thread, NULL, keeper_main, k) != 0) {
        keeper_free(k);
        return CQ_FATAL;
    }
    *ret = k;
    return CQ_OK;
}

void keeper_stop(struct keeper *k)
{
    if (!k)
        return;
    pthread_mutex_lock(&k->lock);
    k->stop = true;
    pthread_cond_signal(&k->ended);
    pthread_mutex_unlock(&k->lock);
    pg_cancel(k->db);
    pthread_join(k->thread, NULL);
    keeper_free(k);
}
