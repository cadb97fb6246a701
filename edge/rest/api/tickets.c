/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/tickets.c - tickets by which a session may look at who types, or who is here:
 * gateways cannot ask the view, so whoever may is asked here and signed for five minutes.
 */
#include "edge/rest/api/chats.h"
#include "edge/rest/api/conf.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/view/presence.h"
#include "lib/jwt/ticket.h"

/* Who may see the signals of a chat, and whose are shown there: who is in it now. A rule that hides
 * somebody from somebody belongs here, and for users below. */
static enum call_next admit_chat(struct call *call, struct pg *db, struct cq_id chat)
{
    struct chat_view view;

    return chat_admit(call, db, chat, &view);
}

/* Who may see whether a user is here, and when he was last: whom he shows it to. For everybody else
 * he is not there, whether there is such a user or not. */
static enum call_next admit_user(struct call *call, struct pg *db, struct cq_id user)
{
    const struct presence_ask ask = { user, call->request.who.user, call->request.at_ms };
    bool is_shown = false;
    enum cq_status st = view_presence_shown(db, call->arena, &ask, &is_shown);

    if (st != CQ_OK)
        return call_database(call, st);
    return is_shown ? CALL_GO_ON : call_not_found(call);
}

struct ticket_ask {
    struct cq_id session;
};

static const struct json_member ticket_rows[] = {
    JSON_MEMBER("session", JSON_ID, struct ticket_ask, session,
                .rule = "session: the one of the frame `ready`"),
};
static const struct json_members ticket_body = JSON_MEMBERS(ticket_rows);

static void out_ticket(struct call *call, const struct ticket_ask *ask, enum ticket_kind kind)
{
    struct ticket ticket = { .kind = kind,
                             .user = call->request.who.user,
                             .session = ask->session,
                             .subject = call->request.path_id[0],
                             .issued_ms = call->request.at_ms };
    char text[TICKET_TEXT_MAX];

    ticket_sign(call->conf->keys, &ticket, text);
    buf_add_byte(&call->reply.body, '{');
    out_text(&call->reply.body, "ticket", span_str(text));
    out_i64(&call->reply.body, "until", ticket.issued_ms + TICKET_LIFE_MS);
}

static enum call_next begin_chat_ticket(struct call *call, struct pg *db, void *asked)
{
    enum call_next next = admit_chat(call, db, call->request.path_id[0]);

    if (next != CALL_GO_ON)
        return next;
    out_ticket(call, asked, TICKET_CHAT);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 200);
}

static enum call_next begin_user_ticket(struct call *call, struct pg *db, void *asked)
{
    enum call_next next = admit_user(call, db, call->request.path_id[0]);
    int64_t seen_ms = 0;
    enum cq_status st;

    if (next != CALL_GO_ON)
        return next;
    st = view_seen_at(db, call->request.path_id[0], &seen_ms);
    if (st != CQ_OK)
        return call_database(call, st);
    out_ticket(call, asked, TICKET_USER);
    if (seen_ms)
        out_i64(&call->reply.body, "seenAt", seen_ms);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 200);
}

/* Reads: nothing enters the log. */
static const struct write chat_ticket = {
    .asked_bytes = sizeof(struct ticket_ask),
    .body = &ticket_body,
    .begin = begin_chat_ticket,
};

static const struct write user_ticket = {
    .asked_bytes = sizeof(struct ticket_ask),
    .body = &ticket_body,
    .begin = begin_user_ticket,
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "POST", "/api/chats/{}/ticket", true, write_run, "to look at who types in a chat", 0,
      &chat_ticket },
    { "POST", "/api/users/{}/ticket", true, write_run, "to look at whether somebody is here", 0,
      &user_ticket },
};

const struct routes tickets_routes = { rows, ARRAY_LEN(rows) };
