/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/shared.c - the files of a chat, or the messages with an address, the newest first.
 */
#include "edge/rest/view/shared.h"
#include "edge/rest/api/chat_pages.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/render/messages.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/server/query.h"
#include "edge/rest/view/chats.h"
#include "lib/json/write.h"
#include "schemas/frame.h"

enum { PAGE_DEFAULT = 50, PAGE_MAX = 200 };

static enum call_next parse_shared(struct call *call, struct shared_ask *ask)
{
    struct cq_span kind = call_param(call, "kind");
    unsigned type = MESSAGE_TYPE_TEXT;

    *ask = (struct shared_ask){ .chat = call->request.path_id[0],
                                .user = call->request.who.user,
                                .before = INT64_MAX,
                                .links = span_eq_str(kind, "link"),
                                .limit = PAGE_DEFAULT,
                                .bytes = REST_PAGE_BYTES };
    if (!call_param_i64(call, "before", &ask->before) ||
        !call_param_i64(call, "limit", &ask->limit) || ask->limit < 1 || ask->limit > PAGE_MAX)
        return call_bad_request(call, "before: a seq; limit: 1 to %d", PAGE_MAX);
    ask->has_type = kind.p && !ask->links;
    if (ask->has_type &&
        (!json_word_find(&frame_type_words, kind, &type) || type == MESSAGE_TYPE_TEXT))
        return call_bad_request(call, "kind: the type of messages with a file, as image; or link");
    ask->type = (int32_t)type;
    return CALL_GO_ON;
}

/* As many as the page holds. *ret_last: the seq of the last place that was looked at. Returns how many places. */
static int out_shared(struct cq_buf *out, const struct pg_result *rows, int64_t limit,
                      int64_t *ret_last)
{
    size_t from = out->n;
    int n = 0;

    for (; n < pg_rows(rows) && n < limit && out->n - from <= REST_PAGE_BYTES; n++) {
        bool is_shown;
        struct message_row row;

        *ret_last = shared_at(rows, n, &is_shown);
        if (!is_shown)
            continue;
        row = message_at(rows, n, 0);
        if (out->n > from)
            buf_add_byte(out, ',');
        render_message(out, &row);
    }
    return n;
}

static enum call_next handle_shared(struct call *call, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_buf *body = &call->reply.body;
    struct shared_ask ask;
    struct chat_view view;
    enum call_next next = parse_shared(call, &ask);
    enum cq_status st;
    int64_t last = 0;
    bool there, more;

    if (next != CALL_GO_ON)
        return next;
    st = view_chat(db, ask.chat, ask.user, &view, &there);
    if (st == CQ_OK && !there)
        return call_not_found(call);
    if (st == CQ_OK)
        st = view_shared(db, &ask, &rows);
    if (st != CQ_OK)
        return call_database(call, st);
    buf_add_str(body, "{\"messages\":[");
    more = out_shared(body, rows, ask.limit, &last) < shared_found(rows);
    buf_add_byte(body, ']');
    if (more)
        out_i64(body, "before", last);
    out_bool(body, "more", more);
    buf_add_byte(body, '}');
    return call_reply(call, 200);
}

static const struct route rows[] = {
    { "GET", "/api/chats/{}/media", true, handle_shared, "the files of a chat", 0, NULL },
};

const struct routes shared_routes = { rows, ARRAY_LEN(rows) };
