/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/polls.c - votes in a poll, its result, and its end. A poll is sent as a message. The verdicts are
 * processors/chat's; which votes count is the view's.
 */
#include "edge/rest/view/polls.h"
#include "edge/rest/api/chats.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"
#include "lib/json/write.h"
#include "schemas/limits.h"

static const char late[] = "stored, but not visible yet: read the poll again later";

struct poll_ask {
    struct chat_view view;
    const int32_t *options;
    size_t options_n;
    int32_t chosen;       /* a bit an option */
    struct target target; /* in the call's arena */
    struct cq_span poll;  /* as the caller is shown it; the same */
    struct ballot ballot;
};

/* The poll of the path, as the caller may see it. */
static enum call_next find_poll(struct call *call, struct pg *db, struct poll_ask *ask)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_id chat = call->request.path_id[0], user = call->request.who.user;
    struct message_row row = { 0 };
    bool there = false;
    enum cq_status st = view_message(db, chat, call->request.path_id[1], user, &rows);

    if (st == CQ_OK && pg_rows(rows) == 1) {
        row = message_at(rows, 0, 0);
        if (row.poll.p)
            st = view_ballot(db, chat, row.seq, user, &ask->ballot, &there);
    }
    if (st != CQ_OK)
        return call_database(call, st);
    if (!there)
        return call_not_found(call);
    ask->target = (struct target){ row.sender, arena_copy(call->arena, row.client_id), row.seq };
    ask->poll = arena_copy(call->arena, row.poll);
    return CALL_GO_ON;
}

static void out_poll(struct call *call, const struct poll_ask *ask)
{
    buf_clear(&call->reply.body);
    buf_add_str(&call->reply.body, "{\"poll\":");
    buf_add_span(&call->reply.body, ask->poll);
}

static enum call_next reply_poll(struct call *call, const struct poll_ask *ask)
{
    out_poll(call, ask);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 200);
}

static enum call_next reply_closed(struct call *call)
{
    return call_error(call, 409, "poll_closed", "the poll takes no votes any more");
}

static enum call_next admit_member(struct call *call, struct pg *db, void *asked)
{
    struct poll_ask *ask = asked;

    return chat_admit(call, db, call->request.path_id[0], &ask->view);
}

/* ---- votes ------------------------------------------------------------------------------ */

static const char vote_rule[] = "options: the places of those chosen, from 0";

static const struct json_member vote_rows[] = {
    JSON_MEMBER("options", JSON_INTS, struct poll_ask, options,
                .n_off = offsetof(struct poll_ask, options_n), .least = 1,
                .most = LIMIT_POLL_OPTIONS, .each_most = LIMIT_POLL_OPTIONS - 1, .rule = vote_rule),
};
static const struct json_members vote_body = JSON_MEMBERS(vote_rows);

static enum call_next parse_vote(struct call *call, void *asked)
{
    struct poll_ask *ask = asked;

    (void)call;
    for (size_t i = 0; i < ask->options_n; i++)
        ask->chosen |= 1 << ask->options[i];
    return CALL_GO_ON;
}

static enum call_next begin_vote(struct call *call, struct pg *db, void *asked)
{
    struct poll_ask *ask = asked;
    enum call_next next = find_poll(call, db, ask);
    struct chat_action *sent;

    if (next != CALL_GO_ON)
        return next;
    if (ask->chosen >> ask->ballot.options_n)
        return call_bad_request(call, "options: the poll has %d, counted from 0",
                                (int)ask->ballot.options_n);
    if (__builtin_popcount((unsigned)ask->chosen) > ask->ballot.choices)
        return call_bad_request(call, "options: one may choose %d", (int)ask->ballot.choices);
    if (ask->chosen == ask->ballot.chosen)
        return reply_poll(call, ask);
    if (ask->ballot.is_closed)
        return reply_closed(call);
    sent = chat_submit(call, &ask->view, span_str(call->request.id));
    sent->action.kind = CHAT_ACTION_POLL_VOTED;
    sent->action.u.poll_voted = (struct poll_voted){ ask->target, ask->chosen };
    return CALL_GO_ON;
}

