/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/lines.c - what happened in a chat besides its messages, a page at a time.
 */
#include "edge/rest/view/lines.h"
#include "edge/rest/api/chat_pages.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/server/query.h"
#include "edge/rest/view/chats.h"
#include "lib/json/write.h"

enum { LIMIT_DEFAULT = 50, LIMIT_MAX = 200, NOT_GIVEN = -1 };

/* As a history is asked for. */
static enum call_next parse_lines(struct call *call, struct history_ask *ask)
{
    *ask = (struct history_ask){ .chat = call->request.path_id[0],
                                 .user = call->request.who.user,
                                 .after = NOT_GIVEN,
                                 .before = INT64_MAX,
                                 .limit = LIMIT_DEFAULT,
                                 .bytes = REST_PAGE_BYTES };
    if (!call_param_i64(call, "before", &ask->before) ||
        !call_param_i64(call, "after", &ask->after) ||
        !call_param_i64(call, "limit", &ask->limit) || ask->limit < 1 || ask->limit > LIMIT_MAX)
        return call_bad_request(call, "before, after: seqs; limit: 1 to %d", LIMIT_MAX);
    ask->forward = ask->after != NOT_GIVEN && ask->before == INT64_MAX;
    return CALL_GO_ON;
}

static enum call_next handle_lines(struct call *call, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_buf *body = &call->reply.body;
    struct history_ask ask;
    struct chat_view view;
    enum call_next next = parse_lines(call, &ask);
    enum cq_status st;
    bool there;
    int n;

    if (next != CALL_GO_ON)
        return next;
    st = view_chat(db, ask.chat, ask.user, &view, &there);
    if (st == CQ_OK && !there)
        return call_not_found(call);
    if (st == CQ_OK)
        st = view_lines(db, &ask, &rows);
    if (st != CQ_OK)
        return call_database(call, st);
    n = pg_rows(rows) > ask.limit ? (int)ask.limit : pg_rows(rows);
    buf_add_str(body, "{\"lines\":[");
    for (int i = 0; i < n; i++) {
        if (i)
            buf_add_byte(body, ',');
        buf_add_span(body, line_at(rows, ask.forward ? i : n - 1 - i));
    }
    buf_add_byte(body, ']');
    out_bool(body, "more", lines_found(rows) > n);
    buf_add_byte(body, '}');
    return call_reply(call, 200);
}

static const struct route rows[] = {
    { "GET", "/api/chats/{}/lines", true, handle_lines, "what happened besides messages", 0, NULL },
};

const struct routes lines_routes = { rows, ARRAY_LEN(rows) };
