/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/invites.c - links by which others join a group. A link is the chat's id and a secret; the log has only a
 * hash of both. The verdicts are processors/chat's. Whoever has no link that holds gets the same answer, whatever there is.
 */
#include "edge/rest/view/invites.h"
#include "edge/auth/links.h"
#include "edge/rest/api/chats.h"
#include "edge/rest/api/conf.h"
#include "edge/rest/api/fields.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/view/requests.h"
#include "lib/base/count.h"
#include "lib/jwt/invite.h"
#include "schemas/names.h"

struct invite_ask {
    struct chat_view view;
    struct cq_span client_id;
    int64_t seconds;
    int32_t uses;
    bool approval;
    struct cq_id id; /* of the new link */
};

static enum call_next admit_member(struct call *call, struct pg *db, void *asked)
{
    struct invite_ask *ask = asked;
    enum call_next next = chat_admit(call, db, call->request.path_id[0], &ask->view);

    if (next == CALL_GO_ON && !ask->view.is_group)
        return call_bad_request(call, "chatId: of a direct chat, which has no links; name a group");
    return next;
}

/* For what is read of the view alone; a write is judged by its place in the log. */
static enum call_next admit_inviter(struct call *call, struct pg *db, struct invite_ask *ask)
{
    enum call_next next = admit_member(call, db, ask);
    bool may = false;
    enum cq_status st;

    if (next != CALL_GO_ON)
        return next;
    st = view_may_invite(db, ask->view.id, ask->view.role != MEMBER_ROLE_MEMBER, &may);
    if (st != CQ_OK)
        return call_database(call, st);
    return may ? CALL_GO_ON : write_rejected(call, span_str("forbidden"));
}

/* ---- shown ------------------------------------------------------------------------------- */

/* By the key that made it; none of them, when that one is given up: the link holds all the same. */
static void out_secret(struct call *call, struct cq_id chat, const struct invite_row *row)
{
    struct cq_id secret;

    for (int i = 0; invite_secret(call->conf->keys, i, chat, row->id, &secret); i++)
        if (id_eq(invite_hash(chat, secret), row->hash)) {
            out_id(&call->reply.body, "secret", secret);
            return;
        }
}

static void out_invite(struct call *call, struct cq_id chat, const struct invite_row *row)
{
    struct cq_buf *body = &call->reply.body;

    buf_add_byte(body, '{');
    out_id(body, "id", row->id);
    out_secret(call, chat, row);
    out_id(body, "by", row->by);
    out_i64(body, "at", row->at_ms);
    if (row->expires_ms)
        out_i64(body, "expiresAt", row->expires_ms);
    if (row->most)
        out_i64(body, "uses", row->most);
    out_i64(body, "used", row->used);
    out_bool(body, "approval", row->approval);
    buf_add_byte(body, '}');
}

static enum call_next handle_list(struct call *call, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct invite_ask ask = { 0 };
    enum call_next next = admit_inviter(call, db, &ask);
    enum cq_status st;

    if (next != CALL_GO_ON)
        return next;
    st = view_invites(db, ask.view.id, &rows);
    if (st != CQ_OK)
        return call_database(call, st);
    buf_add_str(&call->reply.body, "{\"invites\":[");
    for (int i = 0; i < pg_rows(rows); i++) {
        struct invite_row row = invite_at(rows, i);

        if (i)
            buf_add_byte(&call->reply.body, ',');
        out_invite(call, ask.view.id, &row);
    }
    buf_add_str(&call->reply.body, "]}");
    return call_reply(call, 200);
}

/* ---- made -------------------------------------------------------------------------------- */

#define CLIENT_ID_ROW                                                                  \
    JSON_MEMBER("clientId", JSON_TEXT, struct invite_ask, client_id, .optional = true, \
                .good = client_id_good, .rule = FIELD_CLIENT_ID_WORDS)

static const struct json_member make_rows[] = {
    CLIENT_ID_ROW,
    JSON_MEMBER("seconds", JSON_NUMBER, struct invite_ask, seconds, .optional = true, .least = 1,
                .most = LIMIT_INVITE_ASKED_SECONDS_MAX,
                .rule = "seconds: 1 to 31536000 (a year), or left out: for good"),
    JSON_MEMBER("uses", JSON_INT, struct invite_ask, uses, .optional = true, .least = 1,
                .most = LIMIT_INVITE_ASKED_USES_MAX,
                .rule = "uses: 1 to 1024, or left out: any number"),
    JSON_MEMBER("approval", JSON_BOOL, struct invite_ask, approval, .optional = true,
                .rule = "approval: true, false, or left out: false"),
};
static const struct json_members make_body = JSON_MEMBERS(make_rows);