/* Whether it came in time only the log could say. */
static enum call_next vote_result(struct call *call, struct pg *db, void *asked)
{
    struct poll_ask *ask = asked;
    enum call_next next = find_poll(call, db, ask);

    if (next != CALL_GO_ON)
        return next;
    return ask->ballot.seq >= write_seq(call) ? reply_poll(call, ask) : reply_closed(call);
}

static const struct write vote_write = {
    .asked_bytes = sizeof(struct poll_ask),
    .admit = admit_member,
    .body = &vote_body,
    .parse = parse_vote,
    .begin = begin_vote,
    .result = vote_result,
    .until = WRITE_SHOWN,
    .late = late,
};

static const struct write no_vote_write = {
    .asked_bytes = sizeof(struct poll_ask),
    .admit = admit_member,
    .begin = begin_vote,
    .result = vote_result,
    .until = WRITE_SHOWN,
    .late = late,
};

/* ---- the end ---------------------------------------------------------------------------- */

static enum call_next begin_end(struct call *call, struct pg *db, void *asked)
{
    struct poll_ask *ask = asked;
    enum call_next next = find_poll(call, db, ask);
    struct chat_action *sent;

    if (next != CALL_GO_ON)
        return next;
    if (!id_eq(ask->target.from, call->request.who.user))
        return call_error(call, 403, "forbidden", "only who sent a poll can close it");
    if (ask->ballot.is_closed)
        return reply_poll(call, ask);
    sent = chat_submit(call, &ask->view, span_str(call->request.id));
    sent->action.kind = CHAT_ACTION_POLL_ENDED;
    sent->action.u.poll_ended.target = ask->target;
    return CALL_GO_ON;
}

static enum call_next end_result(struct call *call, struct pg *db, void *asked)
{
    enum call_next next = find_poll(call, db, asked);

    return next == CALL_GO_ON ? reply_poll(call, asked) : next;
}

static const struct write end_write = {
    .asked_bytes = sizeof(struct poll_ask),
    .admit = admit_member,
    .begin = begin_end,
    .result = end_result,
    .until = WRITE_SHOWN,
    .late = late,
};

/* ---- the result ------------------------------------------------------------------------- */

static enum call_next read_poll(struct call *call, struct pg *db, struct poll_ask *ask)
{
    enum call_next next = chat_admit_reader(call, db, call->request.path_id[0], &ask->view);

    return next == CALL_GO_ON ? find_poll(call, db, ask) : next;
}

static enum call_next handle_poll(struct call *call, struct pg *db)
{
    struct poll_ask ask = { 0 };
    enum call_next next = read_poll(call, db, &ask);

    return next == CALL_GO_ON ? reply_poll(call, &ask) : next;
}

static enum call_next handle_votes(struct call *call, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct poll_ask ask = { 0 };
    enum call_next next = read_poll(call, db, &ask);
    enum cq_status st;

    if (next != CALL_GO_ON)
        return next;
    st = view_votes(db, ask.view.id, ask.target.seq, call->request.who.user, &rows);
    if (st != CQ_OK)
        return call_database(call, st);
    out_poll(call, &ask);
    out_key(&call->reply.body, "votes");
    buf_add_span(&call->reply.body, pg_bytes(rows, 0, 0));
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, 200);
}

/* ---- routes ----------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "PUT", "/api/chats/{}/messages/{}/vote", true, write_run, "vote in a poll", ROUTE_FANOUT,
      &vote_write },
    { "DELETE", "/api/chats/{}/messages/{}/vote", true, write_run, "take my vote back",
      ROUTE_FANOUT, &no_vote_write },
    { "PUT", "/api/chats/{}/messages/{}/close", true, write_run, "close a poll of mine",
      ROUTE_FANOUT, &end_write },
    { "GET", "/api/chats/{}/messages/{}/poll", true, handle_poll, "a poll and its result", 0,
      NULL },
    { "GET", "/api/chats/{}/messages/{}/votes", true, handle_votes, "who chose what in a poll", 0,
      NULL },
};

const struct routes polls_routes = { rows, ARRAY_LEN(rows) };
