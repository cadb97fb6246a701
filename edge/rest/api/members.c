/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/members.c - who is in a group, in which role, and its name.
 *
 * The verdict is processors/chat's, which knows the rights of a group as they are: the view may be
 * late. A change of members without effect leaves no row to look for, so what is looked for is the
 * state that was asked for, or who came or went later; a refusal is looked for first. A name leaves
 * its row always.
 */
#include "edge/rest/api/chats.h"
#include "edge/rest/api/fields.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/view/chats.h"
#include "edge/rest/view/users.h"
#include "schemas/limits.h"

struct member_ask {
    struct chat_view view;
    struct cq_id *users;           /* each once */
    struct member_change *changes; /* of each user … */
    int64_t *shown;                /* … and what the view shows of him then */
    size_t changes_n;
    enum member_role role; /* the new one */
    struct cq_span name;   /* of the group */
};

/* ---- who may -------------------------------------------------------------------------- */

static enum call_next refuse_role(struct call *call)
{
    return write_rejected(call, span_str("forbidden"));
}

/* The group, when the caller is in it now. */
static enum call_next admit_member(struct call *call, struct pg *db, void *asked)
{
    struct member_ask *ask = asked;
    enum call_next next = chat_admit(call, db, call->request.path_id[0], &ask->view);

    if (next == CALL_GO_ON && !ask->view.is_group)
        return call_bad_request(
            call, "chatId: of a direct chat, which has two members and no name; name a group");
    return next;
}

static enum call_next admit_admin(struct call *call, struct pg *db, void *asked)
{
    const struct member_ask *ask = asked;
    enum call_next next = admit_member(call, db, asked);

    return next == CALL_GO_ON && ask->view.role == MEMBER_ROLE_MEMBER ? refuse_role(call) : next;
}

/* Everybody may leave. */
static enum call_next admit_leaver(struct call *call, struct pg *db, void *asked)
{
    return id_eq(call->request.path_id[1], call->request.who.user) ? admit_member(call, db, asked)
                                                                   : admit_admin(call, db, asked);
}

/* ---- what is asked for ---------------------------------------------------------------- */

static const struct json_member added_rows[] = {
    JSON_MEMBER("add", JSON_IDS, struct member_ask, users,
                .n_off = offsetof(struct member_ask, changes_n), .least = 1,
                .most = LIMIT_GROUP_MEMBERS,
                .rule = "add: 1 to " LIMIT_MEMBERS_CHANGED_CHANGES_TEXT " user ids"),
};
static const struct json_members added_body = JSON_MEMBERS(added_rows);

static enum call_next parse_added(struct call *call, void *asked)
{
    struct member_ask *ask = asked;
    size_t n = ask->changes_n;

    ask->changes = ARENA_ARRAY(call->arena, struct member_change, n);
    if (!ask->changes)
        return call_internal(call);
    for (size_t i = 0; i < n; i++) {
        ask->changes[i] = (struct member_change){ ask->users[i], MEMBER_CHANGE_KIND_ADD };
        for (size_t k = 0; k < i; k++)
            if (id_eq(ask->users[k], ask->users[i]))
                return call_bad_request(call, "add: each user once");
    }
    return CALL_GO_ON;
}

/* Roles that a request can give: the first two. */
_Static_assert(MEMBER_ROLE_MEMBER == 0 && MEMBER_ROLE_ADMIN == 1, "member and admin come first");
static const struct json_words given_roles = { member_role_words, MEMBER_ROLE_ADMIN + 1 };

static const struct json_member role_rows[] = {
    JSON_MEMBER("role", JSON_WORD, struct member_ask, role, .words = &given_roles,
                .rule = "role: admin or member"),
};
static const struct json_members role_body = JSON_MEMBERS(role_rows);

static const struct json_member name_rows[] = { FIELD_NAME(struct member_ask, name) };
static const struct json_members name_body = JSON_MEMBERS(name_rows);

/* ---- what enters the log -------------------------------------------------------------- */

static int64_t shown_as(enum member_change_kind kind)
{
    switch (kind) {
    case MEMBER_CHANGE_KIND_ADD:
        return SHOWN_PRESENT;
    case MEMBER_CHANGE_KIND_REMOVE:
        return SHOWN_ABSENT;
    case MEMBER_CHANGE_KIND_PROMOTE:
        return MEMBER_ROLE_ADMIN;
    case MEMBER_CHANGE_KIND_DEMOTE:
        return MEMBER_ROLE_MEMBER;
    case MEMBER_CHANGE_KIND_MAKE_OWNER:
        return MEMBER_ROLE_OWNER;
    case MEMBER_CHANGE_KIND_N:
        break;
    }
    return SHOWN_PRESENT;
}

static struct chat_action *submit_to(struct call *call, const struct member_ask *ask)
{
    return call_submit_chat(call, ask->view.id,
                            arena_copy(call->arena, span_str(call->request.id)));
}

/* The view may be asked many times until it has the change, so what is looked for is made once. */
static enum call_next submit_changes(struct call *call, struct member_ask *ask)
{
    struct chat_action *sent;

