/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/chats.c - chats: open, make, list, show.
 */
#include "edge/rest/api/chats.h"
#include "edge/rest/api/chat_pages.h"
#include "edge/rest/api/fields.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/render/chats.h"
#include "edge/rest/server/query.h"
#include "edge/rest/view/marks.h"
#include "edge/rest/view/users.h"
#include "ingest/validate.h"
#include "schemas/limits.h"
#include "schemas/names.h"

#include <stdio.h>

/* ---- one chat ------------------------------------------------------------------------- */

enum call_next chat_admit_reader(struct call *call, struct pg *db, struct cq_id chat,
                                 struct chat_view *ret)
{
    bool there = false;
    enum cq_status st = view_chat(db, chat, call->request.who.user, ret, &there);

    if (st != CQ_OK)
        return call_database(call, st);
    return there ? CALL_GO_ON : call_not_found(call);
}

enum call_next chat_admit(struct call *call, struct pg *db, struct cq_id chat,
                          struct chat_view *ret)
{
    enum call_next next = chat_admit_reader(call, db, chat, ret);

    if (next != CALL_GO_ON)
        return next;
    if (ret->blocked)
        return call_error(call, 403, "forbidden",
                          "you have blocked the other user of this chat: unblock first");
    return ret->present ? CALL_GO_ON : call_not_found(call);
}

struct chat_action *chat_submit(struct call *call, const struct chat_view *chat,
                                struct cq_span client_id)
{
    struct chat_action *sent = call_submit_chat(call, chat->id, client_id);

    sent->has_peer = !chat->is_group;
    sent->peer = chat->peer;
    return sent;
}

static enum call_next reply_chat(struct call *call, struct pg *db, struct cq_id chat, int status)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    cq_auto(pgresult) struct pg_result *members_rows = NULL;
    struct member_row *members = NULL;
    struct chat_row row;
    int n = 0;
    enum cq_status st = view_chat_row(db, call->request.who.user, chat, &rows);

    if (st != CQ_OK)
        return call_database(call, st);
    if (!pg_rows(rows))
        return call_not_found(call);
    row = chat_at(rows, 0);
    if (row.present || !row.is_group) {
        st = view_chat_members(db, chat, &members_rows);
        if (st != CQ_OK)
            return call_database(call, st);
        n = pg_rows(members_rows);
        members = ARENA_ARRAY(call->arena, struct member_row, (size_t)n + 1);
        if (!members)
            return call_internal(call);
        for (int i = 0; i < n; i++)
            members[i] = member_at(members_rows, i);
    }
    buf_clear(&call->reply.body);
    buf_add_str(&call->reply.body, "{\"chat\":");
    render_chat(&call->reply.body, &row, members, (size_t)n, call->request.at_ms);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, status);
}

static enum call_next reply_unopened(struct call *call, struct pg *db, struct cq_id chat,
                                     struct cq_id peer)
{
    struct opened_row row = { .chat = chat, .peer = peer };
    enum cq_status st = view_user_name(db, call->arena, peer, &row.name);

    if (st == CQ_OK)
        st = view_marks(db, call->arena, call->request.who.user, chat, &row.marks);
    if (st != CQ_OK)
        return call_database(call, st);
    buf_clear(&call->reply.body);
    buf_add_str(&call->reply.body, "{\"chat\":");
    render_opened(&call->reply.body, &row);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 200);
}

static enum call_next open_direct(struct call *call, struct pg *db, struct cq_id peer)
{
    struct cq_id chat = chat_id_direct(call->request.who.user, peer);
    struct chat_view view;
    int64_t known = 0;
    bool there = false;
    enum cq_status st = view_count_users(db, &peer, 1, &known);

