/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/marks.c - where a chat stands in a user's own list: archived, pinned, marked unread,
 * and what he began to write in it. Others are told nothing.
 */
#include "edge/rest/view/marks.h"
#include "edge/rest/api/chats.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/render/chats.h"
#include "edge/rest/server/answer.h"
#include "ingest/validate.h"
#include "schemas/limits.h"

struct marks_ask {
    struct chat_view view;
    bool has_archived, archived, has_pinned, pinned, has_unread, unread, has_read;
    bool has_draft, has_draft_after;
    struct cq_span draft;
    int64_t read_seq, draft_after;
};

static const struct json_member marks_rows[] = {
    JSON_OPTIONAL("archived", JSON_BOOL, struct marks_ask, archived, has_archived,
                  .rule = "archived: true or false"),
    JSON_OPTIONAL("pinned", JSON_BOOL, struct marks_ask, pinned, has_pinned,
                  .rule = "pinned: true or false"),
    JSON_OPTIONAL("markedUnread", JSON_BOOL, struct marks_ask, unread, has_unread,
                  .rule = "markedUnread: true or false"),
    JSON_OPTIONAL("readSeq", JSON_NUMBER, struct marks_ask, read_seq, has_read, .most = INT64_MAX,
                  .rule = "readSeq: a seq up to which you have read the chat, 0 to 2^53 - 1"),
    JSON_OPTIONAL("draft", JSON_TEXT, struct marks_ask, draft, has_draft, .good = draft_good,
                  .rule = "draft: text of " LIMIT_DRAFT_BYTES_TEXT
                          " bytes at most, no control characters but line ends and tabs"),
    JSON_OPTIONAL("draftAfter", JSON_NUMBER, struct marks_ask, draft_after, has_draft_after,
                  .most = INT64_MAX,
                  .rule = "draftAfter: the last seq of the chat that you have, 0 to 2^53 - 1"),
};
static const struct json_members marks_body = JSON_MEMBERS(marks_rows);

static bool marks_anything(const struct marks_ask *ask)
{
    return ask->archived || ask->pinned || ask->unread;
}

/* Who left may take back what he had marked, and mark nothing. */
static enum call_next admit_marker(struct call *call, struct pg *db, void *asked)
{
    struct marks_ask *ask = asked;

    return chat_admit_reader(call, db, call->request.path_id[0], &ask->view);
}

static enum call_next parse_marks(struct call *call, void *asked)
{
    const struct marks_ask *ask = asked;

    if ((marks_anything(ask) || ask->draft.n) && !ask->view.present && !ask->view.blocked)
        return call_not_found(call);
    if (!ask->has_archived && !ask->has_pinned && !ask->has_unread && !ask->has_draft)
        return call_bad_request(call,
                                "archived, pinned, markedUnread, draft: at least one of them");
    if (ask->archived && ask->pinned)
        return call_bad_request(call, "archived, pinned: a chat is one of them, not both");
    if (ask->has_read && !ask->unread)
        return call_bad_request(call, "readSeq: only with markedUnread true");
    if (ask->has_draft_after && !ask->draft.n)
        return call_bad_request(call, "draftAfter: only with a draft");
    return CALL_GO_ON;
}

static enum call_next begin_marks(struct call *call, struct pg *db, void *asked)
{
    const struct marks_ask *ask = asked;
    struct marks_room room;
    struct user_action *sent;
    enum cq_status st = view_marks_room(db, call->request.who.user, ask->view.id, &room);

    if (st != CQ_OK)
        return call_database(call, st);
    if (ask->pinned && room.pinned_n >= LIMIT_PINS)
        return call_error(call, 409, "too_many_pins",
                          "pinned: %d chats are, as many as one may; unpin one first", LIMIT_PINS);
    if (marks_anything(ask) && room.marked_n >= LIMIT_MARKS)
        return call_error(
            call, 413, "too_large",
            "archived, pinned, markedUnread: %d chats are marked, as many as one may; "
            "take one back first",
            LIMIT_MARKS);
    sent = call_submit_user(call, call->request.who.user, call->request.who.device);
    sent->action.kind = USER_ACTION_CHAT_MARKED;
    sent->action.u.chat_marked = (struct chat_marked){
        .chat_id = ask->view.id,
        .has_archived = ask->has_archived,
        .archived = ask->archived,
        .has_pinned = ask->has_pinned,
        .pinned = ask->pinned,
        .has_marked_unread = ask->has_unread,
        .marked_unread = ask->unread,
        .read_seq = ask->has_read ? ask->read_seq
                    : ask->unread ? room.read
                                  : 0,
        .has_draft = ask->has_draft,
        .draft = ask->draft,
        .draft_after = ask->has_draft_after ? ask->draft_after
                       : ask->draft.n       ? room.last
                                            : 0,
    };
    return CALL_GO_ON;
}

static enum call_next marks_result(struct call *call, struct pg *db, void *asked)
{
    const struct marks_ask *ask = asked;
    struct cq_span marks;
    enum cq_status st = view_marks(db, call->arena, call->request.who.user, ask->view.id, &marks);

    if (st != CQ_OK)
        return call_database(call, st);
    buf_clear(&call->reply.body);
    render_marks(&call->reply.body, marks);
    return call_reply(call, 200);
}

static const struct write marks_write = {
    .asked_bytes = sizeof(struct marks_ask),
    .admit = admit_marker,
    .body = &marks_body,
    .parse = parse_marks,
    .begin = begin_marks,
    .result = marks_result,
    .until = WRITE_PASSED,
    .late = "stored, but not visible yet: read the chat again later",
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "PATCH", "/api/chats/{}/marks", true, write_run, "where a chat stands in my list", 0,
      &marks_write },
};

const struct routes marks_routes = { rows, ARRAY_LEN(rows) };
