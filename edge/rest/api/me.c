/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/me.c - who I am, and what I show of myself. A picture is an image that I uploaded;
 * the media road makes the small one of it.
 */
#include "edge/rest/api/me.h"

#include "edge/auth/accounts.h"
#include "edge/rest/api/fields.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/render/users.h"
#include "edge/rest/view/media.h"
#include "schemas/frame.h"

enum call_next me_reply(struct call *call, struct pg *db)
{
    struct user_profile me;
    char number[PHONE_MAX + 1];
    enum cq_status st = view_own_profile(db, call->arena, call->request.who.user, &me);

    if (st == CQ_OK)
        st = account_number(db, me.id, number);
    if (st != CQ_OK)
        return call_database(call, st);
    render_me(&call->reply.body, &me, number, call->request.who.device);
    return call_reply(call, 200);
}

struct me_ask {
    struct cq_span name, about;
    bool has_name, has_about, has_picture;
    struct cq_span picture_text; /* as it was sent */
    struct cq_id picture;        /* zero: none */
    bool has_privacy, has_read_receipts, read_receipts;
    struct frame_privacy privacy;
};

static bool picture_good(struct cq_span text)
{
    struct cq_id id;

    return !text.n || (id_parse(text, &id) && !id_is_zero(id));
}

static const char picture_rule[] = "picture: the id of an image that you uploaded, or empty";

static const char privacy_rule[] =
    "privacy: lastSeen, picture, about or several of them, each everyone, contacts or nobody";

static const struct json_member me_rows[] = {
    JSON_OPTIONAL("name", JSON_TEXT, struct me_ask, name, has_name, .good = display_name_good,
                  .rule = FIELD_NAME_WORDS),
    JSON_OPTIONAL("about", JSON_TEXT, struct me_ask, about, has_about, .good = about_good,
                  .rule = "about: " LIMIT_ABOUT_CHARS_TEXT " characters in " LIMIT_ABOUT_BYTES_TEXT
                          " bytes at most; " FIELD_NAME_RULE),
    JSON_OPTIONAL("picture", JSON_TEXT, struct me_ask, picture_text, has_picture,
                  .good = picture_good, .rule = picture_rule),
    JSON_OPTIONAL("privacy", JSON_OBJECT, struct me_ask, privacy, has_privacy,
                  .items = &frame_privacy_members, .rule = privacy_rule),
    JSON_OPTIONAL("readReceipts", JSON_BOOL, struct me_ask, read_receipts, has_read_receipts,
                  .rule = "readReceipts: true or false"),
};
static const struct json_members me_body = JSON_MEMBERS(me_rows);

static bool has_details(const struct me_ask *ask)
{
    return ask->has_about || ask->has_picture || ask->has_privacy || ask->has_read_receipts;
}

static enum call_next parse_me(struct call *call, void *asked)
{
    struct me_ask *ask = asked;

    if (!ask->has_name && !has_details(ask))
        return call_bad_request(
            call, "name, about, picture, privacy, readReceipts: at least one of them");
    if (ask->has_privacy && frame_privacy_is_empty(&ask->privacy))
        return call_bad_request(call, "%s", privacy_rule);
    if (ask->picture_text.n && !id_parse(ask->picture_text, &ask->picture))
        return call_bad_request(call, "%s", picture_rule);
    return CALL_GO_ON;
}

static struct user_action *submit_mine(struct call *call)
{
    return call_submit_user(call, call->request.who.user, call->request.who.device);
}

static void submit_details(struct call *call, const struct me_ask *ask)
{
    struct user_action *sent = submit_mine(call);

    sent->action.kind = USER_ACTION_PROFILE_DETAILS_EDITED;
    sent->action.u.profile_details_edited = (struct profile_details_edited){
        .has_about = ask->has_about,
        .about = ask->about,
        .has_picture = ask->has_picture,
        .picture = ask->picture,
        .has_last_seen_to = ask->privacy.has_last_seen,
        .last_seen_to = ask->privacy.last_seen,
        .has_picture_to = ask->privacy.has_picture,
        .picture_to = ask->privacy.picture,
        .has_about_to = ask->privacy.has_about,
        .about_to = ask->privacy.about,
        .has_read_receipts = ask->has_read_receipts,
        .read_receipts = ask->read_receipts,
    };
}

static enum call_next begin_me(struct call *call, struct pg *db, void *asked)
{
    const struct me_ask *ask = asked;
    struct user_action *sent;
    bool is_own = true;
    enum cq_status st = ask->picture_text.n
                            ? media_is_own_image(db, ask->picture, call->request.who.user, &is_own)
                            : CQ_OK;

    if (st != CQ_OK)
        return call_database(call, st);
    if (!is_own)
        return call_bad_request(call, "%s", picture_rule);
    if (ask->has_name) {
        sent = submit_mine(call);
        sent->action.kind = USER_ACTION_PROFILE_EDITED;
        sent->action.u.profile_edited.name = ask->name;
    }
    if (has_details(ask))
        submit_details(call, ask);
    return CALL_GO_ON;
}

static enum call_next me_result(struct call *call, struct pg *db, void *asked)
{
    (void)asked;
    return me_reply(call, db);
}

static const struct write me_write = {
    .asked_bytes = sizeof(struct me_ask),
    .body = &me_body,
    .parse = parse_me,
    .begin = begin_me,
    .result = me_result,
    .until = WRITE_PASSED,
    .late = "stored, but not visible yet: read it again later",
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "GET", "/api/me", true, me_reply, "who I am", 0, NULL },
    { "PATCH", "/api/me", true, write_run, "what I show of myself, and to whom", 0, &me_write },
};

const struct routes me_routes = { rows, ARRAY_LEN(rows) };
