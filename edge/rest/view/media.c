/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/media.h"

#include "edge/rest/view/users.h"

#include <stdio.h>

/* Where the reader may read it is asked once. */
#define MEDIA_COLUMNS(reader)                                                      \
    "SELECT d.media_id, d.type, d.content_type, d.name, d.sha256, d.size, d.key, " \
    "coalesce(f.thumbnail_key, ''), coalesce(f.width, 0), coalesce(f.height, 0), " \
    "coalesce(f.duration_ms, 0), coalesce(s.now, false), "                         \
    "view.media_gone(d.media_id, d.owner_id) "                                     \
    "FROM view.media d LEFT JOIN view.media_found f USING (media_id) "             \
    "CROSS JOIN LATERAL (SELECT view.file_shown(d.media_id, " reader ") AS now OFFSET 0) s "

static const char sql_media[] = MEDIA_COLUMNS("$2") "WHERE d.media_id = $1 AND s.now IS NOT NULL";

/* By a query of its own, once: what it costs must not depend on files of others. */
static const char sql_same[] =
    MEDIA_COLUMNS("$3") "WHERE d.media_id = (SELECT view.same_file($1, $2, $3))";

static enum cq_status take_media(struct pg *db, struct cq_arena *arena, const char *sql,
                                 struct pg_params *params, struct media *media, bool *ret_found)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = pg_run_once(db, sql, params, &rows);

    *ret_found =
        st == CQ_OK && pg_rows(rows) == 1 && pg_bytes(rows, 0, 4).n == sizeof media->sha256;
    if (!*ret_found)
        return st;
    *media = (struct media){
        .id = pg_uuid(rows, 0, 0),
        .type = (enum message_type)pg_i64(rows, 0, 1),
        .content_type = arena_copy(arena, pg_bytes(rows, 0, 2)),
        .name = arena_copy(arena, pg_bytes(rows, 0, 3)),
        .size = pg_i64(rows, 0, 5),
        .width = pg_i64(rows, 0, 8),
        .height = pg_i64(rows, 0, 9),
        .duration_ms = pg_i64(rows, 0, 10),
        .is_now = pg_bool(rows, 0, 11),
        .is_gone = pg_bool(rows, 0, 12),
    };
    memcpy(media->sha256, pg_bytes(rows, 0, 4).p, sizeof media->sha256);
    snprintf(media->key, sizeof media->key, "%.*s", SPAN_FMT(pg_bytes(rows, 0, 6)));
    snprintf(media->thumbnail, sizeof media->thumbnail, "%.*s", SPAN_FMT(pg_bytes(rows, 0, 7)));
    return CQ_OK;
}

static enum cq_status read_shown(struct pg *db, struct cq_arena *arena, struct cq_id id,
                                 struct cq_id user, struct media *ret, bool *ret_found)
{
    struct pg_params params;

    pg_params_init(&params, 256);
    pg_add_uuid(&params, id);
    pg_add_uuid(&params, user);
    return take_media(db, arena, sql_media, &params, ret, ret_found);
}

/* Whose picture it is now, if anybody's. */
static enum cq_status find_pictured(struct pg *db, struct cq_id id, struct cq_id *ret,
                                    bool *ret_found)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, 64);
    pg_add_uuid(&params, id);
    st = pg_run_once(db,
                     "SELECT d.owner_id FROM view.media d WHERE d.media_id = $1 "
                     "AND view.picture_of(d.owner_id) = d.media_id",
                     &params, &rows);
    *ret_found = st == CQ_OK && pg_rows(rows) == 1;
    if (*ret_found)
        *ret = pg_uuid(rows, 0, 0);
    return st;
}

