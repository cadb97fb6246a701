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
    /* After the first try that failed; as often again as there were more, squared, up to so many. */
    AGAIN_MS = 5000,
    AGAIN_TRIES_MAX = 8,
    REFUSED_MS = 2 * ARCHIVE_LEASE_MS, /* a removal is tried again within it */
    ARENA_BYTES = 4 * 1024 * 1024,
};

struct archiver {
    struct ticker ticker;
    struct pg *db; /* owned, as all of these; the thread's own */
    struct store *store;
    struct cq_arena *arena;
    int64_t total_bytes;
    int64_t refused_ms; /* monotonic; when the store last refused to remove a file; 0: it did not */
    struct archive owed; /* to be given back; its tries are 0: none */
    int64_t owed_wait_ms;
    bool owed_counts;
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

static void tell_removal(struct archiver *archiver, bool refused)
{
    if (refused)
        log_debug("export_not_removed", LOG_S("why", store_why(archiver->store)));
    archiver->refused_ms = refused ? clock_mono_ms() : 0;
    count_set(COUNT_EXPORTS_STUCK, refused);
}

/* One that the store does not let go now is looked at again when its lease is over. */
static enum cq_status remove_ended(struct archiver *archiver)
{
    struct archive archive;
    bool found = true;
    enum cq_status st = CQ_OK;

    while (st == CQ_OK && !archiver->stop) {
        bool removed;

        st = archive_claim_ended(archiver->db, clock_wall_ms(), &archive, &found);
        if (st != CQ_OK || !found)
            break;
        removed = remove_files(archiver, &archive) == CQ_OK;
        tell_removal(archiver, !removed);
        if (removed)
            st = archive_forget(archiver->db, archive.id);
    }
    /* another process has removed it */
    if (archiver->refused_ms && clock_mono_ms() - archiver->refused_ms > REFUSED_MS)
        tell_removal(archiver, false);
    return st;
}

/* ---- what is made --------------------------------------------------------------------- */

/* Whether a try failed since the store or PostgreSQL does nothing for anybody now. */
static bool is_outage(const struct archiver *archiver, enum cq_status st)
{
    const char *state = pg_sqlstate(archiver->db); /* "": its last statement did not fail */
    enum store_fault fault = store_fault(archiver->store);

    if (st != CQ_AGAIN)
        return false;
    if (*state)
        return !strncmp(state, "08", 2) || !strncmp(state, "53", 2) || !strncmp(state, "57", 2);
    return fault == STORE_AWAY || fault == STORE_FULL || fault == STORE_REFUSED;
}

/* What PostgreSQL did not take back while it was away. */
static enum cq_status settle(struct archiver *archiver)
{
    enum cq_status st = CQ_OK;

    if (archiver->owed.tries)
        st = pg_ready(archiver->db, NULL);
    if (st == CQ_OK && archiver->owed.tries)
        st = archive_give_back(archiver->db, &archiver->owed,
                               clock_wall_ms() + archiver->owed_wait_ms, archiver->owed_counts);
    if (st != CQ_AGAIN)
        archiver->owed.tries = 0;
    return st;
}

/* `counts`: the export itself may be why it failed. */
static enum cq_status give_back(struct archiver *archiver, const struct archive *archive,
                                bool failed, bool counts)
{
    char key[STORE_KEY_MAX];
    int64_t n = counts                             ? archive->fails
                : archive->tries < AGAIN_TRIES_MAX ? archive->tries
                                                   : AGAIN_TRIES_MAX;

    count_set(COUNT_EXPORTS_FAILING, failed);
    archive_key(archive->id, archive->tries, key);
    if (store_ungrow(archiver->store, key, "") != CQ_OK)
        log_debug("export_not_ungrown", LOG_S("why", store_why(archiver->store)));
    archiver->owed = *archive;
    archiver->owed_wait_ms = archiver->stop ? EVERY_MS : AGAIN_MS * n * n;
    archiver->owed_counts = counts;
    return settle(archiver);
}

/* Whoever took it away meanwhile may not have met the file. */
static void remove_lost(struct archiver *archiver, const struct archive *archive)
{
    char key[STORE_KEY_MAX];

    archive_key(archive->id, archive->tries, key);
    if (store_delete(archiver->store, key) != CQ_OK)
        tell_removal(archiver, true);
}

static enum cq_status make_one(struct archiver *archiver, struct archive *archive)
{
    struct archive_work work = { .db = archiver->db,
                                 .store = archiver->store,
                                 .arena = archiver->arena,
                                 .archive = archive,
                                 .stop = &archiver->stop };
    bool held = false, failed;
    enum cq_status st = archive_make(&work);

    if (st == CQ_OK)
        st = archive_made(archiver->db, archive, clock_wall_ms(), &held);
    if (st == CQ_OK) {
        count_add(COUNT_EXPORTS_MADE, held);
        count_set(COUNT_EXPORTS_FAILING, 0);
        if (!held)
            remove_lost(archiver, archive);
        return CQ_OK;
    }
    failed = !work.lost && !archiver->stop && !view_is_incomplete(archiver->db);
    log_debug("export_not_made", LOG_S("database", pg_error(archiver->db)),
              LOG_S("store", store_why(archiver->store)), LOG_I("fails", archive->fails));
    return give_back(archiver, archive, failed, failed && !is_outage(archiver, st));
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
    return due && !full ? archive_claim(archiver->db, clock_wall_ms(), most, ret, ret_found)
                        : CQ_OK;
}

/* False: there is nothing to do now. */
static bool work(struct archiver *archiver)
{
    struct archive archive;
    bool found = false;
    enum cq_status st = pg_ready(archiver->db, NULL);

    if (st == CQ_OK)
        st = settle(archiver);
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
