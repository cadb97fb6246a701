/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/users.c - other users, as far as the caller may know them: also those who wrote
 * what his new device shows and have left the group since. Anybody else is not found.
 */
#include "edge/rest/render/users.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"

#define USERS_MAX 100
#define USERS_MAX_TEXT "100"

static enum cq_status find_users(struct call *call, struct pg *db, const struct cq_id *ids,
                                 size_t n, struct pg_result **ret)
{
    return view_users_known(db, call->arena, call->request.who.user, ids, n, call->request.at_ms,
                            ret);
}

static enum call_next handle_user(struct call *call, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = find_users(call, db, &call->request.path_id[0], 1, &rows);
    struct user_profile found;

    if (st != CQ_OK)
        return call_database(call, st);
    if (!pg_rows(rows))
        return call_not_found(call);
    found = user_profile_at(rows, 0);
    buf_add_str(&call->reply.body, "{\"user\":");
    render_user(&call->reply.body, &found);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 200);
}

/* ---- several at once ------------------------------------------------------------------- */

struct users_ask {
    struct cq_id *ids;
    size_t n;
};

static const struct json_member users_rows[] = {
    JSON_MEMBER("userIds", JSON_IDS, struct users_ask, ids, .n_off = offsetof(struct users_ask, n),
                .least = 1, .most = USERS_MAX, .rule = "userIds: 1 to " USERS_MAX_TEXT " user ids"),
};
static const struct json_members users_body = JSON_MEMBERS(users_rows);

/* Who is named twice costs, and comes back, once. */
static enum call_next begin_users(struct call *call, struct pg *db, void *asked)
{
    const struct users_ask *ask = asked;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = find_users(call, db, ask->ids, id_distinct(ask->ids, ask->n), &rows);

    if (st != CQ_OK)
        return call_database(call, st);
    buf_add_str(&call->reply.body, "{\"users\":[");
    for (int i = 0; i < pg_rows(rows); i++) {
        struct user_profile found = user_profile_at(rows, i);

        if (i)
            buf_add_byte(&call->reply.body, ',');
        render_user(&call->reply.body, &found);
    }
    buf_add_str(&call->reply.body, "]}");
    return call_reply(call, 200);
}

/* A read: nothing enters the log. */
static const struct write users_write = {
    .asked_bytes = sizeof(struct users_ask),
    .body = &users_body,
    .begin = begin_users,
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "GET", "/api/users/{}", true, handle_user, "somebody whom one may know", 0, NULL },
    { "POST", "/api/users/lookup", true, write_run, "several of them", 0, &users_write },
};

const struct routes users_routes = { rows, ARRAY_LEN(rows) };
