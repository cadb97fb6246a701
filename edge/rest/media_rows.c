/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/media_rows.c - the table media.uploads, and what the view has of files.
 */
#include "edge/rest/media.h"

#include <stdio.h>

enum { PARAMS_BYTES = STORE_MEMO_MAX + 4096, DAY_MS = 24 * 3600 * 1000 };

void upload_keys(struct upload *u)
{
    store_key(STORE_MEDIA, u->id, u->key);
    store_key(STORE_INCOMING, u->id, u->incoming);
    store_key(STORE_PROVEN, u->id, u->proven);
}

static const char sql_queue[] = "SELECT pg_advisory_xact_lock(hashtextextended($1::text, 7))";
static const char sql_used[] = "SELECT coalesce(sum(size), 0)::bigint FROM media.uploads "
                               "WHERE user_id = $1 AND created_at > $2";
static const char sql_insert[] =
    "INSERT INTO media.uploads (media_id, user_id, chat_id, type, declared_type, name, size, "
    "sha256, key, created_at, links_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

static enum cq_status insert_row(struct call *c, struct pg *db, const struct upload *u)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, u->id);
    pg_add_uuid(&p, u->user);
    pg_add_uuid(&p, u->chat);
    pg_add_i32(&p, (int32_t)u->type);
    pg_add_text(&p, u->declared_type);
    pg_add_text(&p, u->name);
    pg_add_i64(&p, u->size);
    if (u->has_hash)
        pg_add_bytea(&p, span_of(u->sha256, sizeof u->sha256));
    else
        pg_add_null(&p, 17 /* bytea */);
    pg_add_text(&p, span_str(u->key));
    pg_add_i64(&p, c->now_ms);
    pg_add_i64(&p, u->links_until_ms);
    st = pg_run(db, sql_insert, &p, NULL);
    pg_params_release(&p);
    return st;
}

/* Two creations at once must not both find room for one: they queue by user. */
static enum cq_status day_used(struct call *c, struct pg *db, struct cq_id user, int64_t *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_text(&p, span_str(id_text(user).s));
    st = pg_run(db, sql_queue, &p, NULL);
    pg_params_clear(&p);
    pg_add_uuid(&p, user);
    pg_add_i64(&p, c->now_ms - DAY_MS);
    if (st == CQ_OK)
        st = pg_run(db, sql_used, &p, &rows);
    pg_params_release(&p);
    if (st == CQ_OK)
        *ret = pg_i64(rows, 0, 0);
    return st;
}

enum cq_status upload_insert(struct call *c, struct pg *db, const struct upload *u, bool *ret_full)
{
    int64_t used = 0;
    enum cq_status st = pg_script(db, "BEGIN");

    *ret_full = false;
    if (st == CQ_OK)
        st = day_used(c, db, u->user, &used);
    if (st == CQ_OK && used + u->size > c->conf->media.daily_bytes) {
        *ret_full = true;
        return pg_script(db, "ROLLBACK");
    }
    if (st == CQ_OK)
        st = insert_row(c, db, u);
    if (st == CQ_OK)
        return pg_script(db, "COMMIT");
    return pg_script(db, "ROLLBACK") == CQ_OK ? st : CQ_AGAIN;
}

#define UPLOAD_COLUMNS                                                                          \
    "SELECT media_id, user_id, chat_id, type, declared_type, name, size, received, hash, "      \
    "memo, sha256, stored, content_type, key, links_until FROM media.uploads WHERE media_id = " \
    "$1 AND user_id = $2 AND ended_at IS NULL"

static const char sql_read[] = UPLOAD_COLUMNS;
static const char sql_lock[] = UPLOAD_COLUMNS " FOR UPDATE NOWAIT";

static void take_row(struct call *c, const struct pg_result *r, struct upload *u)
{
    struct cq_span hash = pg_bytes(r, 0, 8), sha = pg_bytes(r, 0, 10);

    *u = (struct upload){
        .id = pg_uuid(r, 0, 0),
        .user = pg_uuid(r, 0, 1),
        .chat = pg_uuid(r, 0, 2),
        .type = (enum message_type)pg_i64(r, 0, 3),
        .declared_type = arena_copy(c->arena, pg_bytes(r, 0, 4)),
        .name = arena_copy(c->arena, pg_bytes(r, 0, 5)),
        .size = pg_i64(r, 0, 6),
        .received = pg_i64(r, 0, 7),
        .memo = arena_copy(c->arena, pg_bytes(r, 0, 9)),
        .has_hash = sha.n == sizeof u->sha256,
        .stored = pg_bool(r, 0, 11),
        .content_type = arena_copy(c->arena, pg_bytes(r, 0, 12)),
        .links_until_ms = pg_i64(r, 0, 14),
    };
    if (u->has_hash)
        memcpy(u->sha256, sha.p, sizeof u->sha256);
    if (hash.n == sizeof u->hash)
        memcpy(&u->hash, hash.p, sizeof u->hash);
    else
        sha256_begin(&u->hash);
    upload_keys(u);
    snprintf(u->key, sizeof u->key, "%.*s", SPAN_FMT(pg_bytes(r, 0, 13)));
}

static enum cq_status read_with(struct call *c, struct pg *db, const char *sql, struct cq_id id,
                                struct upload *ret, bool *ret_found)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, id);
    pg_add_uuid(&p, c->who.user);
    st = pg_run(db, sql, &p, &rows);
    pg_params_release(&p);
    *ret_found = st == CQ_OK && pg_rows(rows) == 1;
    if (*ret_found)
        take_row(c, rows, ret);
    return st;
}

enum cq_status upload_read(struct call *c, struct pg *db, struct cq_id id, struct upload *ret,
                           bool *ret_found)
{
    return read_with(c, db, sql_read, id, ret, ret_found);
}

