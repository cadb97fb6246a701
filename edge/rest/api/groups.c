/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/groups.c - what a group says and shows of itself, and who may do what in it. The verdicts are processors/chat's.
 */
#include "edge/rest/api/chats.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/view/media.h"
#include "ingest/validate.h"
#include "schemas/frame.h"

static const char late[] = "stored, but not visible yet: read the chat again later";

/* `view` is what the ask begins with. */
static enum call_next admit_member(struct call *call, struct pg *db, void *asked)
{
    struct chat_view *view = asked;
    enum call_next next = chat_admit(call, db, call->request.path_id[0], view);

    if (next == CALL_GO_ON && !view->is_group)
        return call_bad_request(call,
                                "chatId: of a direct chat, which has no description, no picture "
                                "and no rights; name a group");
    return next;
}

/* ---- the description ------------------------------------------------------------------- */

struct description_ask {
    struct chat_view view;
    struct cq_span description;
};

static const struct json_member description_rows[] = {
    JSON_MEMBER("description", JSON_TEXT, struct description_ask, description,
                .good = description_good,
                .rule = "description: up to " LIMIT_DESCRIPTION_CHARS_TEXT
                        " characters in " LIMIT_DESCRIPTION_BYTES_TEXT
                        " bytes, no control characters but line ends and tabs"),
};
static const struct json_members description_body = JSON_MEMBERS(description_rows);

static enum call_next begin_description(struct call *call, struct pg *db, void *asked)
{
    const struct description_ask *ask = asked;
    struct chat_action *sent = chat_submit(call, &ask->view, span_str(call->request.id));

    (void)db;
    sent->action.kind = CHAT_ACTION_GROUP_DESCRIBED;
    sent->action.u.group_described.description = ask->description;
    return CALL_GO_ON;
}

static enum call_next description_result(struct call *call, struct pg *db, void *asked)
{
    const struct description_ask *ask = asked;
    bool is_set = false;
    enum cq_status st = view_description_set(db, ask->view.id, write_seq(call), &is_set);

    if (st != CQ_OK)
        return call_database(call, st);
    return is_set ? write_done(call, 200) : CALL_GO_ON;
}

static const struct write description_write = {
    .asked_bytes = sizeof(struct description_ask),
    .admit = admit_member,
    .body = &description_body,
    .begin = begin_description,
    .result = description_result,
    .until = WRITE_SHOWN,
    .late = late,
};

/* ---- the picture ----------------------------------------------------------------------- */

struct picture_ask {
    struct chat_view view;
    struct cq_span text;  /* as it was sent */
    struct cq_id picture; /* zero: none */
};

static const char picture_rule[] = "picture: the id of an image that you uploaded, or empty";

static bool picture_good(struct cq_span text)
{
    struct cq_id id;

    return !text.n || (id_parse(text, &id) && !id_is_zero(id));
}

static const struct json_member picture_rows[] = {
    JSON_MEMBER("picture", JSON_TEXT, struct picture_ask, text, .good = picture_good,
                .rule = picture_rule),
};
static const struct json_members picture_body = JSON_MEMBERS(picture_rows);

static enum call_next begin_picture(struct call *call, struct pg *db, void *asked)
{
    struct picture_ask *ask = asked;
    bool is_own = !ask->text.n || id_parse(ask->text, &ask->picture);
    struct chat_action *sent;
    enum cq_status st =
        ask->text.n ? media_is_own_image(db, ask->picture, call->request.who.user, &is_own) : CQ_OK;

    if (st != CQ_OK)
        return call_database(call, st);
    if (!is_own)
        return call_bad_request(call, "%s", picture_rule);
    sent = chat_submit(call, &ask->view, span_str(call->request.id));
    sent->action.kind = CHAT_ACTION_GROUP_PICTURED;
    sent->action.u.group_pictured = (struct group_pictured){ ask->text.n > 0, ask->picture };
    return CALL_GO_ON;
}

static enum call_next picture_result(struct call *call, struct pg *db, void *asked)
{
    const struct picture_ask *ask = asked;
    bool is_set = false;
    enum cq_status st = view_picture_set(db, ask->view.id, write_seq(call), &is_set);

    if (st != CQ_OK)
        return call_database(call, st);
    return is_set ? write_done(call, 200) : CALL_GO_ON;
}

static const struct write picture_write = {
    .asked_bytes = sizeof(struct picture_ask),
    .admit = admit_member,
    .body = &picture_body,
    .begin = begin_picture,
    .result = picture_result,
    .until = WRITE_SHOWN,
    .late = late,
};

/* ---- rights ---------------------------------------------------------------------------- */

struct rights_ask {
    struct chat_view view;
    struct rights_set set;
};

#define RIGHT_ROW(name, field)                                                    \
    JSON_OPTIONAL(name, JSON_WORD, struct rights_ask, set.field, set.has_##field, \
                  .words = &frame_holders_words, .rule = name ": everyone or admins")

static const struct json_member rights_rows[] = {
    RIGHT_ROW("send", send),
    RIGHT_ROW("info", info),
    RIGHT_ROW("add", add),
};
static const struct json_members rights_body = JSON_MEMBERS(rights_rows);

static enum call_next parse_rights(struct call *call, void *asked)
{
    const struct rights_ask *ask = asked;

    return ask->set.has_send || ask->set.has_info || ask->set.has_add
               ? CALL_GO_ON
               : call_bad_request(call, "send, info, add: at least one of them");
}

static enum call_next begin_rights(struct call *call, struct pg *db, void *asked)
{
    const struct rights_ask *ask = asked;
    struct chat_action *sent;

    (void)db;
    if (ask->view.role == MEMBER_ROLE_MEMBER)
        return write_rejected(call, span_str("forbidden"));
    sent = chat_submit(call, &ask->view, span_str(call->request.id));
    sent->action.kind = CHAT_ACTION_RIGHTS_SET;
    sent->action.u.rights_set = ask->set;
    return CALL_GO_ON;
}

static enum call_next rights_result(struct call *call, struct pg *db, void *asked)
{
    const struct rights_ask *ask = asked;
    bool is_set = false;
    enum cq_status st = view_rights_set(db, ask->view.id, write_seq(call), &is_set);

    if (st != CQ_OK)
        return call_database(call, st);
    return is_set ? write_done(call, 200) : CALL_GO_ON;
}

static const struct write rights_write = {
    .asked_bytes = sizeof(struct rights_ask),
    .admit = admit_member,
    .body = &rights_body,
    .parse = parse_rights,
    .begin = begin_rights,
    .result = rights_result,
    .until = WRITE_SHOWN,
    .late = late,
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "PUT", "/api/chats/{}/description", true, write_run, "what a group says of itself",
      ROUTE_FANOUT, &description_write },
    { "PUT", "/api/chats/{}/picture", true, write_run, "a group's picture", ROUTE_FANOUT,
      &picture_write },
    { "PUT", "/api/chats/{}/rights", true, write_run, "who may do what in a group", ROUTE_FANOUT,
      &rights_write },
};

const struct routes groups_routes = { rows, ARRAY_LEN(rows) };
