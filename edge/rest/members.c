/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/members.c - who is in a group, in which role, and its name.
 *
 * The verdict is processors/chat's. A change without effect leaves no row to look for, so what is
 * looked for is the state that was asked for; a refusal is looked for first.
 */
#include "edge/rest/rest.h"
#include "ingest/ingest.h"
#include "ingest/validate.h"
#include "schemas/frame.h"

enum { PARAMS_BYTES = 64 * 1024 };

/* The group, when the caller is in it now. False: c has its reply. */
static bool open_group(struct call *c, struct pg *db, struct chat_view *view, enum call_next *ret)
{
    bool there;
    enum cq_status st = view_chat(db, c->path_id[0], c->who.user, view, &there);

    if (st != CQ_OK)
        *ret = call_database(c, st);
    else if (!there || !view->present)
        *ret = call_not_found(c);
    else if (!view->is_group)
        *ret = call_bad_request(c, "a direct chat has two members and no name");
    else
        return true;
    return false;
}

static enum call_next submit_changes(struct call *c, struct member_change *changes, size_t n)
{
    struct chat_action *a =
        call_submit_chat(c, c->path_id[0], arena_copy(c->arena, span_str(c->request_id)));

    a->action.kind = CHAT_ACTION_MEMBERS_CHANGED;
    a->action.u.members_changed = (struct members_changed){ changes, n };
    c->step = 1;
    return CALL_SUBMIT;
}

enum { SHOWS_ABSENT = -1, SHOWS_PRESENT = -2 };

/* What the view says of a user once the change is applied: a role, or whether they are there. */
static int64_t shown_as(enum member_change_kind kind)
{
    switch (kind) {
    case MEMBER_CHANGE_KIND_ADD:
        return SHOWS_PRESENT;
    case MEMBER_CHANGE_KIND_REMOVE:
        return SHOWS_ABSENT;
    case MEMBER_CHANGE_KIND_PROMOTE:
        return MEMBER_ROLE_ADMIN;
    case MEMBER_CHANGE_KIND_DEMOTE:
        return MEMBER_ROLE_MEMBER;
    case MEMBER_CHANGE_KIND_MAKE_OWNER:
        return MEMBER_ROLE_OWNER;
    case MEMBER_CHANGE_KIND_N:
        break;
    }
    return SHOWS_PRESENT;
}

/* True when each change shows in the view: one statement for all of them, 1,024 at most. */
static enum cq_status changes_show(struct call *c, struct pg *db, bool *ret)
{
    static const char sql[] =
        "SELECT 1 FROM unnest($2::uuid[], $3::int8[]) w(user_id, shown) "
        "LEFT JOIN view.members m ON m.part = $4 AND m.chat_id = $1 AND m.user_id = w.user_id "
        "AND m.left_seq IS NULL "
        "WHERE CASE w.shown WHEN -1 THEN m.user_id IS NOT NULL WHEN -2 THEN m.user_id IS NULL "
        "ELSE m.role IS DISTINCT FROM w.shown END LIMIT 1";
    const struct members_changed *m = &c->submits[0].u.chat.action.u.members_changed;
    struct cq_id *users = ARENA_ARRAY(c->arena, struct cq_id, m->changes_n);
    int64_t *shown = ARENA_ARRAY(c->arena, int64_t, m->changes_n);
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    if (!users || !shown)
        return CQ_AGAIN;
    for (size_t i = 0; i < m->changes_n; i++) {
        users[i] = m->changes[i].user_id;
        shown[i] = shown_as(m->changes[i].change);
    }
    pg_params_init(&p, 64 * 1024);
    pg_add_uuid(&p, c->path_id[0]);
    pg_add_uuid_array(&p, users, NULL, m->changes_n);
    pg_add_i64_array(&p, shown, m->changes_n);
    pg_add_i32(&p, id_part(c->path_id[0]));
    st = pg_run(db, sql, &p, &rows);
    pg_params_release(&p);
    *ret = st == CQ_OK && pg_rows(rows) == 0;
    return st;
}

static enum cq_status name_shows(struct call *c, struct pg *db, bool *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 1024);
    pg_add_uuid(&p, c->path_id[0]);
    pg_add_text(&p, c->submits[0].u.chat.action.u.chat_renamed.name);
    pg_add_i32(&p, id_part(c->path_id[0]));
    st = pg_run(db, "SELECT 1 FROM view.chats WHERE part = $3 AND chat_id = $1 AND name = $2", &p,
                &rows);
    pg_params_release(&p);
    *ret = st == CQ_OK && pg_rows(rows) == 1;
    return st;
}

static enum call_next finish(struct call *c, struct pg *db)
{
    const struct chat_action *a = &c->submits[0].u.chat;
    struct cq_span code;
    bool shows = false;
    enum cq_status st;

