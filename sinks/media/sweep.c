/* SPDX-License-Identifier: MIT */
#include "sinks/media/sweep.h"

#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/pg/pg.h"
#include "sinks/media/remove.h"
#include "sinks/media/unshown.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { EVERY_MS = 60 * 1000, LOOK_MS = 200 };

struct sweep {
    struct sweep_conf conf;
    struct pg *db;             /* owned; the thread's */
    struct store *store;       /* owned; the thread's */
    struct remove_stuck stuck; /* of this pass */
    bool was_stuck;            /* as told */
    pthread_t thread;
    atomic_bool stop;
};

/* Both of what no request has in hand. */
static const char sql_pending[] =
    "SELECT media_id, memo, links_until FROM media.uploads WHERE NOT stored AND ended_at IS NULL "
    "AND (greatest(created_at, touched_at) < $1 OR created_at < $2) ORDER BY greatest(created_at, "
    "touched_at) LIMIT 1 FOR UPDATE SKIP LOCKED";

#define LINKED(which)                                                                          \
    "SELECT media_id, CASE WHEN stored THEN key ELSE '' END, stored FROM media.uploads WHERE " \
    "links_until > 0 AND " which " AND (stored OR ended_at IS NOT NULL) AND links_until < $1 " \
    "ORDER BY links_until LIMIT 1 FOR UPDATE SKIP LOCKED"

static const char sql_linked_soon[] = LINKED("NOT links_swept");
static const char sql_linked_late[] = LINKED("links_swept");

static const char sql_end[] = "UPDATE media.uploads SET ended_at = $2, received = 0, memo = '', "
                              "hash = '' WHERE media_id = $1";
static const char sql_soon[] = "UPDATE media.uploads SET links_swept = true WHERE media_id = $1";
static const char sql_late[] = "UPDATE media.uploads SET links_until = 0 WHERE media_id = $1";
static const char sql_delete[] = "DELETE FROM media.uploads WHERE media_id = $1";

/* `at_ms`: $2, 0 when the statement has none. */
static enum cq_status run_id(struct sweep *sweep, const char *sql, struct cq_id id, int64_t at_ms)
{
    struct pg_params params;

    pg_params_init(&params, 64);
    pg_add_uuid(&params, id);
    if (at_ms)
        pg_add_i64(&params, at_ms);
    return pg_run_once(sweep->db, sql, &params, NULL);
}

/* Nobody finished it. In a transaction, as the next one. *ret_one: there was one. */
static enum cq_status sweep_pending(struct sweep *sweep, bool *ret_one)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    char memo[STORE_MEMO_MAX + 1];
    int64_t now_ms = clock_wall_ms(), pending_ms = sweep->conf.pending_ms;
    struct pg_params params;
    struct cq_id id;
    enum cq_status st;

    pg_params_init(&params, 64);
    pg_add_i64(&params, now_ms - pending_ms);
    pg_add_i64(&params, now_ms - SWEEP_PENDING_TIMES * pending_ms);
    st = pg_run_once(sweep->db, sql_pending, &params, &rows);
    *ret_one = st == CQ_OK && pg_rows(rows) == 1;
    if (!*ret_one)
        return st;
    id = pg_uuid(rows, 0, 0);
    snprintf(memo, sizeof memo, "%.*s", SPAN_FMT(pg_bytes(rows, 0, 1)));
    st = store_forget(sweep->store, id, memo, "");
    if (st != CQ_OK)
        return st;
    return pg_i64(rows, 0, 2) ? run_id(sweep, sql_end, id, now_ms)
                              : run_id(sweep, sql_delete, id, 0);
}

/* It is stored, or ended, and so is the link that it might have been sent by. */
static enum cq_status sweep_linked(struct sweep *sweep, bool late, bool *ret_one)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    char keep[STORE_KEY_MAX];
    struct pg_params params;
    struct cq_id id;
    enum cq_status st;

    pg_params_init(&params, 64);
    pg_add_i64(&params, clock_wall_ms() - (late ? SWEEP_LINK_LATE_MS : SWEEP_LINK_SOON_MS));
    st = pg_run_once(sweep->db, late ? sql_linked_late : sql_linked_soon, &params, &rows);
    *ret_one = st == CQ_OK && pg_rows(rows) == 1;
    if (!*ret_one)
        return st;
    id = pg_uuid(rows, 0, 0);
    snprintf(keep, sizeof keep, "%.*s", SPAN_FMT(pg_bytes(rows, 0, 1)));
    st =
        *keep ? store_forget_links(sweep->store, id, keep) : store_forget(sweep->store, id, "", "");
    if (st != CQ_OK)
        return st;
    if (!late)
        return run_id(sweep, sql_soon, id, 0);
    return run_id(sweep, pg_bool(rows, 0, 2) ? sql_late : sql_delete, id, 0);
}

static enum cq_status sweep_soon(struct sweep *sweep, bool *ret_one)
{
    return sweep_linked(sweep, false, ret_one);
}

static enum cq_status sweep_late(struct sweep *sweep, bool *ret_one)
{
    return sweep_linked(sweep, true, ret_one);
}

