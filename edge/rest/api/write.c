/* SPDX-License-Identifier: MIT */
#include "edge/rest/api/write.h"

#include "edge/rest/server/answer.h"
#include "edge/rest/server/route.h"
#include "edge/rest/view/chats.h"
#include "schemas/limits.h"
#include "schemas/topics.h"

#include <stddef.h>

/* A write on its way: the state of its call. */
struct writing {
    bool is_logged;
    max_align_t asked[];
};

int64_t write_seq(const struct call *call)
{
    return seq_make(TOPIC_GENERATION, call->log.submits[0].offset);
}

enum call_next write_rejected(struct call *call, struct cq_span code)
{
    if (span_eq_str(code, "not_found"))
        return call_not_found(call);
    if (span_eq_str(code, "forbidden"))
        return call_error(
            call, 403, "forbidden",
            "neither your role in this chat nor the rights of its members allow it, or you have "
            "blocked its other user");
    if (span_eq_str(code, "conflict"))
        return call_error(call, 409, "conflict",
                          "clientId: used before for something else, use a new one");
    if (span_eq_str(code, "too_late"))
        return call_error(
            call, 409, "too_late",
            "messageId: messages can be edited for %d minutes, and deleted for %d hours",
            LIMIT_EDIT_MINUTES, LIMIT_DELETE_HOURS);
    if (span_eq_str(code, "stale_target"))
        return call_error(call, 409, "stale_target",
                          "messageId: stands at another place by now, read it and ask again");
    if (span_eq_str(code, "too_many_blocks"))
        return call_error(call, 409, "too_many_blocks",
                          "userId: you have blocked this user %d times, as often as one may",
                          LIMIT_BLOCKS_CHAT);
    if (span_eq_str(code, "too_many_requests"))
        return call_error(
            call, 409, "too_many_requests",
            "you asked to be let into this group several times, or %d ask, as many as may: "
            "ask again later",
            LIMIT_REQUESTS);
    if (span_eq_str(code, "too_many_uses"))
        return call_error(call, 409, "too_many_uses",
                          "as many have joined by this link as may: add the user instead");
    if (span_eq_str(code, "too_many_invites"))
        return call_error(
            call, 409, "too_many_invites",
            "the group has %d links, as many as it may: revoke one, or answer who asks by "
            "one; or you made many lately: use one of them",
            LIMIT_INVITES);
    if (span_eq_str(code, "too_many_returns"))
        return call_error(call, 409, "too_many_returns",
                          "the user came into this group as often as one may: make another group");
    if (span_eq_str(code, "too_large") || span_eq_str(code, "too_many_members"))
        return call_error(call, 413, "too_large",
                          "too large, or too many members: /api/config has the limits");
    return call_bad_request(call, "the chat refused it (%.*s): read the chat again",
                            SPAN_FMT(code));
}

enum call_next write_done(struct call *call, int status)
{
    buf_clear(&call->reply.body);
    buf_add_str(&call->reply.body, "{}");
    return call_reply(call, status);
}

/* ---- before the log ------------------------------------------------------------------- */

/* NULL, or what is wrong with the body. */
static const char *read_body(struct call *call, const struct write *row, void *asked)
{
    const char *why = json_members_read(call->request.json, row->body, asked, &call->arena);

    return why && row->or_body
               ? json_members_read(call->request.json, row->or_body, asked, &call->arena)
               : why;
}

static enum call_next start(struct call *call, struct pg *db, const struct write *row)
{
    struct writing *writing = arena_alloc(call->arena, sizeof *writing + row->asked_bytes);
    enum call_next next = CALL_GO_ON;
    const char *why;

    if (!writing)
        return call_internal(call);
    call->state = writing;
    if (row->admit)
        next = row->admit(call, db, writing->asked);
    if (next == CALL_GO_ON && row->body) {
        why = read_body(call, row, writing->asked);
        next = why ? call_bad_request(call, "%s", why) : CALL_GO_ON;
    }
    if (next == CALL_GO_ON && row->parse)
        next = row->parse(call, writing->asked);
    if (next == CALL_GO_ON)
        next = row->begin(call, db, writing->asked);
    return next == CALL_GO_ON ? CALL_SUBMIT : next;
}

/* ---- behind the log ------------------------------------------------------------------- */

static enum call_next look_for_rejection(struct call *call, struct pg *db)
{
    const struct call_submit *sent = &call->log.submits[0];
    struct cq_span code;
    enum cq_status st = view_rejection(db, call->arena, sent->partition, sent->offset, &code);

    if (st != CQ_OK)
        return call_database(call, st);
    return code.p ? write_rejected(call, code) : CALL_GO_ON;
}

/* Whether the view can have the result now. */
static bool may_have_result(const struct call *call, const struct write *row)
{
    switch (row->until) {
    case WRITE_LOGGED:
    case WRITE_FOUND: /* another request with the same clientId may have brought it */
    case WRITE_TOLD:
        return true;
    case WRITE_PASSED:
    case WRITE_SHOWN:
        break;
    }
    return call->wait.passed || (call->wait.in_vain && row->is_blind);
}

static enum call_next look(struct call *call, struct pg *db, const struct write *row, void *asked)
{
    enum call_next next = CALL_GO_ON;

    if (row->until == WRITE_SHOWN)
        next = look_for_rejection(call, db);
    if (next == CALL_GO_ON && may_have_result(call, row))
        next = row->result(call, db, asked);
    if (next == CALL_GO_ON && row->until == WRITE_FOUND)
        next = look_for_rejection(call, db);
    if (next != CALL_GO_ON)
        return next;
    if (call->wait.timed_out)
        return call_unavailable(call, row->late);
    if (call->wait.passed || row->until == WRITE_TOLD)
        return call_look_again(call);
    return call_wait_for(call, call->log.submits_n - 1);
}

static enum call_next logged(struct call *call, struct pg *db, const struct write *row, void *asked)
{
    enum call_next next = row->logged ? row->logged(call, db, asked) : CALL_GO_ON;

    if (next != CALL_GO_ON)
        return next;
    if (row->until == WRITE_LOGGED || row->until == WRITE_TOLD)
        return look(call, db, row, asked);
    return call_wait_for(call, call->log.submits_n - 1);
}

enum call_next write_run(struct call *call, struct pg *db)
{
    const struct write *row = call->route->write;
    struct writing *writing = call->state;

    if (!writing)
        return start(call, db, row);
    if (call->log.unknown)
        return call_unknown(call);
    if (call->wait.in_vain && !row->is_blind)
        return call_view_incomplete(call);
    if (writing->is_logged)
        return look(call, db, row, writing->asked);
    writing->is_logged = true;
    return logged(call, db, row, writing->asked);
}