/* Who owns it, if a group that the reader is in shows it as its picture. */
static enum cq_status find_group_picture(struct pg *db, struct cq_id id, struct cq_id reader,
                                         struct cq_id *ret, bool *ret_found)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, 64);
    pg_add_uuid(&params, id);
    pg_add_uuid(&params, reader);
    st = pg_run_once(db,
                     "SELECT d.owner_id FROM view.media d WHERE d.media_id = $1 AND d.type = 1 "
                     "AND NOT view.media_gone(d.media_id, d.owner_id) "
                     "AND view.is_picture_for(d.media_id, d.owner_id, $2)",
                     &params, &rows);
    *ret_found = st == CQ_OK && pg_rows(rows) == 1;
    if (*ret_found)
        *ret = pg_uuid(rows, 0, 0);
    return st;
}

/* Whose picture it is, if its owner, or a group of both, shows it to this reader. */
static enum cq_status find_shown_picture(struct pg *db, struct cq_arena *arena, struct cq_id id,
                                         struct cq_id user, int64_t now_ms, struct cq_id *ret,
                                         bool *ret_found)
{
    cq_auto(pgresult) struct pg_result *known = NULL;
    enum cq_status st = find_pictured(db, id, ret, ret_found);

    if (st == CQ_OK && *ret_found)
        st = view_users_known(db, arena, user, ret, 1, now_ms, &known);
    if (st != CQ_OK)
        return st;
    *ret_found = *ret_found && pg_rows(known) && id_eq(user_profile_at(known, 0).picture, id);
    return *ret_found ? CQ_OK : find_group_picture(db, id, user, ret, ret_found);
}

enum cq_status media_read(struct pg *db, struct cq_arena *arena, struct cq_id id, struct cq_id user,
                          int64_t now_ms, struct media *ret, bool *ret_found)
{
    bool is_picture = false;
    struct cq_id owner;
    enum cq_status st = read_shown(db, arena, id, user, ret, ret_found);

    if (st != CQ_OK || (*ret_found && ret->is_now))
        return st;
    st = find_shown_picture(db, arena, id, user, now_ms, &owner, &is_picture);
    if (st != CQ_OK || !is_picture)
        return st;
    return read_shown(db, arena, id, owner, ret, ret_found); /* as its owner has it */
}

enum cq_status media_same(struct pg *db, struct cq_arena *arena, struct cq_id user,
                          const uint8_t sha256[32], int64_t size, struct media *ret,
                          bool *ret_found)
{
    struct pg_params params;

    pg_params_init(&params, 256);
    pg_add_bytea(&params, span_of(sha256, 32));
    pg_add_i64(&params, size);
    pg_add_uuid(&params, user);
    return take_media(db, arena, sql_same, &params, ret, ret_found);
}

_Static_assert(MESSAGE_TYPE_IMAGE == 1, "the view says it by its number");

enum cq_status media_is_own_image(struct pg *db, struct cq_id media, struct cq_id user, bool *ret)
{
    struct pg_params params;

    pg_params_init(&params, 256);
    pg_add_uuid(&params, media);
    pg_add_uuid(&params, user);
    return pg_found(db,
                    "SELECT 1 FROM view.media WHERE media_id = $1 AND owner_id = $2 AND type = 1 "
                    "AND NOT view.media_gone(media_id, owner_id)",
                    &params, ret);
}

enum cq_status media_own(struct pg *db, struct cq_id media, struct cq_id user,
                         struct media_own *ret, bool *ret_found)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, 256);
    pg_add_uuid(&params, media);
    pg_add_uuid(&params, user);
    st = pg_run_once(db,
                     "SELECT chat_id, key, view.media_gone(media_id, owner_id) FROM view.media "
                     "WHERE media_id = $1 AND owner_id = $2",
                     &params, &rows);
    *ret_found = st == CQ_OK && pg_rows(rows) == 1;
    if (!*ret_found)
        return st;
    ret->chat = pg_uuid(rows, 0, 0);
    snprintf(ret->key, sizeof ret->key, "%.*s", SPAN_FMT(pg_bytes(rows, 0, 1)));
    ret->is_gone = pg_bool(rows, 0, 2);
    return CQ_OK;
}