static enum cq_status sweep_deleted(struct sweep *sweep, bool *ret_one)
{
    return remove_next(sweep->db, sweep->store, clock_wall_ms(), &sweep->stuck, ret_one);
}

static enum cq_status sweep_holds(struct sweep *sweep, bool *ret_one)
{
    return remove_holds(sweep->db, clock_wall_ms(), ret_one);
}

static bool sweep_one(struct sweep *this_sweep,
                      enum cq_status (*sweep)(struct sweep *this_sweep, bool *ret_one))
{
    bool one = false;
    enum cq_status st = pg_ready(this_sweep->db, NULL);

    if (st == CQ_OK)
        st = pg_script(this_sweep->db, "BEGIN");
    if (st == CQ_OK)
        st = sweep(this_sweep, &one);
    if (st == CQ_OK)
        st = pg_script(this_sweep->db, "COMMIT");
    if (st != CQ_OK)
        log_debug("not_swept", LOG_S("database", pg_error(this_sweep->db)),
                  LOG_S("store", store_why(this_sweep->store)));
    return st == CQ_OK && one;
}

static bool is_stopped(void *arg)
{
    return atomic_load(&((struct sweep *)arg)->stop);
}

/* The first that the store does not delete ends the pass: it has put itself behind all others. */
static void sweep_all_deleted(struct sweep *sweep)
{
    bool is_stuck;

    sweep->stuck.asked_ms = 0;
    for (int i = 0; i < SWEEP_DELETED_MAX && !is_stopped(sweep); i++)
        if (!sweep_one(sweep, sweep_deleted))
            break;
    is_stuck = sweep->stuck.asked_ms != 0;
    count_set(COUNT_FILES_STUCK, is_stuck ? (clock_wall_ms() - sweep->stuck.asked_ms) / 1000 : 0);
    if (is_stuck && !sweep->was_stuck)
        sweep->conf.stuck(sweep->stuck.media, store_why(sweep->store));
    sweep->was_stuck = is_stuck;
}

static void ask_unshown(struct sweep *sweep)
{
    const struct unshown_conf unshown = { .brokers = sweep->conf.brokers,
                                          .partitions = sweep->conf.partitions,
                                          .db = sweep->db,
                                          .after_ms = sweep->conf.unshown_ms,
                                          .stop = is_stopped,
                                          .arg = sweep };

    if (!unshown.after_ms || is_stopped(sweep) || pg_ready(sweep->db, NULL) != CQ_OK)
        return;
    if (unshown_all(&unshown) != CQ_OK)
        log_debug("not_asked", LOG_S("database", pg_error(sweep->db)));
}

static void sweep_all(struct sweep *sweep)
{
    const struct settle_conf settle = { .brokers = sweep->conf.brokers,
                                        .partitions = sweep->conf.partitions,
                                        .db = sweep->db,
                                        .store = sweep->store,
                                        .told = sweep->conf.told,
                                        .stop = is_stopped,
                                        .arg = sweep };

    while (!is_stopped(sweep) && sweep_one(sweep, sweep_pending))
        count_add(COUNT_FILES_SWEPT, 1);
    while (!is_stopped(sweep) && sweep_one(sweep, sweep_soon))
        ;
    while (!is_stopped(sweep) && sweep_one(sweep, sweep_late))
        ;
    sweep_all_deleted(sweep);
    while (!is_stopped(sweep) && sweep_one(sweep, sweep_holds))
        ;
    ask_unshown(sweep);
    if (!is_stopped(sweep) && pg_ready(sweep->db, NULL) == CQ_OK && settle_all(&settle) != CQ_OK)
        log_debug("not_settled", LOG_S("database", pg_error(sweep->db)),
                  LOG_S("store", store_why(sweep->store)));
}

static void *sweep_main(void *arg)
{
    struct sweep *sweep = arg;
    int64_t next_ms = 0;

    while (!atomic_load(&sweep->stop)) {
        if (clock_mono_ms() >= next_ms) {
            sweep_all(sweep);
            next_ms = clock_mono_ms() + EVERY_MS;
        }
        clock_sleep_ms(LOOK_MS);
    }
    return NULL;
}

enum cq_status sweep_start(const struct sweep_conf *conf, struct sweep **ret)
{
    struct sweep *sweep = calloc(1, sizeof *sweep);
    enum cq_status st;

    if (!sweep)
        return CQ_FATAL;
    sweep->conf = *conf;
    sweep->db = pg_new(conf->database_url, "chasqui-media");
    st = store_new(&conf->store, &sweep->store);
    if (st == CQ_OK && pthread_create(&sweep->thread, NULL, sweep_main, sweep) == 0) {
        *ret = sweep;
        return CQ_OK;
    }
    pg_free(sweep->db);
    store_free(sweep->store);
    free(sweep);
    return st == CQ_OK ? CQ_FATAL : st;
}

void sweep_stop(struct sweep *sweep)
{
    if (!sweep)
        return;
    atomic_store(&sweep->stop, true);
    pthread_join(sweep->thread, NULL);
    pg_free(sweep->db);
    store_free(sweep->store);
    free(sweep);
}