    if (st == CQ_OK && !known)
        return call_not_found(call);
    if (st == CQ_OK)
        st = view_chat(db, chat, call->request.who.user, &view, &there);
    if (st == CQ_OK && !there)
        st = view_pair_opened(db, chat, call->request.who.user, peer, call->request.at_ms);
    if (st != CQ_OK)
        return call_database(call, st);
    return there && view.has_row ? reply_chat(call, db, chat, 200)
                                 : reply_unopened(call, db, chat, peer);
}

/* ---- making --------------------------------------------------------------------------- */

struct chat_ask {
    struct cq_id peer; /* of a direct chat */
    bool is_direct;
    struct cq_id chat; /* a group, and all below */
    struct cq_span name, client_id;
    bool has_client_id;
    struct cq_id *members;
    size_t members_n;
};

static const char either_rule[] = "give userId for a direct chat, or name and members for a group";
static const char members_rule[] = "members: up to " LIMIT_GROUP_CREATED_MEMBERS_TEXT " user ids";

static const struct json_member direct_rows[] = {
    JSON_MEMBER("userId", JSON_ID, struct chat_ask, peer,
                .has_off = JSON_HAS(struct chat_ask, is_direct), .rule = either_rule),
};
static const struct json_members direct_body = JSON_MEMBERS(direct_rows);

/* The list may name the caller, too: he is left out of it. */
static const struct json_member group_rows[] = {
    JSON_MEMBER("name", JSON_TEXT, struct chat_ask, name, .rule = either_rule),
    JSON_OPTIONAL("clientId", JSON_TEXT, struct chat_ask, client_id, has_client_id,
                  .good = client_id_good, .rule = FIELD_CLIENT_ID_WORDS),
    JSON_MEMBER("members", JSON_IDS, struct chat_ask, members, .optional = true,
                .n_off = offsetof(struct chat_ask, members_n), .most = LIMIT_GROUP_MEMBERS,
                .rule = members_rule),
};
static const struct json_members group_body = JSON_MEMBERS(group_rows);

/* Leave out repetitions, and `self`. */
static void keep_others(struct chat_ask *ask, struct cq_id self)
{
    size_t n = id_distinct(ask->members, ask->members_n);

    ask->members_n = 0;
    for (size_t i = 0; i < n; i++)
        if (!id_eq(ask->members[i], self))
            ask->members[ask->members_n++] = ask->members[i];
}

static enum call_next parse_chat(struct call *call, void *asked)
{
    struct chat_ask *ask = asked;

    if (ask->is_direct)
        return id_eq(ask->peer, call->request.who.user)
                   ? call_bad_request(call, "userId: must be another user")
                   : CALL_GO_ON;
    if (!display_name_good(ask->name))
        return call_bad_request(call, FIELD_NAME_WORDS);
    keep_others(ask, call->request.who.user);
    if (ask->members_n > LIMIT_GROUP_CREATED_MEMBERS)
        return call_bad_request(call, "%s", members_rule);
    if (!ask->has_client_id)
        ask->client_id = arena_copy(call->arena, span_str(call->request.id));
    ask->chat = chat_id_group(call->request.who.user, ask->client_id);
    return CALL_GO_ON;
}

/* The group, when the view has it. */
static enum call_next reply_group(struct call *call, struct pg *db, const struct chat_ask *ask,
                                  int status)
{
    struct chat_view view;
    bool there = false;
    enum cq_status st = view_chat(db, ask->chat, call->request.who.user, &view, &there);

    if (st != CQ_OK)
        return call_database(call, st);
    return there ? reply_chat(call, db, ask->chat, status) : CALL_GO_ON;
}

static enum call_next begin_chat(struct call *call, struct pg *db, void *asked)
{
    const struct chat_ask *ask = asked;
    struct chat_action *sent;
    enum call_next next;
    int64_t known = 0;
    enum cq_status st;

