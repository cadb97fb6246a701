/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/requests.c - who asks to be let into a group, and what is answered. The verdicts are processors/chat's.
 */
#include "edge/rest/view/requests.h"
#include "edge/rest/api/chats.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/view/invites.h"

struct request_ask {
    struct chat_view view;
};

/* For what is read of the view alone; a write is judged by its place in the log. */
static enum call_next admit_inviter(struct call *call, struct pg *db, void *asked)
{
    struct request_ask *ask = asked;
    enum call_next next = chat_admit(call, db, call->request.path_id[0], &ask->view);
    bool may = false;
    enum cq_status st;

    if (next != CALL_GO_ON)
        return next;
    if (!ask->view.is_group)
        return call_bad_request(
            call, "chatId: of a direct chat, which nobody asks to join; name a group");
    st = view_may_invite(db, ask->view.id, ask->view.role != MEMBER_ROLE_MEMBER, &may);
    if (st != CQ_OK)
        return call_database(call, st);
    return may ? CALL_GO_ON : write_rejected(call, span_str("forbidden"));
}

/* ---- lists ------------------------------------------------------------------------------- */

/* `key`: what the id of a row is. */
static enum call_next reply_rows(struct call *call, const struct pg_result *rows, const char *key)
{
    struct cq_buf *body = &call->reply.body;

    buf_add_str(body, "{\"requests\":[");
    for (int i = 0; i < pg_rows(rows); i++) {
        struct request_row row = request_at(rows, i);

        buf_add_str(body, i ? ",{" : "{");
        out_id(body, key, row.id);
        out_text(body, "name", row.name);
        out_id(body, "invitedBy", row.invited_by);
        out_i64(body, "at", row.at_ms);
        out_i64(body, "expiresAt", row.expires_ms);
        buf_add_byte(body, '}');
    }
    buf_add_str(body, "]}");
    return call_reply(call, 200);
}

static enum call_next handle_list(struct call *call, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct request_ask ask = { 0 };
    enum call_next next = admit_inviter(call, db, &ask);
    enum cq_status st;

    if (next != CALL_GO_ON)
        return next;
    st = view_requests(db, ask.view.id, &rows);
    return st == CQ_OK ? reply_rows(call, rows, "userId") : call_database(call, st);
}

static enum call_next handle_own(struct call *call, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = view_requests_of(db, call->request.who.user, &rows);

    return st == CQ_OK ? reply_rows(call, rows, "chatId") : call_database(call, st);
}

/* ---- answers ----------------------------------------------------------------------------- */

/* Who asks takes it back. */
static enum call_next admit_either(struct call *call, struct pg *db, void *asked)
{
    struct request_ask *ask = asked;

    if (!id_eq(call->request.path_id[1], call->request.who.user))
        return admit_inviter(call, db, asked);
    ask->view.id = call->request.path_id[0];
    return CALL_GO_ON;
}

static enum call_next begin_answer(struct call *call, struct pg *db, struct request_ask *ask,
                                   bool granted)
{
    struct cq_id user = call->request.path_id[1];
    bool is_open = false;
    struct chat_action *sent;
    enum cq_status st = view_request_open(db, ask->view.id, user, &is_open);

    if (st != CQ_OK)
        return call_database(call, st);
    if (!is_open)
        return call_not_found(call);
    sent =
        call_submit_chat(call, ask->view.id, arena_copy(call->arena, span_str(call->request.id)));
    sent->action.kind = CHAT_ACTION_REQUEST_ANSWERED;
    sent->action.u.request_answered = (struct request_answered){ user, granted };
    return CALL_GO_ON;
}

static enum call_next begin_grant(struct call *call, struct pg *db, void *asked)
{
    return begin_answer(call, db, asked, true);
}

static enum call_next begin_refuse(struct call *call, struct pg *db, void *asked)
{
    return begin_answer(call, db, asked, false);
}

/* It is open no more, whatever ended it. */
static enum call_next answer_result(struct call *call, struct pg *db, void *asked)
{
    const struct request_ask *ask = asked;
    bool is_open = false;
    enum cq_status st = view_request_open(db, ask->view.id, call->request.path_id[1], &is_open);

    if (st != CQ_OK)
        return call_database(call, st);
    return is_open ? CALL_GO_ON : write_done(call, 200);
}

static const char late[] = "stored, but not visible yet: read the requests again";

static const struct write grant_write = {
    .asked_bytes = sizeof(struct request_ask),
    .admit = admit_inviter,
    .begin = begin_grant,
    .result = answer_result,
    .until = WRITE_SHOWN,
    .late = late,
};

static const struct write refuse_write = {
    .asked_bytes = sizeof(struct request_ask),
    .admit = admit_either,
    .begin = begin_refuse,
    .result = answer_result,
    .until = WRITE_SHOWN,
    .late = late,
};

/* ---- routes ------------------------------------------------------------------------------ */

static const struct route rows[] = {
    { "GET", "/api/requests", true, handle_own, "which groups I ask to be let into", 0, NULL },
    { "GET", "/api/chats/{}/requests", true, handle_list, "who asks to be let into a group", 0,
      NULL },
    { "PUT", "/api/chats/{}/requests/{}", true, write_run, "let somebody in who asks", ROUTE_FANOUT,
      &grant_write },
    { "DELETE", "/api/chats/{}/requests/{}", true, write_run, "refuse, or take one's own back",
      ROUTE_FANOUT, &refuse_write },
};

const struct routes requests_routes = { rows, ARRAY_LEN(rows) };
