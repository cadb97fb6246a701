/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/chats.c - chats: open, make, list, show, rename.
 */
#include "edge/rest/rest.h"
#include "ingest/ingest.h"
#include "ingest/validate.h"
#include "schemas/names.h"

static enum call_next reply_chat(struct call *c, struct pg *db, struct cq_id chat, int status)
{
    enum cq_status st;

    buf_clear(&c->out);
    buf_add_str(&c->out, "{\"chat\":");
    st = view_chats(c, db, &chat, NULL, 0, true);
    buf_add_byte(&c->out, '}');
    return st == CQ_OK ? call_reply(c, status) : call_database(c, st);
}

/* ---- direct -------------------------------------------------------------------------------------
 */

static const char sql_open[] = "INSERT INTO auth.direct_chats (chat_id, user_a, user_b, opened_by, "
                               "created_at) VALUES ($1, $2, $3, $2, $4) "
                               "ON CONFLICT DO NOTHING";

static enum cq_status remember_pair(struct call *c, struct pg *db, struct cq_id chat,
                                    struct cq_id peer)
{
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, chat);
    pg_add_uuid(&p, c->who.user);
    pg_add_uuid(&p, peer);
    pg_add_i64(&p, c->now_ms);
    st = pg_run(db, sql_open, &p, NULL);
    pg_params_release(&p);
    return st;
}

static enum call_next open_direct(struct call *c, struct pg *db, struct cq_id peer)
{
    struct cq_id chat = chat_id_direct(c->who.user, peer);
    struct chat_view view;
    int64_t known = 0;
    bool there = false;
    enum cq_status st;

    if (id_eq(peer, c->who.user))
        return call_bad_request(c, "userId: not yourself");
    st = view_count_users(db, &peer, 1, &known);
    if (st == CQ_OK && !known)
        return call_not_found(c);
    if (st == CQ_OK)
        st = view_chat(db, c->conf, chat, c->who.user, &view, &there);
    if (st == CQ_OK && !there)
        st = remember_pair(c, db, chat, peer);
    if (st != CQ_OK)
        return call_database(c, st);
    if (there && view.has_row)
        return reply_chat(c, db, chat, 200);
    buf_add_str(&c->out, "{\"chat\":");
    st = view_unopened_chat(c, db, chat, peer);
    buf_add_byte(&c->out, '}');
    return st == CQ_OK ? call_reply(c, 200) : call_database(c, st);
}

/* ---- groups -------------------------------------------------------------------------------------
 */

/* Distinct members other than oneself; NULL with *ret_n 0 when a word is no id or there are too
 * many. */
static struct cq_id *parse_members(struct call *c, const struct json *list, size_t *ret_n)
{
    size_t count = json_count(list), n = 0;
    struct cq_id *ids =
        count <= INGEST_GROUP_MAX ? ARENA_ARRAY(c->arena, struct cq_id, count + 1) : NULL;

    *ret_n = 0;
    if (list && !json_is_array(list))
        return NULL;
    for (size_t i = 0; ids && i < count; i++) {
        bool known;

        if (!json_id(json_at(list, i), &ids[n]))
            return NULL;
        known = id_eq(ids[n], c->who.user);
        for (size_t k = 0; k < n && !known; k++)
            known = id_eq(ids[k], ids[n]);
        n += !known;
    }
    *ret_n = n;
    return ids;
}

static enum call_next group_result(struct call *c, struct pg *db, struct cq_id chat)
{
    struct chat_view view;
    struct cq_span code;
    bool there;
    enum cq_status st = view_chat(db, c->conf, chat, c->who.user, &view, &there);

    if (st == CQ_OK && there)
        return reply_chat(c, db, chat, 201);
    if (st == CQ_OK)
        st = view_rejection(c, db, &c->submits[0], &code);
    if (st != CQ_OK)
        return call_database(c, st);
    if (code.p)
        return call_rejected(c, code);
    if (c->timed_out)
        return call_unavailable(c,
                                "stored, but the view is late: ask again with the same clientId");
    return c->passed ? call_look_again(c, 2) : call_wait_for(c, 0, 2);
}

