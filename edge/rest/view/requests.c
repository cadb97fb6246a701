/* SPDX-License-Identifier: MIT */
#include "edge/rest/view/requests.h"

#include "schemas/limits.h"

enum { PARAMS_BYTES = 256 };

static const char sql_of_chat[] =
    "SELECT r.user_id, coalesce(u.name, ''), r.at_ms, r.expires_at, r.invited_by "
    "FROM view.requests r LEFT JOIN view.users u USING (user_id) WHERE r.part = $1 "
    "AND r.chat_id = $2 AND " VIEW_REQUEST_OPEN("r") " ORDER BY r.seq LIMIT $3";

enum cq_status view_requests(struct pg *db, struct cq_id chat, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i32(&params, id_part(chat));
    pg_add_uuid(&params, chat);
    pg_add_i64(&params, LIMIT_REQUESTS);
    return pg_run_once(db, sql_of_chat, &params, ret);
}

static const char sql_of_user[] =
    "SELECT r.chat_id, c.name, r.at_ms, r.expires_at, r.invited_by FROM view.requests r "
    "JOIN view.chats c USING (part, chat_id) WHERE r.user_id = $1 AND " VIEW_REQUEST_OPEN(
        "r") " ORDER BY r.at_ms DESC LIMIT $2";

enum cq_status view_requests_of(struct pg *db, struct cq_id user, struct pg_result **ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_uuid(&params, user);
    pg_add_i64(&params, LIMIT_REQUESTS);
    return pg_run_once(db, sql_of_user, &params, ret);
}

struct request_row request_at(const struct pg_result *rows, int i)
{
    return (struct request_row){ pg_uuid(rows, i, 0), pg_bytes(rows, i, 1), pg_i64(rows, i, 2),
                                 pg_i64(rows, i, 3), pg_uuid(rows, i, 4) };
}

static const char sql_open[] = "SELECT 1 FROM view.requests r WHERE r.part = $1 AND r.chat_id = $2 "
                               "AND r.user_id = $3 AND " VIEW_REQUEST_OPEN("r");

enum cq_status view_request_open(struct pg *db, struct cq_id chat, struct cq_id user, bool *ret)
{
    struct pg_params params;

    pg_params_init(&params, PARAMS_BYTES);
    pg_add_i32(&params, id_part(chat));
    pg_add_uuid(&params, chat);
    pg_add_uuid(&params, user);
    return pg_found(db, sql_open, &params, ret);
}