    if (ask->is_direct) /* the log has nothing of it before the first message */
        return open_direct(call, db, ask->peer);
    st = view_count_users(db, ask->members, ask->members_n, &known);
    if (st != CQ_OK)
        return call_database(call, st);
    if (known != (int64_t)ask->members_n)
        return call_not_found(call);
    next = reply_group(call, db, ask, 200); /* the same clientId again */
    if (next != CALL_GO_ON)
        return next;
    sent = call_submit_chat(call, ask->chat, ask->client_id);
    sent->action.kind = CHAT_ACTION_GROUP_CREATED;
    sent->action.u.group_created =
        (struct group_created){ ask->name, ask->members, ask->members_n };
    return CALL_GO_ON;
}

static enum call_next chat_result(struct call *call, struct pg *db, void *asked)
{
    return reply_group(call, db, asked, 201);
}

static const struct write make_write = {
    .asked_bytes = sizeof(struct chat_ask),
    .body = &direct_body,
    .or_body = &group_body,
    .parse = parse_chat,
    .begin = begin_chat,
    .result = chat_result,
    .until = WRITE_FOUND,
    .late = "stored, but not visible yet: send it again with the same clientId",
};

/* ---- reading -------------------------------------------------------------------------- */

enum { CURSOR_DIGITS = 15 };

/* `c` or `o`, the time, and the id: which row was the last of the page before. */
static bool parse_list_cursor(struct cq_span text, struct chat_list *list)
{
    struct cq_span rest;

    if (!text.n)
        return true;
    if (text.p[0] != 'c' && text.p[0] != 'o')
        return false;
    list->is_behind = true;
    list->is_unopened = text.p[0] == 'o';
    rest = span_of(text.p + 1, text.n - 1);
    return span_take_digits(&rest, '.', CURSOR_DIGITS, &list->last.at) &&
           id_parse(rest, &list->last.chat);
}

static enum call_next handle_chats(struct call *call, struct pg *db)
{
    struct chat_list list = { .limit = CHAT_LIST_DEFAULT };
    struct cq_buf *body = &call->reply.body;
    char cursor[64];
    bool is_first;
    enum cq_status st;

    if (!call_param_i64(call, "limit", &list.limit) || list.limit < 1 || list.limit > CHAT_LIST_MAX)
        return call_bad_request(call, "limit: 1 to %d", CHAT_LIST_MAX);
    if (!parse_list_cursor(call_param(call, "cursor"), &list))
        return call_bad_request(call, "cursor: must be the one that the page before gave");
    is_first = !list.is_behind;
    buf_add_str(body, "{\"chats\":[");
    st = chat_list_page(call, db, &list);
    buf_add_byte(body, ']');
    if (is_first) { /* wherever they come among the others */
        buf_add_str(body, ",\"pinned\":[");
        st = st == CQ_OK ? chat_list_pinned(call, db) : st;
        buf_add_byte(body, ']');
    }
    if (list.more) {
        snprintf(cursor, sizeof cursor, "%c%lld.%s", list.is_unopened ? 'o' : 'c',
                 (long long)list.last.at, id_text(list.last.chat).s);
        out_text(body, "cursor", span_str(cursor));
    }
    out_bool(body, "more", list.more);
    buf_add_byte(body, '}');
    return st == CQ_OK ? call_reply(call, 200) : call_database(call, st);
}

static enum call_next handle_chat(struct call *call, struct pg *db)
{
    struct chat_view view;
    enum call_next next = chat_admit_reader(call, db, call->request.path_id[0], &view);

    if (next != CALL_GO_ON)
        return next;
    if (!view.present && !view.blocked)
        return call_not_found(call);
    return view.has_row ? reply_chat(call, db, view.id, 200)
                        : reply_unopened(call, db, view.id, view.peer);
}

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "POST", "/api/chats", true, write_run, "a direct chat or a group", ROUTE_FANOUT,
      &make_write },
    { "GET", "/api/chats", true, handle_chats, "my chats", 0, NULL },
    { "GET", "/api/chats/{}", true, handle_chat, "one chat with its members", 0, NULL },
};

const struct routes chats_routes = { rows, ARRAY_LEN(rows) };
