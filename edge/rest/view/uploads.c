/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/uploads.c - the table media.uploads.
 */
#include "edge/rest/view/uploads.h"

#include <stdio.h>

enum { PARAMS_BYTES = STORE_MEMO_MAX + 4096, DAY_MS = 24 * 3600 * 1000 };

void upload_keys(struct upload *upload)
{
    store_key(STORE_MEDIA, upload->id, upload->key);
    store_key(STORE_INCOMING, upload->id, upload->incoming);
    store_key(STORE_PROVEN, upload->id, upload->proven);
}

static const char sql_queue[] = "SELECT pg_advisory_xact_lock(hashtextextended($1::text, 7))";
static const char sql_used[] = "SELECT coalesce(sum(size), 0)::bigint FROM media.uploads "
                               "WHERE user_id = $1 AND created_at > $2";
static const char sql_insert[] =
    "INSERT INTO media.uploads (media_id, user_id, chat_id, type, declared_type, name, size, "
    "sha256, key, created_at, links_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

static enum cq_status insert_row(struct pg *db, const struct upload *upload, int64_t now_ms)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, upload->id);
    pg_add_uuid(&params, upload->user);
    pg_add_uuid(&params, upload->chat);
    pg_add_i32(&params, (int32_t)upload->type);
    pg_add_text(&params, upload->declared_type);
    pg_add_text(&params, upload->name);
    pg_add_i64(&params, upload->size);
    if (upload->has_hash)
        pg_add_bytea(&params, span_of(upload->sha256, sizeof upload->sha256));
    else
        pg_add_null(&params, PG_BYTEA);
    pg_add_text(&params, span_str(upload->key));
    pg_add_i64(&params, now_ms);
    pg_add_i64(&params, upload->links_until_ms);
    return pg_run_once(db, sql_insert, &params, NULL);
}

/* Two creations at once must not both find room for one: they queue by user. */
static enum cq_status day_used(struct pg *db, struct cq_id user, int64_t now_ms, int64_t *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, 256);
    pg_add_text(&params, span_str(id_text(user).s));
    st = pg_run(db, sql_queue, &params, NULL);
    pg_params_clear(&params);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, now_ms - DAY_MS);
    if (st == CQ_OK)
        st = pg_run(db, sql_used, &params, &rows);
    pg_params_release(&params);
    if (st == CQ_OK)
        *ret = pg_i64(rows, 0, 0);
    return st;
}

enum cq_status upload_insert(struct pg *db, const struct upload *upload, int64_t daily_bytes,
                             int64_t now_ms, bool *ret_full)
{
    int64_t used = 0;
    enum cq_status st = pg_script(db, "BEGIN");

    *ret_full = false;
    if (st == CQ_OK)
        st = day_used(db, upload->user, now_ms, &used);
    if (st == CQ_OK && used + upload->size > daily_bytes) {
        *ret_full = true;
        return pg_script(db, "ROLLBACK");
    }
    if (st == CQ_OK)
        st = insert_row(db, upload, now_ms);
    return pg_end(db, st);
}

#define UPLOAD_COLUMNS                                                                          \
    "SELECT media_id, user_id, chat_id, type, declared_type, name, size, received, hash, "      \
    "memo, sha256, stored, content_type, key, links_until FROM media.uploads WHERE media_id = " \
    "$1 AND user_id = $2 AND ended_at IS NULL"

static const char sql_read[] = UPLOAD_COLUMNS;
static const char sql_lock[] = UPLOAD_COLUMNS " FOR UPDATE NOWAIT";

