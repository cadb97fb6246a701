/* SPDX-License-Identifier: MIT */
#include "sinks/media/remove.h"

#include "lib/base/count.h"
#include "sinks/media/pool.h"

#include <stdio.h>

enum { PARAMS_BYTES = 256, HOLDS_MAX = 500 };

/* What became of an object. */
enum object {
    OBJECT_GONE,
    OBJECT_SHARED, /* the last file that shares it takes it along */
    OBJECT_HELD,   /* somebody may be about to share it */
    OBJECT_STUCK,  /* the store did not delete it, or the small picture */
};

/* While the view is made anew it does not know who shares an object. */
static const char sql_due[] =
    "SELECT d.media_id, d.key, d.taken, d.asked_at, EXISTS (SELECT 1 FROM view.media m "
    "WHERE m.media_id = d.media_id AND view.media_gone(m.media_id, m.owner_id)) "
    "FROM media.deletions d WHERE d.due_at <= $1 AND NOT EXISTS (SELECT 1 FROM view.incomplete) "
    "ORDER BY d.due_at LIMIT 1 FOR UPDATE OF d SKIP LOCKED";

/* As edge/rest/view/deletions.c: who begins to share the object waits, or is seen. */
static const char sql_lock[] = "SELECT pg_advisory_xact_lock(hashtextextended($1, 8))";

static const char sql_shared[] =
    "SELECT EXISTS (SELECT 1 FROM view.media m WHERE m.key = $2 AND m.media_id <> $1 "
    "AND NOT view.media_gone(m.media_id, m.owner_id)), EXISTS (SELECT 1 FROM media.holds h "
    "WHERE h.key = $2 AND h.media_id <> $1 AND NOT EXISTS (SELECT 1 FROM view.media_ends x "
    "WHERE x.media_id = h.media_id))";

/* It counts to the day no more. What a link may still bring goes with the row, later. */
static const char sql_upload[] =
    "WITH kept AS (UPDATE media.uploads SET stored = false, received = 0, ended_at = $2 "
    "WHERE media_id = $1 AND links_until > 0 RETURNING 1) DELETE FROM media.uploads "
    "WHERE media_id = $1 AND NOT EXISTS (SELECT 1 FROM kept)";

static const char sql_later[] = "UPDATE media.deletions SET due_at = $2 WHERE media_id = $1";
static const char sql_taken[] =
    "UPDATE media.deletions SET due_at = $2, taken = true WHERE media_id = $1";
static const char sql_done[] = "DELETE FROM media.deletions WHERE media_id = $1";

static const char sql_holds[] =
    "DELETE FROM media.holds WHERE media_id IN (SELECT h.media_id FROM media.holds h "
    "WHERE h.held_at < $1 AND (h.held_at < $2 OR EXISTS (SELECT 1 FROM view.media m "
    "WHERE m.media_id = h.media_id)) ORDER BY h.held_at LIMIT 500)";

/* `at_ms`: $2, 0 when the statement has none. */
static enum cq_status run_id(struct pg *db, const char *sql, struct cq_id id, int64_t at_ms)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, id);
    if (at_ms)
        pg_add_i64(&params, at_ms);
    return pg_run_once(db, sql, &params, NULL);
}

static enum cq_status ask_shared(struct pg *db, struct cq_id id, const char *key, enum object *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_text(&params, span_str(key));
    st = pg_run_once(db, sql_lock, &params, NULL);
    if (st != CQ_OK)
        return st;
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, id);
    pg_add_text(&params, span_str(key));
    st = pg_run_once(db, sql_shared, &params, &rows);
    if (st == CQ_OK)
        *ret = pg_bool(rows, 0, 0)   ? OBJECT_SHARED
               : pg_bool(rows, 0, 1) ? OBJECT_HELD
                                     : OBJECT_GONE;
    return st;
}

/* The file is gone for everybody: so is its small picture, and, unless others share it, its object. */
static enum cq_status take_away(struct pg *db, struct store *store, struct cq_id id,
                                const char *key, int64_t now_ms, enum object *ret)
{
    char thumbnail[STORE_KEY_MAX];
    enum cq_status st = ask_shared(db, id, key, ret);

    if (st != CQ_OK)
        return st;
    pool_thumbnail_key(id, thumbnail);
    if (store_delete(store, thumbnail) != CQ_OK ||
        (*ret == OBJECT_GONE && store_delete(store, key) != CQ_OK))
        *ret = OBJECT_STUCK;
    return *ret == OBJECT_GONE ? run_id(db, sql_upload, id, now_ms) : CQ_OK;
}

enum cq_status remove_next(struct pg *db, struct store *store, int64_t now_ms,
                           struct remove_stuck *ret_stuck, bool *ret_one)
{
    enum object object = OBJECT_SHARED;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    char key[STORE_KEY_MAX];
    struct pg_params params;
    struct cq_id id;
    bool was_taken;
    enum cq_status st;

    *ret_stuck = (struct remove_stuck){ .asked_ms = 0 };
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i64(&params, now_ms);
    st = pg_run_once(db, sql_due, &params, &rows);
    *ret_one = st == CQ_OK && pg_rows(rows) == 1;
    if (!*ret_one)
        return st;
    id = pg_uuid(rows, 0, 0);
    snprintf(key, sizeof key, "%.*s", SPAN_FMT(pg_bytes(rows, 0, 1)));
    was_taken = pg_bool(rows, 0, 2);
    if (!pg_bool(rows, 0, 4))
        return pg_i64(rows, 0, 3) < now_ms - REMOVE_GIVE_UP_MS
                   ? run_id(db, sql_done, id, 0)
                   : run_id(db, sql_later, id, now_ms + REMOVE_AGAIN_MS);
    st = take_away(db, store, id, key, now_ms, &object);
    if (st != CQ_OK)
        return st;
    if (object == OBJECT_STUCK) {
        *ret_stuck = (struct remove_stuck){ .media = id, .asked_ms = pg_i64(rows, 0, 3) };
        *ret_one = false;
        return run_id(db, sql_later, id, now_ms + REMOVE_AGAIN_MS);
    }
    if (was_taken)
        return object == OBJECT_HELD ? run_id(db, sql_later, id, now_ms + REMOVE_LATE_MS)
                                     : run_id(db, sql_done, id, 0);
    count_add(COUNT_FILES_SWEPT, 1);
    return run_id(db, sql_taken, id, now_ms + REMOVE_LATE_MS);
}

enum cq_status remove_holds(struct pg *db, int64_t now_ms, bool *ret_one)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i64(&params, now_ms - REMOVE_HOLD_MS);
    pg_add_i64(&params, now_ms - REMOVE_HOLD_MOST_MS);
    st = pg_run_once(db, sql_holds, &params, &rows);
    *ret_one = st == CQ_OK && pg_affected(rows) == HOLDS_MAX;
    return st;
}
