/* SPDX-License-Identifier: MIT */
#include "edge/rest/archive/archiver.h"

#include "edge/rest/archive/make.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/log.h"
#include "lib/base/ticker.h"
#include "lib/pg/view_guard.h"

#include <stdlib.h>

enum {
    EVERY_MS = 1000,
    AGAIN_MS =
        5000, /* after the first try that failed; as often again as there were more, squared */
    ARENA_BYTES = 4 * 1024 * 1024,
};

struct archiver {
    struct ticker ticker;
    struct pg *db; /* owned, as all of these; the thread's own */
    struct store *store;
    struct cq_arena *arena;
    int64_t total_bytes;
    atomic_bool stop;
};

/* ---- what goes ------------------------------------------------------------------------ */

/* All that any of its tries has left. */
static enum cq_status remove_files(struct archiver *archiver, const struct archive *archive)
{
    char key[STORE_KEY_MAX];
    enum cq_status st = CQ_OK;

    for (int32_t i = 1; st == CQ_OK && i <= archive->tries; i++) {
        archive_key(archive->id, i, key);
        st = store_ungrow(archiver->store, key, "");
        if (st == CQ_OK)
            st = store_delete(archiver->store, key);
    }
    return st;
}

/* One that the store does not let go now is looked at again when its lease is over. */
static enum cq_status remove_ended(struct archiver *archiver)
{
    struct archive archive;
    bool found = true;
    enum cq_status st = CQ_OK;

    while (st == CQ_OK && !archiver->stop) {
        st = archive_claim_ended(archiver->db, clock_wall_ms(), &archive, &found);
        if (st != CQ_OK || !found)
            return st;
        if (remove_files(archiver, &archive) == CQ_OK)
            st = archive_forget(archiver->db, archive.id);
        else
            log_debug("export_not_removed", LOG_S("why", store_why(archiver->store)));
    }
    return st;
}

/* ---- what is made --------------------------------------------------------------------- */

/* A try counts where the export itself may be why it failed. */
static enum cq_status give_back(struct archiver *archiver, const struct archive *archive,
                                bool counts)
{
    char key[STORE_KEY_MAX];
    int64_t wait_ms = counts ? (int64_t)AGAIN_MS * archive->fails * archive->fails : EVERY_MS;
    enum cq_status st = pg_ready(archiver->db, NULL);

    count_set(COUNT_EXPORTS_FAILING, counts);
    archive_key(archive->id, archive->tries, key);
    if (store_ungrow(archiver->store, key, "") != CQ_OK)
        log_debug("export_not_ungrown", LOG_S("why", store_why(archiver->store)));
    return st == CQ_OK ? archive_give_back(archiver->db, archive, clock_wall_ms() + wait_ms, counts)
                       : st;
}

static enum cq_status make_one(struct archiver *archiver, struct archive *archive)
{
    struct archive_work work = { .db = archiver->db,
                                 .store = archiver->store,
                                 .arena = archiver->arena,
                                 .archive = archive,
                                 .stop = &archiver->stop };
    bool held = false, is_incomplete;
    enum cq_status st = archive_make(&work);

    if (st == CQ_OK)
        st = archive_made(archiver->db, archive, clock_wall_ms(), &held);
    if (st == CQ_OK) {
        count_add(COUNT_EXPORTS_MADE, held);
        count_set(COUNT_EXPORTS_FAILING, 0);
        return CQ_OK;
    }
    is_incomplete = view_is_incomplete(archiver->db);
    log_debug("export_not_made", LOG_S("database", pg_error(archiver->db)),
              LOG_S("store", store_why(archiver->store)), LOG_I("fails", archive->fails));
    return give_back(archiver, archive, !work.lost && !archiver->stop && !is_incomplete);
}

/* One that all have room for, if there is one to be made. */
static enum cq_status claim(struct archiver *archiver, struct archive *ret, bool *ret_found)
{
    static const int64_t most = ARCHIVE_TEXT_BYTES_MAX + ARCHIVE_FILE_BYTES_MAX;
    int64_t bytes = 0;
    bool due = false, full;
    enum cq_status st = archive_due(archiver->db, clock_wall_ms(), &due, &bytes);

    if (st != CQ_OK)
        return st;
    full = due && bytes > archiver->total_bytes - most;
    count_set(COUNT_EXPORTS_WAIT, full);
    return due && !full ? archive_claim(archiver->db, clock_wall_ms(), ret, ret_found) : CQ_OK;
}

/* False: there is nothing to do now. */
static bool work(struct archiver *archiver)
{
    struct archive archive;
    bool found = false;
    enum cq_status st = pg_ready(archiver->db, NULL);

    if (st == CQ_OK)
        st = remove_ended(archiver);
    if (st == CQ_OK && !archiver->stop)
        st = claim(archiver, &archive, &found);
    if (st != CQ_OK || !found)
        return false;
    if (archive.state == ARCHIVE_FAILED) {
        count_add(COUNT_EXPORTS_FAILED, 1);
        return true;
    }
    return make_one(archiver, &archive) == CQ_OK;
}

static int tick(void *arg)
{
    return work(arg) ? 1 : EVERY_MS;
}

/* ---- life ----------------------------------------------------------------------------- */

static void archiver_free(struct archiver *archiver)
{
    pg_free(archiver->db);
    store_free(archiver->store);
    arena_free(archiver->arena);
    free(archiver);
}

enum cq_status archiver_start(const struct archiver_conf *conf, struct archiver **ret)
{
    struct archiver *archiver = calloc(1, sizeof *archiver);

    if (!archiver)
        return CQ_FATAL;
    archiver->total_bytes = conf->total_bytes;
    archiver->arena = arena_new(ARENA_BYTES);
    archiver->db = pg_new(conf->database_url, "chasqui-edge-rest-archiver");
    if (archiver->db)
        view_guard(archiver->db);
    if (!archiver->db || store_new(&conf->store, &archiver->store) != CQ_OK ||
        ticker_start(&archiver->ticker, tick, archiver) != CQ_OK) {
        archiver_free(archiver);
        return CQ_FATAL;
    }
    *ret = archiver;
    return CQ_OK;
}

void archiver_stop(struct archiver *archiver)
{
    if (!archiver)
        return;
    archiver->stop = true;
    ticker_end(&archiver->ticker);
    pg_cancel(archiver->db);
    ticker_join(&archiver->ticker, -1);
    archiver_free(archiver);
}