    ask->shown = ARENA_ARRAY(call->arena, int64_t, ask->changes_n);
    if (!ask->shown)
        return call_internal(call);
    for (size_t i = 0; i < ask->changes_n; i++)
        ask->shown[i] = shown_as(ask->changes[i].change);
    sent = submit_to(call, ask);
    sent->action.kind = CHAT_ACTION_MEMBERS_CHANGED;
    sent->action.u.members_changed = (struct members_changed){ ask->changes, ask->changes_n };
    return CALL_GO_ON;
}

static enum call_next begin_add(struct call *call, struct pg *db, void *asked)
{
    struct member_ask *ask = asked;
    int64_t known = 0;
    enum cq_status st = view_count_users(db, ask->users, ask->changes_n, &known);

    if (st != CQ_OK)
        return call_database(call, st);
    return known == (int64_t)ask->changes_n ? submit_changes(call, ask) : call_not_found(call);
}

static enum call_next change_one(struct call *call, struct member_ask *ask,
                                 enum member_change_kind kind)
{
    ask->users = &call->request.path_id[1];
    ask->changes = ARENA_NEW(call->arena, struct member_change);
    if (!ask->changes)
        return call_internal(call);
    *ask->changes = (struct member_change){ *ask->users, kind };
    ask->changes_n = 1;
    return submit_changes(call, ask);
}

static enum call_next begin_remove(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    return change_one(call, asked, MEMBER_CHANGE_KIND_REMOVE);
}

static enum call_next begin_role(struct call *call, struct pg *db, void *asked)
{
    struct member_ask *ask = asked;

    (void)db;
    if (ask->view.role != MEMBER_ROLE_OWNER)
        return refuse_role(call);
    return change_one(call, ask,
                      ask->role == MEMBER_ROLE_ADMIN ? MEMBER_CHANGE_KIND_PROMOTE
                                                     : MEMBER_CHANGE_KIND_DEMOTE);
}

static enum call_next begin_rename(struct call *call, struct pg *db, void *asked)
{
    const struct member_ask *ask = asked;
    struct chat_action *sent;

    (void)db;
    sent = submit_to(call, ask);
    sent->action.kind = CHAT_ACTION_CHAT_RENAMED;
    sent->action.u.chat_renamed.name = ask->name;
    return CALL_GO_ON;
}

/* ---- what the view shows then --------------------------------------------------------- */

static enum call_next changes_result(struct call *call, struct pg *db, void *asked)
{
    const struct member_ask *ask = asked;
    bool is_shown = false;
    enum cq_status st = view_members_shown(db, ask->view.id, ask->users, ask->shown, ask->changes_n,
                                           write_seq(call), &is_shown);

    if (st != CQ_OK)
        return call_database(call, st);
    return is_shown ? write_done(call, 200) : CALL_GO_ON;
}

static enum call_next rename_result(struct call *call, struct pg *db, void *asked)
{
    const struct member_ask *ask = asked;
    bool is_given = false;
    enum cq_status st = view_name_given(db, ask->view.id, write_seq(call), &is_given);

    if (st != CQ_OK)
        return call_database(call, st);
    return is_given ? write_done(call, 200) : CALL_GO_ON;
}

/* ---- the writes ----------------------------------------------------------------------- */

static const char late[] = "stored, but not visible yet: read the chat again later";

static const struct write add_write = {
    .asked_bytes = sizeof(struct member_ask),
    .admit = admit_member,
    .body = &added_body,
    .parse = parse_added,
    .begin = begin_add,
    .result = changes_result,
    .until = WRITE_SHOWN,
    .late = late,
};

static const struct write remove_write = {
    .asked_bytes = sizeof(struct member_ask),
    .admit = admit_leaver,
    .begin = begin_remove,
    .result = changes_result,
    .until = WRITE_SHOWN,
    .late = late,
};

static const struct write role_write = {
    .asked_bytes = sizeof(struct member_ask),
    .admit = admit_member,
    .body = &role_body,
    .begin = begin_role,
    .result = changes_result,
    .until = WRITE_SHOWN,
    .late = late,
};

static const struct write rename_write = {
    .asked_bytes = sizeof(struct member_ask),
    .admit = admit_member,
    .body = &name_body,
    .begin = begin_rename,
    .result = rename_result,
    .until = WRITE_FOUND,
    .late = late,
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "PATCH", "/api/chats/{}", true, write_run, "a group's name", ROUTE_FANOUT, &rename_write },
    { "POST", "/api/chats/{}/members", true, write_run, "add to a group", ROUTE_FANOUT,
      &add_write },
    { "DELETE", "/api/chats/{}/members/{}", true, write_run, "remove, or leave", ROUTE_FANOUT,
      &remove_write },
    { "PUT", "/api/chats/{}/members/{}", true, write_run, "give a role", ROUTE_FANOUT,
      &role_write },
};

const struct routes members_routes = { rows, ARRAY_LEN(rows) };