static void take_row(struct cq_arena *arena, const struct pg_result *rows, struct upload *upload)
{
    struct cq_span hash = pg_bytes(rows, 0, 8), sha = pg_bytes(rows, 0, 10);

    *upload = (struct upload){
        .id = pg_uuid(rows, 0, 0),
        .user = pg_uuid(rows, 0, 1),
        .chat = pg_uuid(rows, 0, 2),
        .type = (enum message_type)pg_i64(rows, 0, 3),
        .declared_type = arena_copy(arena, pg_bytes(rows, 0, 4)),
        .name = arena_copy(arena, pg_bytes(rows, 0, 5)),
        .size = pg_i64(rows, 0, 6),
        .received = pg_i64(rows, 0, 7),
        .memo = arena_copy(arena, pg_bytes(rows, 0, 9)),
        .has_hash = sha.n == sizeof upload->sha256,
        .stored = pg_bool(rows, 0, 11),
        .content_type = arena_copy(arena, pg_bytes(rows, 0, 12)),
        .links_until_ms = pg_i64(rows, 0, 14),
    };
    if (upload->has_hash)
        memcpy(upload->sha256, sha.p, sizeof upload->sha256);
    if (hash.n == sizeof upload->hash)
        memcpy(&upload->hash, hash.p, sizeof upload->hash);
    else
        sha256_begin(&upload->hash);
    upload_keys(upload);
    snprintf(upload->key, sizeof upload->key, "%.*s", SPAN_FMT(pg_bytes(rows, 0, 13)));
}

static enum cq_status read_with(struct pg *db, struct cq_arena *arena, const char *sql,
                                struct cq_id id, struct cq_id user, struct upload *ret,
                                bool *ret_found)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, 256);
    pg_add_uuid(&params, id);
    pg_add_uuid(&params, user);
    st = pg_run_once(db, sql, &params, &rows);
    *ret_found = st == CQ_OK && pg_rows(rows) == 1;
    if (*ret_found)
        take_row(arena, rows, ret);
    return st;
}

enum cq_status upload_read(struct pg *db, struct cq_arena *arena, struct cq_id id,
                           struct cq_id user, struct upload *ret, bool *ret_found)
{
    return read_with(db, arena, sql_read, id, user, ret, ret_found);
}

enum cq_status upload_lock(struct pg *db, struct cq_arena *arena, struct cq_id id,
                           struct cq_id user, struct upload *ret, bool *ret_found, bool *ret_busy)
{
    enum cq_status st = read_with(db, arena, sql_lock, id, user, ret, ret_found);

    *ret_busy = st != CQ_OK && strcmp(pg_sqlstate(db), "55P03") == 0;
    return st;
}

enum cq_status upload_moved(struct pg *db, const struct upload *upload, int64_t now_ms,
                            struct cq_span memo)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, upload->id);
    pg_add_i64(&params, upload->received);
    pg_add_bytea(&params, span_of(&upload->hash, sizeof upload->hash));
    pg_add_text(&params, memo);
    pg_add_i64(&params, now_ms);
    return pg_run_once(
        db,
        "UPDATE media.uploads SET received = $2, hash = $3, memo = $4, touched_at = $5 "
        "WHERE media_id = $1",
        &params, NULL);
}

enum cq_status upload_stored(struct pg *db, const struct upload *upload, struct cq_id device,
                             int64_t now_ms, const struct chat_view *view)
{
    struct pg_params params;

    pg_params_init(&params, 1024);
    pg_add_uuid(&params, upload->id);
    pg_add_bytea(&params, span_of(upload->sha256, sizeof upload->sha256));
    pg_add_text(&params, upload->content_type);
    pg_add_text(&params, span_str(upload->key));
    pg_add_i64(&params, now_ms);
    pg_add_uuid(&params, device);
    if (view->is_group)
        pg_add_null(&params, PG_UUID);
    else
        pg_add_uuid(&params, view->peer);
    return pg_run_once(db,
                       "UPDATE media.uploads SET stored = true, received = size, sha256 = $2, "
                       "content_type = $3, key = $4, memo = '', hash = '', touched_at = $5, "
                       "device_id = $6, peer = $7 WHERE media_id = $1",
                       &params, NULL);
}

enum cq_status upload_end(struct pg *db, const struct upload *upload, int64_t now_ms)
{
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, 64);
    pg_add_uuid(&params, upload->id);
    if (!upload->links_until_ms) {
        st = pg_run(db, "DELETE FROM media.uploads WHERE media_id = $1", &params, NULL);
    } else { /* a link may bring something still: whoever sweeps needs to know of it */
        pg_add_i64(&params, now_ms);
        st = pg_run(db,
                    "UPDATE media.uploads SET ended_at = $2, memo = '', hash = '', received = 0 "
                    "WHERE media_id = $1",
                    &params, NULL);
    }
    pg_params_release(&params);
    return st;
}
