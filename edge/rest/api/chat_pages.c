/* SPDX-License-Identifier: MIT */
#include "edge/rest/api/chat_pages.h"

#include "edge/rest/render/chats.h"

/* ---- the list ------------------------------------------------------------------------- */

/* A comma where something stands before. */
static void add_comma(struct cq_buf *out)
{
    if (out->n && out->p[out->n - 1] != '[')
        buf_add_byte(out, ',');
}

/* Whether one more may come: the first always may, or a page could be empty for ever. */
static bool has_room(struct chat_list *list, const struct cq_buf *out, size_t from)
{
    if (!list->n || (list->n < list->limit && out->n - from <= REST_PAGE_BYTES))
        return true;
    list->more = true;
    return false;
}

static void move_behind(struct chat_list *list, int64_t at, struct cq_id chat)
{
    list->last = (struct chat_place){ at, chat };
    list->is_behind = true;
    list->n++;
}

static enum cq_status list_latest(struct call *call, struct pg *db, struct chat_list *list,
                                  size_t from)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_buf *body = &call->reply.body;
    enum cq_status st = view_chats_latest(db, call->request.who.user, list->limit + 1,
                                          list->is_behind ? &list->last : NULL, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows) && has_room(list, body, from); i++) {
        struct chat_row row = chat_at(rows, i);

        add_comma(body);
        render_chat(body, &row, NULL, 0, call->request.at_ms);
        move_behind(list, row.at, row.id);
    }
    return st;
}

static enum cq_status list_opened(struct call *call, struct pg *db, struct chat_list *list,
                                  size_t from)
{
    bool is_behind = list->is_behind && list->is_unopened;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_buf *body = &call->reply.body;
    enum cq_status st = view_chats_opened(db, call->request.who.user, list->limit + 1,
                                          is_behind ? &list->last : NULL, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows) && has_room(list, body, from); i++) {
        struct opened_row row = opened_at(rows, i);

        add_comma(body);
        render_opened(body, &row);
        move_behind(list, row.at, row.chat);
        list->is_unopened = true;
    }
    return st;
}

enum cq_status chat_list_page(struct call *call, struct pg *db, struct chat_list *list)
{
    size_t from = call->reply.body.n;
    enum cq_status st = list->is_unopened ? CQ_OK : list_latest(call, db, list, from);

    return st == CQ_OK && !list->more ? list_opened(call, db, list, from) : st;
}

enum cq_status chat_list_pinned(struct call *call, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = view_chats_pinned(db, call->request.who.user, &rows);

    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        struct chat_row row = chat_at(rows, i);

        add_comma(&call->reply.body);
        render_chat(&call->reply.body, &row, NULL, 0, call->request.at_ms);
    }
    return st;
}

/* ---- what changed --------------------------------------------------------------------- */

enum cq_status chat_changes_page(struct call *call, struct pg *db, const int64_t *lows, int32_t n,
                                 struct chat_changes *ret)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_buf *body = &call->reply.body;
    size_t from = body->n;
    enum cq_status st =
        view_chats_changed(db, call->request.who.user, lows, n, CHAT_CHANGES_MAX + 1, &rows);

    ret->n = 0;
    ret->more = false;
    for (int i = 0; st == CQ_OK && i < pg_rows(rows); i++) {
        struct chat_row row = chat_at(rows, i);

        if (ret->n == CHAT_CHANGES_MAX || (i && body->n - from > REST_PAGE_BYTES)) {
            ret->more = true;
            break;
        }
        if (i)
            buf_add_byte(body, ',');
        render_chat(body, &row, NULL, 0, call->request.at_ms);
        ret->row[ret->n++] = (struct chat_change){ row.part % n, row.at, body->n };
    }
    return st;
}
