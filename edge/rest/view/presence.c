/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/presence.h"

#include "edge/rest/view/users.h"
#include "schemas/names.h"

enum { PARAMS_BYTES = 256 };

/* $1 whose, $2 the direct chat with the reader, $3 its part, $4 the reader. Neither may block the other. */
static const char sql_shown[] =
    "SELECT view.audience($1, 0::int2), view.audience($4, 0::int2), "
    "view.has_written($3::int2, $2, $1), EXISTS (SELECT 1 FROM view.blocks b "
    "WHERE b.user_id IN ($1, $4) AND b.chat_id = $2 AND b.blocked)";

static const char sql_seen[] =
    "SELECT max(greatest(d.created_at, (SELECT max(t.created_at) FROM auth.refresh_tokens t "
    "WHERE t.device_id = d.device_id))) FROM auth.devices d WHERE d.user_id = $1 "
    "AND d.revoked_at IS NULL";

/* Whether he is one whom the reader may know at all. */
static enum cq_status is_known(struct pg *db, struct cq_arena *arena,
                               const struct presence_ask *ask, bool *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = view_users_known(db, arena, ask->reader, &ask->user, 1, ask->now_ms, &rows);

    *ret = st == CQ_OK && pg_rows(rows);
    return st;
}

enum cq_status view_presence_shown(struct pg *db, struct cq_arena *arena,
                                   const struct presence_ask *ask, bool *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_id chat = chat_id_direct(ask->user, ask->reader);
    struct pg_params params;
    enum cq_status st;

    *ret = false;
    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, ask->user);
    pg_add_uuid(&params, chat);
    pg_add_i32(&params, id_part(chat));
    pg_add_uuid(&params, ask->reader);
    st = pg_run_once(db, sql_shown, &params, &rows);
    if (st != CQ_OK || pg_i64(rows, 0, 1) == AUDIENCE_NOBODY || pg_bool(rows, 0, 3))
        return st; /* who hides his own does not see that of others */
    switch ((enum audience)pg_i64(rows, 0, 0)) {
    case AUDIENCE_EVERYONE:
        return is_known(db, arena, ask, ret);
    case AUDIENCE_CONTACTS:
        *ret = pg_bool(rows, 0, 2);
        break;
    case AUDIENCE_NOBODY:
    case AUDIENCE_N:
        break;
    }
    return CQ_OK;
}

enum cq_status view_seen_at(struct pg *db, struct cq_id user, int64_t *ret_ms)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    st = pg_run_once(db, sql_seen, &params, &rows);
    if (st == CQ_OK)
        *ret_ms = pg_rows(rows) ? pg_i64(rows, 0, 0) : 0;
    return st;
}
