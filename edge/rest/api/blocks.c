/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/blocks.c - other users are blocked, and not any more; whom one blocks.
 *
 * A block is an action in the direct chat of the two, whether anybody ever wrote there or not.
 */
#include "edge/rest/view/blocks.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/render/users.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/server/query.h"
#include "edge/rest/view/users.h"
#include "schemas/limits.h"
#include "schemas/names.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 200 };

static const char late[] = "stored, but not visible yet: read the list of blocked users later";

/* ---- blocking --------------------------------------------------------------------------- */

/* The user of the path: anybody else who is registered. */
static enum call_next admit_other(struct call *call, struct pg *db, void *asked)
{
    int64_t known = 0;
    enum cq_status st;

    (void)asked;
    if (id_eq(call->request.path_id[0], call->request.who.user))
        return call_bad_request(call, "userId: must be another user");
    st = view_count_users(db, &call->request.path_id[0], 1, &known);
    if (st != CQ_OK)
        return call_database(call, st);
    return known ? CALL_GO_ON : call_not_found(call);
}

static enum call_next submit(struct call *call, bool blocked)
{
    struct cq_id peer = call->request.path_id[0];
    struct chat_action *sent = call_submit_chat(call, chat_id_direct(call->request.who.user, peer),
                                                span_str(call->request.id));

    sent->has_peer = true;
    sent->peer = peer;
    sent->action.kind = CHAT_ACTION_BLOCK_SET;
    sent->action.u.block_set.blocked = blocked;
    return CALL_GO_ON;
}

static enum call_next begin_block(struct call *call, struct pg *db, void *asked)
{
    struct cq_id user = call->request.who.user;
    bool is_full = false;
    enum cq_status st =
        view_blocks_full(db, user, chat_id_direct(user, call->request.path_id[0]), &is_full);

    (void)asked;
    if (st != CQ_OK)
        return call_database(call, st);
    if (is_full)
        return call_error(call, 409, "too_many_blocks",
                          "userId: you block %d users, as many as one may; unblock one first",
                          LIMIT_BLOCKS);
    return submit(call, true);
}

static enum call_next begin_unblock(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    (void)asked;
    return submit(call, false);
}

static enum call_next done(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    (void)asked;
    return write_done(call, 200);
}

static const struct write block_write = {
    .admit = admit_other,
    .begin = begin_block,
    .result = done,
    .until = WRITE_SHOWN,
    .late = late,
};

static const struct write unblock_write = {
    .admit = admit_other,
    .begin = begin_unblock,
    .result = done,
    .until = WRITE_SHOWN,
    .late = late,
};

/* ---- the list --------------------------------------------------------------------------- */

static enum call_next handle_blocks(struct call *call, struct pg *db)
{
    struct cq_span after = call_param(call, "after");
    struct cq_id behind = { { 0 } };
    cq_auto(pgresult) struct pg_result *rows = NULL;
    int64_t limit = PAGE_DEFAULT;
    enum cq_status st;
    int n;

    if (!call_param_i64(call, "limit", &limit) || limit < 1 || limit > PAGE_MAX)
        return call_bad_request(call, "limit: 1 to %d", PAGE_MAX);
    if (after.n && !id_parse(after, &behind))
        return call_bad_request(call, "after: the last chatId of the page before");
    st = view_blocks(db, call->request.who.user, behind, limit + 1, &rows);
    if (st != CQ_OK)
        return call_database(call, st);
    n = pg_rows(rows) > limit ? (int)limit : pg_rows(rows);
    buf_add_str(&call->reply.body, "{\"blocks\":[");
    for (int i = 0; i < n; i++) {
        struct block_row row = block_at(rows, i);

        if (i)
            buf_add_byte(&call->reply.body, ',');
        render_block(&call->reply.body, &row);
    }
    buf_add_byte(&call->reply.body, ']');
    out_bool(&call->reply.body, "more", pg_rows(rows) > n);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 200);
}

/* ---- routes ----------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "PUT", "/api/users/{}/block", true, write_run, "nothing of a user reaches me any more", 0,
      &block_write },
    { "DELETE", "/api/users/{}/block", true, write_run, "it does again", 0, &unblock_write },
    { "GET", "/api/blocks", true, handle_blocks, "whom I block", 0, NULL },
};

const struct routes blocks_routes = { rows, ARRAY_LEN(rows) };