    if (c->step == 1)
        return call_wait_for(c, 0, 2);
    st = view_rejection(c, db, &c->submits[0], &code);
    if (st == CQ_OK && code.p)
        return call_rejected(c, code);
    if (st == CQ_OK && c->passed)
        st = a->action.kind == CHAT_ACTION_CHAT_RENAMED ? name_shows(c, db, &shows)
                                                        : changes_show(c, db, &shows);
    if (st != CQ_OK)
        return call_database(c, st);
    if (shows) {
        buf_add_str(&c->out, "{}");
        return call_reply(c, 200);
    }
    if (c->timed_out)
        return call_unavailable(c, "stored, but not visible yet: read the chat again");
    return c->passed ? call_look_again(c, 2) : call_wait_for(c, 0, 2);
}

enum call_next handle_members_add(struct call *c, struct pg *db)
{
    const struct json *list = json_get(c->json, "add");
    size_t n = json_count(list);
    struct member_change *changes;
    struct chat_view view;
    enum call_next next;
    struct cq_id *ids;
    int64_t known = 0;
    enum cq_status st;

    if (c->step)
        return finish(c, db);
    if (!open_group(c, db, &view, &next))
        return next;
    if (view.role == MEMBER_ROLE_MEMBER)
        return call_rejected(c, span_str("forbidden"));
    changes = ARENA_ARRAY(c->arena, struct member_change, n + 1);
    ids = ARENA_ARRAY(c->arena, struct cq_id, n + 1);
    if (!n || n > LIMIT_GROUP_MEMBERS || !changes || !ids)
        return call_bad_request(c, "add: 1 to 1,024 user ids");
    for (size_t i = 0; i < n; i++) {
        if (!json_id(json_at(list, i), &ids[i]))
            return call_bad_request(c, "add: each must be a user id");
        for (size_t k = 0; k < i; k++)
            if (id_eq(ids[k], ids[i]))
                return call_bad_request(c, "add: each user once");
        changes[i] = (struct member_change){ ids[i], MEMBER_CHANGE_KIND_ADD };
    }
    st = view_count_users(db, ids, n, &known);
    if (st != CQ_OK)
        return call_database(c, st);
    return known == (int64_t)n ? submit_changes(c, changes, n) : call_not_found(c);
}

static enum call_next change_one(struct call *c, enum member_change_kind kind)
{
    struct member_change *change = ARENA_NEW(c->arena, struct member_change);

    if (!change)
        return call_error(c, 500, "internal", "internal error: report it with the requestId");
    *change = (struct member_change){ c->path_id[1], kind };
    return submit_changes(c, change, 1);
}

enum call_next handle_member_remove(struct call *c, struct pg *db)
{
    struct chat_view view;
    enum call_next next;

    if (c->step)
        return finish(c, db);
    if (!open_group(c, db, &view, &next))
        return next;
    if (view.role == MEMBER_ROLE_MEMBER && !id_eq(c->path_id[1], c->who.user))
        return call_rejected(c, span_str("forbidden"));
    return change_one(c, MEMBER_CHANGE_KIND_REMOVE);
}

enum call_next handle_member_role(struct call *c, struct pg *db)
{
    struct chat_view view;
    struct cq_span role;
    enum call_next next;
    bool admin;

    if (c->step)
        return finish(c, db);
    if (!open_group(c, db, &view, &next))
        return next;
    if (!json_get_text(c->json, "role", &role))
        return call_bad_request(c, "role: admin or member");
    admin = span_eq_str(role, "admin");
    if (!admin && !span_eq_str(role, "member"))
        return call_bad_request(c, "role: admin or member");
    if (view.role != MEMBER_ROLE_OWNER)
        return call_rejected(c, span_str("forbidden"));
    return change_one(c, admin ? MEMBER_CHANGE_KIND_PROMOTE : MEMBER_CHANGE_KIND_DEMOTE);
}

enum call_next handle_chat_rename(struct call *c, struct pg *db)
{
    struct chat_action *a;
    struct chat_view view;
    struct cq_span name;
    enum call_next next;

    if (c->step)
        return finish(c, db);
    if (!open_group(c, db, &view, &next))
        return next;
    if (!json_get_text(c->json, "name", &name) || !display_name_good(name))
        return call_bad_request(c, CALL_NAME_TEXT);
    if (view.role == MEMBER_ROLE_MEMBER)
        return call_rejected(c, span_str("forbidden"));
    a = call_submit_chat(c, c->path_id[0], arena_copy(c->arena, span_str(c->request_id)));
    a->action.kind = CHAT_ACTION_CHAT_RENAMED;
    a->action.u.chat_renamed.name = name;
    c->step = 1;
    return CALL_SUBMIT;
}
