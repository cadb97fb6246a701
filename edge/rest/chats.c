/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/chats.c - chats: open, make, list, show, rename.
 */
#include "edge/rest/chat_rows.h"
#include "ingest/ingest.h"
#include "ingest/validate.h"
#include "schemas/names.h"

#include <stdio.h>

static enum call_next reply_chat(struct call *c, struct pg *db, struct cq_id chat, int status)
{
    enum cq_status st;

    buf_clear(&c->out);
    buf_add_str(&c->out, "{\"chat\":");
    st = chat_row_one(c, db, chat);
    buf_add_byte(&c->out, '}');
    return st == CQ_OK ? call_reply(c, status) : call_database(c, st);
}

/* ---- direct --------------------------------------------------------------------------- */

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
        return call_bad_request(c, "userId: must be another user");
    st = view_count_users(db, &peer, 1, &known);
    if (st == CQ_OK && !known)
        return call_not_found(c);
    if (st == CQ_OK)
        st = view_chat(db, chat, c->who.user, &view, &there);
    if (st == CQ_OK && !there)
        st = remember_pair(c, db, chat, peer);
    if (st != CQ_OK)
        return call_database(c, st);
    if (there && view.has_row)
        return reply_chat(c, db, chat, 200);
    buf_add_str(&c->out, "{\"chat\":");
    st = chat_row_unopened(c, db, chat, peer);
    buf_add_byte(&c->out, '}');
    return st == CQ_OK ? call_reply(c, 200) : call_database(c, st);
}

/* ---- groups --------------------------------------------------------------------------- */

/* Distinct members other than oneself; NULL with *ret_n 0 when a word is no id or there are too
 * many. */
static struct cq_id *parse_members(struct call *c, const struct json *list, size_t *ret_n)
{
    size_t count = json_count(list), n = 0;
    struct cq_id *ids =
        count <= LIMIT_GROUP_MEMBERS ? ARENA_ARRAY(c->arena, struct cq_id, count + 1) : NULL;

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
    enum cq_status st = view_chat(db, chat, c->who.user, &view, &there);

    if (st == CQ_OK && there)
        return reply_chat(c, db, chat, 201);
    if (st == CQ_OK)
        st = view_rejection(c, db, &c->submits[0], &code);
    if (st != CQ_OK)
        return call_database(c, st);
    if (code.p)
        return call_rejected(c, code);
    if (c->timed_out)
        return call_unavailable(
            c, "stored, but not visible yet: send it again with the same clientId");
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
    if (!members || n >= LIMIT_GROUP_MEMBERS)
        return call_bad_request(c, "members: up to 1,023 user ids");
    if (!display_name_good(name) || !client_id_good(client_id))
        return call_bad_request(c, CALL_NAME_TEXT "; clientId: 1 to 64 printable characters");
    st = view_count_users(db, members, n, &known);
    if (st == CQ_OK && known != (int64_t)n)
        return call_not_found(c);
    chat = chat_id_group(c->who.user, client_id);
    if (st == CQ_OK)
        st = view_chat(db, chat, c->who.user, &view, &there);
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
    return call_bad_request(c, "give userId for a direct chat, or name and members for a group");
}

/* ---- reading -------------------------------------------------------------------------- */

/* `c` or `o`, the time, and the id: which row was the last of the page before. */
static bool parse_list_cursor(struct cq_span text, struct chat_list *l)
{
    int64_t at = 0;
    size_t i = 1;

    if (!text.n)
        return true;
    if (text.p[0] != 'c' && text.p[0] != 'o')
        return false;
    for (; i < text.n && i < 16 && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        at = at * 10 + (text.p[i] - '0');
    if (i == 1 || i == text.n || text.p[i] != '.' ||
        !id_parse(span_of(text.p + i + 1, text.n - i - 1), &l->chat))
        return false;
    l->behind = true;
    l->unopened = text.p[0] == 'o';
    l->at = at;
    return true;
}

enum call_next handle_chats(struct call *c, struct pg *db)
{
    struct chat_list l = { .limit = CHAT_LIST_DEFAULT };
    char cursor[64];
    enum cq_status st;

    if (!call_param_i64(c, "limit", &l.limit) || l.limit < 1 || l.limit > CHAT_LIST_MAX)
        return call_bad_request(c, "limit: 1 to 500");
    if (!parse_list_cursor(call_param(c, "cursor"), &l))
        return call_bad_request(c, "cursor: must be the one that the page before gave");
    buf_add_str(&c->out, "{\"chats\":[");
    st = chat_list_page(c, db, &l);
    buf_add_byte(&c->out, ']');
    if (l.more) {
        snprintf(cursor, sizeof cursor, "%c%lld.%s", l.unopened ? 'o' : 'c', (long long)l.at,
                 id_text(l.chat).s);
        out_text(&c->out, "cursor", span_str(cursor));
    }
    out_bool(&c->out, "more", l.more);
    buf_add_byte(&c->out, '}');
    return st == CQ_OK ? call_reply(c, 200) : call_database(c, st);
}

enum call_next handle_chat(struct call *c, struct pg *db)
{
    struct chat_view view;
    bool there;
    enum cq_status st = view_chat(db, c->path_id[0], c->who.user, &view, &there);

    if (st != CQ_OK)
        return call_database(c, st);
    if (!there || !view.present)
        return call_not_found(c);
    if (view.has_row)
        return reply_chat(c, db, view.id, 200);
    buf_add_str(&c->out, "{\"chat\":");
    st = chat_row_unopened(c, db, view.id, view.peer);
    buf_add_byte(&c->out, '}');
    return st == CQ_OK ? call_reply(c, 200) : call_database(c, st);
}
