/* SPDX-License-Identifier: MIT */
#include "sinks/media/sweep.h"

#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/pg/pg.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { EVERY_MS = 60 * 1000, LOOK_MS = 200 };

struct sweep {
    struct sweep_conf conf;
    struct pg *db;       /* owned; the thread's */
    struct store *store; /* owned; the thread's */
    pthread_t thread;
    atomic_bool stop;
};

/* One that no request has in hand. What was stored whole may be in the log: it is never touched. */
static const char sql_one[] =
    "SELECT media_id, key, memo, received = size FROM media.uploads WHERE NOT stored AND "
    "created_at < $1 ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED";

static enum cq_status forget_bytes(struct sweep *s, const struct pg_result *rows)
{
    char key[STORE_KEY_MAX], other[STORE_KEY_MAX + 16], memo[STORE_MEMO_MAX + 1];
    enum cq_status st;

    snprintf(key, sizeof key, "%.*s", SPAN_FMT(pg_bytes(rows, 0, 1)));
    snprintf(memo, sizeof memo, "%.*s", SPAN_FMT(pg_bytes(rows, 0, 2)));
    st = pg_bool(rows, 0, 3) ? store_delete(s->store, key) : store_ungrow(s->store, key, memo);
    if (st != CQ_OK || !store_has_links(s->store) || strncmp(key, "media/", 6) != 0)
        return st;
    snprintf(other, sizeof other, "incoming/%s", key + 6);
    st = store_delete(s->store, other);
    snprintf(other, sizeof other, "proven/%s", key + 6);
    if (st == CQ_OK)
        st = store_delete(s->store, other);
    return st == CQ_OK ? store_delete(s->store, key)
                       : st; /* a copy that was not checked any more */
}

/* In a transaction. *ret_one: there was one. */
static enum cq_status sweep_row(struct sweep *s, bool *ret_one)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 64);
    pg_add_i64(&p, clock_wall_ms() - s->conf.pending_ms);
    st = pg_run(s->db, sql_one, &p, &rows);
    *ret_one = st == CQ_OK && pg_rows(rows) == 1;
    if (*ret_one)
        st = forget_bytes(s, rows);
    pg_params_clear(&p);
    if (*ret_one)
        pg_add_uuid(&p, pg_uuid(rows, 0, 0));
    if (*ret_one && st == CQ_OK)
        st = pg_run(s->db, "DELETE FROM media.uploads WHERE media_id = $1", &p, NULL);
    pg_params_release(&p);
    return st;
}

static bool sweep_one(struct sweep *s)
{
    bool one = false;
    enum cq_status st = pg_ready(s->db, NULL);

    if (st == CQ_OK)
        st = pg_script(s->db, "BEGIN");
    if (st == CQ_OK)
        st = sweep_row(s, &one);
    if (st == CQ_OK)
        st = pg_script(s->db, "COMMIT");
    if (st != CQ_OK)
        log_debug("not_swept", LOG_S("database", pg_error(s->db)),
                  LOG_S("store", store_why(s->store)));
    return st == CQ_OK && one;
}

static void *sweep_main(void *arg)
{
    struct sweep *s = arg;
    int64_t next_ms = 0;

    while (!atomic_load(&s->stop)) {
        if (clock_mono_ms() >= next_ms) {
            while (!atomic_load(&s->stop) && sweep_one(s))
                count_add(COUNT_FILES_SWEPT, 1);
            next_ms = clock_mono_ms() + EVERY_MS;
        }
        clock_sleep_ms(LOOK_MS);
    }
    return NULL;
}

enum cq_status sweep_start(const struct sweep_conf *conf, struct sweep **ret)
{
    struct sweep *s = calloc(1, sizeof *s);
    enum cq_status st;

    if (!s)
        return CQ_FATAL;
    s->conf = *conf;
    s->db = pg_new(conf->database_url, "chasqui-media");
    st = store_new(&conf->store, &s->store);
    if (st == CQ_OK && pthread_create(&s->thread, NULL, sweep_main, s) == 0) {
        *ret = s;
        return CQ_OK;
    }
    pg_free(s->db);
    store_free(s->store);
    free(s);
    return st == CQ_OK ? CQ_FATAL : st;
}

void sweep_stop(struct sweep *s)
{
    if (!s)
        return;
    atomic_store(&s->stop, true);
    pthread_join(s->thread, NULL);
    pg_free(s->db);
    store_free(s->store);
    free(s);
}
