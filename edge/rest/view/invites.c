/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/invites.h"

#include "schemas/limits.h"

enum { PARAMS_BYTES = 512 };

/* $1 the chat's part, $2 chat */
static void add_chat(struct pg_params *params, struct cq_id chat)
{
    pg_params_init(params, PARAMS_BYTES);
    pg_add_i32(params, id_part(chat));
    pg_add_uuid(params, chat);
}

static const char sql_may[] =
    "SELECT 1 FROM view.chats c WHERE c.part = $1 AND c.chat_id = $2 AND c.add_by = 0";

enum cq_status view_may_invite(struct pg *db, struct cq_id chat, bool is_admin, bool *ret)
{
    struct pg_params params;

    *ret = is_admin;
    if (is_admin)
        return CQ_OK;
    add_chat(&params, chat);
    return pg_found(db, sql_may, &params, ret);
}

/* ---- the list ---------------------------------------------------------------------------- */

#define INVITES                                                                        \
    "SELECT i.invite_id, i.hash, i.by_user, i.made_at, i.expires_at, i.most, i.used, " \
    "i.approval <> 0 FROM view.invites i WHERE i.part = $1 AND i.chat_id = $2 AND i.ended_seq = 0 "

/* Not over by time or number. */
#define HOLDS \
    "(i.expires_at = 0 OR i.expires_at > view.now_ms()) AND (i.most = 0 OR i.used < i.most) "

static const char sql_list[] = INVITES "AND " HOLDS "ORDER BY i.made_seq DESC LIMIT $3";

static const char sql_mine[] =
    INVITES "AND i.by_user = $3 AND i.client_id = $4 ORDER BY i.made_seq DESC LIMIT 1";

enum cq_status view_invites(struct pg *db, struct cq_id chat, struct pg_result **ret)
{
    struct pg_params params;

    add_chat(&params, chat);
    pg_add_i64(&params, LIMIT_INVITES);
    return pg_run_once(db, sql_list, &params, ret);
}

enum cq_status view_invite_of(struct pg *db, struct cq_id chat, struct cq_id user,
                              struct cq_span client_id, struct pg_result **ret)
{
    struct pg_params params;

    add_chat(&params, chat);
    pg_add_uuid(&params, user);
    pg_add_text(&params, client_id);
    return pg_run_once(db, sql_mine, &params, ret);
}

struct invite_row invite_at(const struct pg_result *rows, int i)
{
    return (struct invite_row){
        .id = pg_uuid(rows, i, 0),
        .hash = pg_uuid(rows, i, 1),
        .by = pg_uuid(rows, i, 2),
        .at_ms = pg_i64(rows, i, 3),
        .expires_ms = pg_i64(rows, i, 4),
        .most = pg_i64(rows, i, 5),
        .used = pg_i64(rows, i, 6),
        .approval = pg_bool(rows, i, 7),
    };
}

/* ---- one --------------------------------------------------------------------------------- */

static const char sql_ended[] = "SELECT i.ended_seq <> 0 FROM view.invites i WHERE i.part = $1 AND "
                                "i.chat_id = $2 AND i.invite_id = $3";

enum cq_status view_invite_ended(struct pg *db, struct cq_id chat, struct cq_id invite,
                                 bool *ret_there, bool *ret_ended)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params params;
    enum cq_status st;

    add_chat(&params, chat);
    pg_add_uuid(&params, invite);
    st = pg_run_once(db, sql_ended, &params, &rows);
    if (st != CQ_OK)
        return st;
    *ret_there = pg_rows(rows) == 1;
    *ret_ended = *ret_there && pg_bool(rows, 0, 0);
    return CQ_OK;
}

static const char sql_known[] =
    "SELECT 1 FROM view.invites i WHERE i.part = $1 AND i.chat_id = $2 AND i.hash = $3 LIMIT 1";

enum cq_status view_invite_known(struct pg *db, struct cq_id chat, struct cq_id hash, bool *ret)
{
    struct pg_params params;

    add_chat(&params, chat);
    pg_add_uuid(&params, hash);
    return pg_found(db, sql_known, &params, ret);
}

static const char sql_invited[] =
    "SELECT c.name, (SELECT count(*) FROM view.members m WHERE m.part = i.part "
    "AND m.chat_id = i.chat_id AND m.left_seq IS NULL), i.approval <> 0, "
    "EXISTS (SELECT 1 FROM view.members m WHERE m.part = i.part AND m.chat_id = i.chat_id "
    "AND m.user_id = $4 AND m.left_seq IS NULL) "
    "FROM view.invites i JOIN view.chats c USING (part, chat_id) "
    "WHERE i.part = $1 AND i.chat_id = $2 AND i.hash = $3 AND i.ended_seq = 0 AND " HOLDS "LIMIT 1";

enum cq_status view_invited(struct pg *db, struct cq_id chat, struct cq_id hash, struct cq_id user,
                            struct pg_result **ret)
{
    struct pg_params params;

    add_chat(&params, chat);
    pg_add_uuid(&params, hash);
    pg_add_uuid(&params, user);
    return pg_run_once(db, sql_invited, &params, ret);
}

struct invited_row invited_at(const struct pg_result *rows, int i)
{
    return (struct invited_row){ pg_bytes(rows, i, 0), pg_i64(rows, i, 1), pg_bool(rows, i, 2),
                                 pg_bool(rows, i, 3) };
}

/* A stay in a direct chat is from 0 on, unless its user blocked the other and took it back. */
static const char sql_full[] =
    "SELECT 1 FROM (SELECT count(*) AS n FROM (SELECT 1 FROM view.members m WHERE m.user_id = $1 "
    "AND m.left_seq IS NULL AND m.joined_seq <> 0 LIMIT $2) l) k WHERE k.n >= $2";

enum cq_status view_groups_full(struct pg *db, struct cq_id user, bool *ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, LIMIT_GROUPS);
    return pg_found(db, sql_full, &params, ret);
}