static enum call_next make_group(struct call *c, struct pg *db, struct cq_span name)
{
    struct chat_action *a;
    struct chat_view view;
    struct cq_span client_id;
    struct cq_id *members, chat;
    int64_t known = 0;
    bool there = false;
    enum cq_status st;
    size_t n;

    if (!json_get(c->json, "clientId"))
        client_id = arena_copy(c->arena, span_str(c->request_id));
    else if (!json_get_text(c->json, "clientId", &client_id))
        return call_bad_request(c, "clientId: 1 to 64 printable characters");
    members = parse_members(c, json_get(c->json, "members"), &n);
    if (!members || n >= INGEST_GROUP_MAX)
        return call_bad_request(c, "members: up to 1,023 user ids");
    if (!display_name_good(name) || !client_id_good(client_id))
        return call_bad_request(c, CALL_NAME_TEXT "; clientId: 1 to 64 printable characters");
    st = view_count_users(db, members, n, &known);
    if (st == CQ_OK && known != (int64_t)n)
        return call_not_found(c);
    chat = chat_id_group(c->who.user, client_id);
    if (st == CQ_OK)
        st = view_chat(db, c->conf, chat, c->who.user, &view, &there);
    if (st != CQ_OK)
        return call_database(c, st);
    if (there) /* the same clientId again */
        return reply_chat(c, db, chat, 200);
    a = call_submit_chat(c, chat, client_id);
    a->action.kind = CHAT_ACTION_GROUP_CREATED;
    a->action.u.group_created = (struct group_created){ name, members, n };
    c->step = 1;
    return CALL_SUBMIT;
}

enum call_next handle_chat_make(struct call *c, struct pg *db)
{
    struct cq_span name;
    struct cq_id peer;

    if (c->step == 1)
        return call_wait_for(c, 0, 2);
    if (c->step == 2)
        return group_result(c, db, c->submits[0].u.chat.chat_id);
    if (json_get_id(c->json, "userId", &peer))
        return open_direct(c, db, peer);
    if (json_get_text(c->json, "name", &name))
        return make_group(c, db, name);
    return call_bad_request(c, "userId for a direct chat, or name and members for a group");
}

/* ---- reading ------------------------------------------------------------------------------------
 */

static const char sql_opened[] = "SELECT d.chat_id, CASE WHEN d.user_a = $1 THEN d.user_b ELSE "
                                 "d.user_a END FROM auth.direct_chats d "
                                 "WHERE d.opened_by = $1 AND NOT EXISTS (SELECT 1 FROM view.chats "
                                 "c WHERE c.chat_id = d.chat_id) "
                                 "ORDER BY d.created_at DESC LIMIT 1000";

static enum cq_status out_unopened(struct call *c, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct pg_params p;
    enum cq_status st;

    pg_params_init(&p, 256);
    pg_add_uuid(&p, c->who.user);
    st = pg_run(db, sql_opened, &p, &rows);
    pg_params_release(&p);
    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        if (c->out.p[c->out.n - 1] != '[')
            buf_add_byte(&c->out, ',');
        st = view_unopened_chat(c, db, pg_uuid(rows, i, 0), pg_uuid(rows, i, 1));
    }
    return st;
}

enum call_next handle_chats(struct call *c, struct pg *db)
{
    enum cq_status st;

    buf_add_str(&c->out, "{\"chats\":[");
    st = view_chats(c, db, NULL, NULL, 0, false);
    if (st == CQ_OK)
        st = out_unopened(c, db);
    buf_add_str(&c->out, "]}");
    return st == CQ_OK ? call_reply(c, 200) : call_database(c, st);
}

enum call_next handle_chat(struct call *c, struct pg *db)
{
    struct chat_view view;
    bool there;
    enum cq_status st = view_chat(db, c->conf, c->path_id[0], c->who.user, &view, &there);

    if (st != CQ_OK)
        return call_database(c, st);
    if (!there || !view.present)
        return call_not_found(c);
    if (view.has_row)
        return reply_chat(c, db, view.id, 200);
    buf_add_str(&c->out, "{\"chat\":");
    st = view_unopened_chat(c, db, view.id, view.peer);
    buf_add_byte(&c->out, '}');
    return st == CQ_OK ? call_reply(c, 200) : call_database(c, st);
}