static enum call_next parse_client_id(struct call *call, void *asked)
{
    struct invite_ask *ask = asked;

    if (!ask->client_id.n)
        ask->client_id = arena_copy(call->arena, span_str(call->request.id));
    return ask->client_id.p ? CALL_GO_ON : call_internal(call);
}

static enum call_next make_result(struct call *call, struct pg *db, void *asked)
{
    const struct invite_ask *ask = asked;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct invite_row row;
    enum cq_status st =
        view_invite_of(db, ask->view.id, call->request.who.user, ask->client_id, &rows);

    if (st != CQ_OK)
        return call_database(call, st);
    if (pg_rows(rows) != 1)
        return CALL_GO_ON;
    row = invite_at(rows, 0);
    if (row.most != ask->uses || row.approval != ask->approval)
        return write_rejected(call, span_str("conflict"));
    buf_clear(&call->reply.body);
    buf_add_str(&call->reply.body, "{\"invite\":");
    out_invite(call, ask->view.id, &row);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 201);
}

static enum call_next begin_make(struct call *call, struct pg *db, void *asked)
{
    struct invite_ask *ask = asked;
    enum call_next next = make_result(call, db, asked); /* the same clientId again */
    struct chat_action *sent;
    struct cq_id secret;

    if (next != CALL_GO_ON)
        return next;
    ask->id = id_random();
    if (!invite_secret(call->conf->keys, 0, ask->view.id, ask->id, &secret))
        return call_internal(call);
    sent = chat_submit(call, &ask->view, ask->client_id);
    sent->action.kind = CHAT_ACTION_INVITE_ASKED;
    sent->action.u.invite_asked = (struct invite_asked){ .invite_id = ask->id,
                                                         .hash = invite_hash(ask->view.id, secret),
                                                         .seconds = ask->seconds,
                                                         .uses = ask->uses,
                                                         .approval = ask->approval };
    return CALL_GO_ON;
}

static const struct write make_write = {
    .asked_bytes = sizeof(struct invite_ask),
    .admit = admit_member,
    .body = &make_body,
    .parse = parse_client_id,
    .begin = begin_make,
    .result = make_result,
    .until = WRITE_FOUND,
    .late = "stored, but not visible yet: ask again with the same clientId",
};

/* ---- revoked ----------------------------------------------------------------------------- */

static enum call_next end_result(struct call *call, struct pg *db, void *asked)
{
    const struct invite_ask *ask = asked;
    bool is_there = false, is_ended = false;
    enum cq_status st =
        view_invite_ended(db, ask->view.id, call->request.path_id[1], &is_there, &is_ended);

    if (st != CQ_OK)
        return call_database(call, st);
    if (!is_there)
        return call_not_found(call);
    return is_ended ? write_done(call, 200) : CALL_GO_ON;
}

static enum call_next begin_end(struct call *call, struct pg *db, void *asked)
{
    const struct invite_ask *ask = asked;
    enum call_next next = end_result(call, db, asked);
    struct chat_action *sent;

    if (next != CALL_GO_ON)
        return next;
    sent = chat_submit(call, &ask->view, span_str(call->request.id));
    sent->action.kind = CHAT_ACTION_INVITE_WITHDRAWN;
    sent->action.u.invite_withdrawn.invite_id = call->request.path_id[1];
    return CALL_GO_ON;
}

static enum call_next admit_revoker(struct call *call, struct pg *db, void *asked)
{
    return admit_inviter(call, db, asked);
}

static const struct write end_write = {
    .asked_bytes = sizeof(struct invite_ask),
    .admit = admit_revoker,
    .begin = begin_end,
    .result = end_result,
    .until = WRITE_FOUND,
    .late = "stored, but not visible yet: ask again later",
};

/* ---- looked at, and used ----------------------------------------------------------------- */

/* One answer for all that is no link, or holds no more. Beyond its budget an address is told to wait. */
static enum call_next no_invite(struct call *call, struct pg *db)
{
    int64_t wait_ms = 0;
    enum cq_status st =
        link_missed(db, &call->conf->limits, call->request.address, call->request.at_ms, &wait_ms);

    if (st != CQ_OK)
        return call_database(call, st);
    if (!wait_ms)
        return call_not_found(call);
    count_add(COUNT_LINK_GUESSES_REFUSED, 1);
    return call_limited(call, wait_ms,
                        "too many codes of no link: ask again after Retry-After seconds");
}

