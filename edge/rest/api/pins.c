/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/pins.c - messages that stand above the others of their chat, and those that one user wants to find
 * again. The verdicts are processors/chat's.
 */
#include "edge/rest/view/pins.h"
#include "edge/rest/api/chat_pages.h"
#include "edge/rest/api/chats.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/render/messages.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/server/query.h"
#include "lib/json/write.h"
#include "schemas/limits.h"

#include <stdio.h>

static const char late[] = "stored, but not visible yet: read the chat again later";

struct kept_ask {
    struct chat_view view;
    struct target target; /* in the call's arena */
    bool starred;
    bool is_nothing; /* deleted, or gone for the caller */
};

/* What of the message of the path counts here; CALL_GO_ON when the caller may see where it is. */
static enum call_next find_message(struct call *call, struct pg *db, struct kept_ask *ask)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct message_row row;
    enum cq_status st =
        view_message(db, ask->view.id, call->request.path_id[1], call->request.who.user, &rows);

    if (st != CQ_OK)
        return call_database(call, st);
    if (pg_rows(rows) != 1)
        return call_not_found(call);
    row = message_at(rows, 0, 0);
    ask->target = (struct target){ row.sender, arena_copy(call->arena, row.client_id), row.seq };
    ask->starred = row.starred;
    ask->is_nothing = row.deleted || row.gone != GONE_NOT;
    return CALL_GO_ON;
}

static enum call_next done(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    (void)asked;
    return write_done(call, 200);
}

/* ---- pins ------------------------------------------------------------------------------- */

static enum call_next admit_member(struct call *call, struct pg *db, void *asked)
{
    struct kept_ask *ask = asked;

    return chat_admit(call, db, call->request.path_id[0], &ask->view);
}

static enum call_next submit_pin(struct call *call, struct pg *db, struct kept_ask *ask,
                                 bool pinned)
{
    struct chat_action *sent;
    bool is_pinned = false;
    enum cq_status st = view_pinned(db, ask->view.id, ask->target.seq, &is_pinned);

    if (st != CQ_OK)
        return call_database(call, st);
    if (is_pinned == pinned)
        return write_done(call, 200);
    sent = chat_submit(call, &ask->view, span_str(call->request.id));
    sent->action.kind = CHAT_ACTION_MESSAGE_PINNED;
    sent->action.u.message_pinned = (struct message_pinned){ ask->target, pinned };
    return CALL_GO_ON;
}

static enum call_next begin_pin(struct call *call, struct pg *db, void *asked)
{
    struct kept_ask *ask = asked;
    enum call_next next = find_message(call, db, ask);

    if (next != CALL_GO_ON)
        return next;
    return ask->is_nothing ? call_not_found(call) : submit_pin(call, db, ask, true);
}

static enum call_next begin_unpin(struct call *call, struct pg *db, void *asked)
{
    enum call_next next = find_message(call, db, asked);

    return next == CALL_GO_ON ? submit_pin(call, db, asked, false) : next;
}

static const struct write pin_write = {
    .asked_bytes = sizeof(struct kept_ask),
    .admit = admit_member,
    .begin = begin_pin,
    .result = done,
    .until = WRITE_SHOWN,
    .late = late,
};

static const struct write unpin_write = {
    .asked_bytes = sizeof(struct kept_ask),
    .admit = admit_member,
    .begin = begin_unpin,
    .result = done,
    .until = WRITE_SHOWN,
    .late = late,
};

/* ---- stars ------------------------------------------------------------------------------ */

/* Who left a chat still has what was said until then. */
static enum call_next admit_reader(struct call *call, struct pg *db, void *asked)
{
    struct kept_ask *ask = asked;

    return chat_admit_reader(call, db, call->request.path_id[0], &ask->view);
}

static enum call_next submit_star(struct call *call, const struct kept_ask *ask, bool starred)
{
    struct chat_action *sent = chat_submit(call, &ask->view, span_str(call->request.id));

    sent->action.kind = CHAT_ACTION_MESSAGE_STARRED;
    sent->action.u.message_starred =
        (struct message_starred){ { call->request.path_id[1], ask->target.seq }, starred };
    return CALL_GO_ON;
}

static enum call_next begin_star(struct call *call, struct pg *db, void *asked)
{
    struct kept_ask *ask = asked;
    enum call_next next = find_message(call, db, ask);
    bool is_full = false;
    enum cq_status st;