enum cq_status upload_lock(struct call *c, struct pg *db, struct cq_id id, struct upload *ret,
                           bool *ret_found, bool *ret_busy)
{
    enum cq_status st = read_with(c, db, sql_lock, id, ret, ret_found);

    *ret_busy = st != CQ_OK && strcmp(pg_sqlstate(db), "55P03") == 0;
    return st;
}

enum cq_status upload_moved(struct call *c, struct pg *db, const struct upload *u,
                            struct cq_span memo)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, PARAMS_BYTES);
    pg_add_uuid(&p, u->id);
    pg_add_i64(&p, u->received);
    pg_add_bytea(&p, span_of(&u->hash, sizeof u->hash));
    pg_add_text(&p, memo);
    pg_add_i64(&p, c->now_ms);
    st = pg_run(db,
                "UPDATE media.uploads SET received = $2, hash = $3, memo = $4, touched_at = $5 "
                "WHERE media_id = $1",
                &p, NULL);
    pg_params_release(&p);
    return st;
}

enum cq_status upload_stored(struct call *c, struct pg *db, const struct upload *u,
                             const struct chat_view *view)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 1024);
    pg_add_uuid(&p, u->id);
    pg_add_bytea(&p, span_of(u->sha256, sizeof u->sha256));
    pg_add_text(&p, u->content_type);
    pg_add_text(&p, span_str(u->key));
    pg_add_i64(&p, c->now_ms);
    pg_add_uuid(&p, c->who.device);
    if (view->is_group)
        pg_add_null(&p, 2950 /* uuid */);
    else
        pg_add_uuid(&p, view->peer);
    st = pg_run(db,
                "UPDATE media.uploads SET stored = true, received = size, sha256 = $2, "
                "content_type = $3, key = $4, memo = '', hash = '', touched_at = $5, "
                "device_id = $6, peer = $7 WHERE media_id = $1",
                &p, NULL);
    pg_params_release(&p);
    return st;
}

enum cq_status upload_end(struct call *c, struct pg *db, const struct upload *u)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 64);
    pg_add_uuid(&p, u->id);
    if (!u->links_until_ms) {
        st = pg_run(db, "DELETE FROM media.uploads WHERE media_id = $1", &p, NULL);
    } else { /* a link may bring something still: whoever sweeps needs to know of it */
        pg_add_i64(&p, c->now_ms);
        st = pg_run(db,
                    "UPDATE media.uploads SET ended_at = $2, memo = '', hash = '', received = 0 "
                    "WHERE media_id = $1",
                    &p, NULL);
    }
    pg_params_release(&p);
    return st;
}

/* ---- the view ------------------------------------------------------------------------- */

#define MEDIA_COLUMNS(reader)                                                      \
    "SELECT d.media_id, d.type, d.content_type, d.name, d.sha256, d.size, d.key, " \
    "coalesce(f.thumbnail_key, ''), coalesce(f.width, 0), coalesce(f.height, 0), " \
    "coalesce(f.duration_ms, 0), view.may_read_media_now(d.media_id, " reader ") " \
    "FROM view.media d LEFT JOIN view.media_found f USING (media_id) "

static const char sql_media[] =
    MEDIA_COLUMNS("$2") "WHERE d.media_id = $1 AND view.may_read_media($1, $2)";

/* By a query of its own, once: what it costs must not depend on files of others. */
static const char sql_same[] =
    MEDIA_COLUMNS("$3") "WHERE d.media_id = (SELECT view.same_file($1, $2, $3))";

static enum cq_status take_media(struct call *c, struct pg *db, const char *sql,
                                 const struct pg_params *p, struct media *m, bool *ret_found)
{
    cq_auto(pgresult) struct pg_result *r = NULL;
    enum cq_status st = pg_run(db, sql, p, &r);

    *ret_found = st == CQ_OK && pg_rows(r) == 1 && pg_bytes(r, 0, 4).n == sizeof m->sha256;
    if (!*ret_found)
        return st;
    *m = (struct media){
        .id = pg_uuid(r, 0, 0),
        .type = (enum message_type)pg_i64(r, 0, 1),
        .content_type = arena_copy(c->arena, pg_bytes(r, 0, 2)),
        .name = arena_copy(c->arena, pg_bytes(r, 0, 3)),
        .size = pg_i64(r, 0, 5),
        .width = pg_i64(r, 0, 8),
        .height = pg_i64(r, 0, 9),
        .duration_ms = pg_i64(r, 0, 10),
        .is_now = pg_bool(r, 0, 11),
    };
    memcpy(m->sha256, pg_bytes(r, 0, 4).p, sizeof m->sha256);
    snprintf(m->key, sizeof m->key, "%.*s", SPAN_FMT(pg_bytes(r, 0, 6)));
    snprintf(m->thumbnail, sizeof m->thumbnail, "%.*s", SPAN_FMT(pg_bytes(r, 0, 7)));
    return CQ_OK;
}

enum cq_status media_read(struct call *c, struct pg *db, struct cq_id id, struct cq_id user,
                          struct media *ret, bool *ret_found)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, id);
    pg_add_uuid(&p, user);
    st = take_media(c, db, sql_media, &p, ret, ret_found);
    pg_params_release(&p);
    return st;
}

enum cq_status media_same(struct call *c, struct pg *db, const struct upload *u, struct media *ret,
                          bool *ret_found)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_bytea(&p, span_of(u->sha256, sizeof u->sha256));
    pg_add_i64(&p, u->size);
    pg_add_uuid(&p, u->user);
    st = take_media(c, db, sql_same, &p, ret, ret_found);
    pg_params_release(&p);
    return st;
}