static struct cq_id hash_of_path(const struct call *call)
{
    return invite_hash(call->request.path_id[0], call->request.path_id[1]);
}

static enum call_next handle_look(struct call *call, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_buf *body = &call->reply.body;
    struct invited_row row;
    enum cq_status st = view_invited(db, call->request.path_id[0], hash_of_path(call),
                                     call->request.who.user, &rows);

    if (st != CQ_OK)
        return call_database(call, st);
    if (pg_rows(rows) != 1)
        return no_invite(call, db);
    row = invited_at(rows, 0);
    buf_add_str(body, "{\"invite\":{");
    out_id(body, "chatId", call->request.path_id[0]);
    out_text(body, "name", row.name);
    out_i64(body, "members", row.members);
    out_bool(body, "approval", row.approval);
    out_bool(body, "member", row.is_member);
    buf_add_str(body, "}}");
    return call_reply(call, 200);
}

static const struct json_member join_rows[] = { CLIENT_ID_ROW };
static const struct json_members join_body = JSON_MEMBERS(join_rows);

/* CALL_GO_ON: the caller may ask one group more. */
static enum call_next bound_requests(struct call *call, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *requests = NULL;
    enum cq_status st = view_requests_of(db, call->request.who.user, &requests);

    if (st != CQ_OK)
        return call_database(call, st);
    return pg_rows(requests) < LIMIT_REQUESTS_USER
               ? CALL_GO_ON
               : call_error(
                     call, 409, "too_many_requests",
                     "chatId: you ask %d groups to let you in, as many as one may; take one back first",
                     LIMIT_REQUESTS_USER);
}

/* What never was a link does not enter the log. */
static enum call_next begin_join(struct call *call, struct pg *db, void *asked)
{
    const struct invite_ask *ask = asked;
    struct cq_id chat = call->request.path_id[0], hash = hash_of_path(call);
    bool is_known = false, is_full = false;
    struct chat_action *sent;
    enum call_next next;
    enum cq_status st = view_invite_known(db, chat, hash, &is_known);

    if (st == CQ_OK && is_known)
        st = view_groups_full(db, call->request.who.user, &is_full);
    if (st != CQ_OK)
        return call_database(call, st);
    if (!is_known)
        return no_invite(call, db);
    if (is_full)
        return call_error(call, 409, "too_many_groups",
                          "chatId: you are in %d groups, as many as one may join; leave one first",
                          LIMIT_GROUPS);
    next = bound_requests(call, db);
    if (next != CALL_GO_ON)
        return next;
    sent = call_submit_chat(call, chat, ask->client_id);
    sent->action.kind = CHAT_ACTION_INVITE_USED;
    sent->action.u.invite_used.hash = hash;
    return CALL_GO_ON;
}

/* In, or asked to be let in. */
static enum call_next join_result(struct call *call, struct pg *db, void *asked)
{
    const int64_t shown = SHOWN_PRESENT;
    bool is_shown = false, is_pending = false;
    enum cq_status st = view_members_shown(db, call->request.path_id[0], &call->request.who.user,
                                           &shown, 1, write_seq(call), &is_shown);

    (void)asked;
    if (st == CQ_OK && !is_shown)
        st = view_request_open(db, call->request.path_id[0], call->request.who.user, &is_pending);
    if (st != CQ_OK)
        return call_database(call, st);
    if (!is_shown && !is_pending)
        return CALL_GO_ON;
    buf_clear(&call->reply.body);
    buf_add_str(&call->reply.body, is_shown ? "{\"pending\":false}" : "{\"pending\":true}");
    return call_reply(call, is_shown ? 200 : 202);
}

static const struct write join_write = {
    .asked_bytes = sizeof(struct invite_ask),
    .body = &join_body,
    .parse = parse_client_id,
    .begin = begin_join,
    .result = join_result,
    .until = WRITE_SHOWN,
    .late = "stored, but not visible yet: ask again with the same clientId",
};

/* ---- routes ------------------------------------------------------------------------------ */

static const struct route rows[] = {
    { "GET", "/api/chats/{}/invites", true, handle_list, "links by which others join a group", 0,
      NULL },
    { "POST", "/api/chats/{}/invites", true, write_run, "make a link", 0, &make_write },
    { "DELETE", "/api/chats/{}/invites/{}", true, write_run, "revoke a link", 0, &end_write },
    { "GET", "/api/invites/{}/{}", true, handle_look, "to which group a link leads", 0, NULL },
    { "POST", "/api/invites/{}/{}", true, write_run, "join by a link", ROUTE_FANOUT, &join_write },
};

const struct routes invites_routes = { rows, ARRAY_LEN(rows) };