    if (next != CALL_GO_ON)
        return next;
    if (ask->is_nothing)
        return call_not_found(call);
    if (ask->starred)
        return write_done(call, 200);
    st = view_stars_full(db, call->request.who.user, &is_full);
    if (st != CQ_OK)
        return call_database(call, st);
    if (is_full)
        return call_error(
            call, 409, "too_many_stars",
            "messageId: you starred %d messages, as many as one may; take a star back first",
            LIMIT_STARRED);
    return submit_star(call, ask, true);
}

static enum call_next begin_unstar(struct call *call, struct pg *db, void *asked)
{
    const struct kept_ask *ask = asked;
    enum call_next next = find_message(call, db, asked);

    if (next != CALL_GO_ON)
        return next;
    return ask->starred ? submit_star(call, ask, false) : write_done(call, 200);
}

static const struct write star_write = {
    .asked_bytes = sizeof(struct kept_ask),
    .admit = admit_reader,
    .begin = begin_star,
    .result = done,
    .until = WRITE_SHOWN,
    .late = late,
};

static const struct write unstar_write = {
    .asked_bytes = sizeof(struct kept_ask),
    .admit = admit_reader,
    .begin = begin_unstar,
    .result = done,
    .until = WRITE_SHOWN,
    .late = late,
};

/* ---- the list of stars ------------------------------------------------------------------ */

enum { PAGE_DEFAULT = 50, PAGE_MAX = 200, CURSOR_DIGITS = 18 };

/* Time, seq and chat of the last one of the page before. */
static bool parse_cursor(struct cq_span text, struct star_place *ret)
{
    return span_take_digits(&text, '.', CURSOR_DIGITS, &ret->at_ms) &&
           span_take_digits(&text, '.', CURSOR_DIGITS, &ret->target) && id_parse(text, &ret->chat);
}

/* As many as the page holds. *ret_last: the last place that was looked at. Returns how many places. */
static int out_stars(struct cq_buf *out, const struct pg_result *rows, int64_t limit,
                     struct star_place *ret_last)
{
    size_t from = out->n;
    int n = 0;

    while (n < pg_rows(rows) && n < limit && out->n - from <= REST_PAGE_BYTES) {
        bool is_shown = star_at(rows, n, ret_last);
        struct message_row row;

        if (is_shown) {
            row = message_at(rows, n, 0);
            if (out->n > from)
                buf_add_byte(out, ',');
            render_message(out, &row);
        }
        n++;
    }
    return n;
}

static enum call_next handle_starred(struct call *call, struct pg *db)
{
    struct cq_span text = call_param(call, "cursor");
    struct star_place behind = { 0 }, last = { 0 };
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_buf *body = &call->reply.body;
    int64_t limit = PAGE_DEFAULT;
    char cursor[96];
    enum cq_status st;
    bool more;

    if (!call_param_i64(call, "limit", &limit) || limit < 1 || limit > PAGE_MAX)
        return call_bad_request(call, "limit: 1 to %d", PAGE_MAX);
    if (text.n && !parse_cursor(text, &behind))
        return call_bad_request(call, "cursor: must be the one that the page before gave");
    st = view_stars(db, call->request.who.user, text.n ? &behind : NULL, limit, REST_PAGE_BYTES,
                    &rows);
    if (st != CQ_OK)
        return call_database(call, st);
    buf_add_str(body, "{\"messages\":[");
    more = out_stars(body, rows, limit, &last) < stars_found(rows);
    buf_add_byte(body, ']');
    if (more) {
        snprintf(cursor, sizeof cursor, "%lld.%lld.%s", (long long)last.at_ms,
                 (long long)last.target, id_text(last.chat).s);
        out_text(body, "cursor", span_str(cursor));
    }
    out_bool(body, "more", more);
    buf_add_byte(body, '}');
    return call_reply(call, 200);
}

/* ---- routes ----------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "PUT", "/api/chats/{}/messages/{}/pin", true, write_run, "pin a message", ROUTE_FANOUT,
      &pin_write },
    { "DELETE", "/api/chats/{}/messages/{}/pin", true, write_run, "take a pin back", ROUTE_FANOUT,
      &unpin_write },
    { "PUT", "/api/chats/{}/messages/{}/star", true, write_run, "star a message", 0, &star_write },
    { "DELETE", "/api/chats/{}/messages/{}/star", true, write_run, "take a star back", 0,
      &unstar_write },
    { "GET", "/api/starred", true, handle_starred, "what I starred", 0, NULL },
};

const struct routes pins_routes = { rows, ARRAY_LEN(rows) };
