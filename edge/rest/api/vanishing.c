/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/vanishing.c - how long the messages of a chat stay, and which of them one user wants to see no more. The
 * verdicts are processors/chat's.
 */
#include "edge/rest/api/chats.h"
#include "edge/rest/api/fields.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"

/* ---- the timer of a chat --------------------------------------------------------------- */

struct timer_ask {
    struct chat_view view;
    int64_t seconds;
};

static const char timer_rule[] = "seconds: 0 (off), 86400, 604800 or 7776000";

static enum call_next admit_timer(struct call *call, struct pg *db, void *asked)
{
    struct timer_ask *ask = asked;

    return chat_admit(call, db, call->request.path_id[0], &ask->view);
}

static const struct json_member timer_rows[] = {
    JSON_MEMBER("seconds", JSON_NUMBER, struct timer_ask, seconds,
                .most = LIMIT_TIMER_SET_SECONDS_MAX, .rule = timer_rule),
};
static const struct json_members timer_body = JSON_MEMBERS(timer_rows);

/* The log takes any time; people are offered these. */
static enum call_next parse_timer(struct call *call, void *asked)
{
    enum { DAY_S = 24 * 60 * 60 };
    static const int64_t offered[] = { 0, DAY_S, 7 * DAY_S, 90 * DAY_S };
    const struct timer_ask *ask = asked;

    for (size_t i = 0; i < ARRAY_LEN(offered); i++)
        if (ask->seconds == offered[i])
            return CALL_GO_ON;
    return call_bad_request(call, "%s", timer_rule);
}

static enum call_next timer_result(struct call *call, struct pg *db, void *asked)
{
    const struct timer_ask *ask = asked;
    bool is_set = false;
    enum cq_status st = view_timer_set(db, ask->view.id, write_seq(call), &is_set);

    if (st != CQ_OK)
        return call_database(call, st);
    return is_set ? write_done(call, 200) : CALL_GO_ON;
}

static enum call_next begin_timer(struct call *call, struct pg *db, void *asked)
{
    const struct timer_ask *ask = asked;
    bool is_member = ask->view.is_group && ask->view.role == MEMBER_ROLE_MEMBER, is_shown = false;
    enum cq_status st = is_member
                            ? CQ_OK /* who may not, perhaps, is not told that it is so already */
                            : view_timer_shown(db, ask->view.id, ask->seconds, &is_shown);
    struct chat_action *sent;

    if (st != CQ_OK)
        return call_database(call, st);
    if (is_shown)
        return write_done(call, 200);
    sent = chat_submit(call, &ask->view, span_str(call->request.id));
    sent->action.kind = CHAT_ACTION_TIMER_SET;
    sent->action.u.timer_set.seconds = ask->seconds;
    return CALL_GO_ON;
}

static const struct write timer_write = {
    .asked_bytes = sizeof(struct timer_ask),
    .admit = admit_timer,
    .body = &timer_body,
    .parse = parse_timer,
    .begin = begin_timer,
    .result = timer_result,
    .until = WRITE_SHOWN,
    .late = "stored, but not visible yet: read the chat again later",
};

/* ---- messages that one user hides -------------------------------------------------------- */

enum { HIDDEN_MAX = 10000 }; /* of one chat: reading passes over them one by one */

struct hide_ask {
    struct chat_view view;
    struct cq_id *ids;
    size_t ids_n;
};

static const struct json_member hide_rows[] = {
    JSON_MEMBER("messages", JSON_IDS, struct hide_ask, ids,
                .n_off = offsetof(struct hide_ask, ids_n), .least = 1,
                .most = LIMIT_MESSAGES_PUT_AWAY_MESSAGES,
                .rule = "messages: 1 to " LIMIT_MESSAGES_PUT_AWAY_MESSAGES_TEXT " message ids"),
};
static const struct json_members hide_body = JSON_MEMBERS(hide_rows);

/* Who left a chat still has what was said until then. */
static enum call_next admit_hider(struct call *call, struct pg *db, void *asked)
{
    struct hide_ask *ask = asked;

    return chat_admit_reader(call, db, call->request.path_id[0], &ask->view);
}

/* Those that are to be seen still, each once. False: one of them is not there. */
static bool places_of(const struct hide_ask *ask, const struct pg_result *rows,
                      struct message_ref *ret, size_t *ret_n)
{
    *ret_n = 0;
    for (int i = 0; i < pg_rows(rows); i++) {
        struct place_row row = place_at(rows, i);
        size_t same = 0;

        if (!row.seq)
            return false;
        while (same < *ret_n && ret[same].seq != row.seq)
            same++;
        if (!row.gone && same == *ret_n)
            ret[(*ret_n)++] = (struct message_ref){ ask->ids[i], row.seq };
    }
    return true;
}

static enum call_next begin_hiding(struct call *call, struct pg *db, void *asked)
{
    const struct hide_ask *ask = asked;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct message_ref *places = ARENA_ARRAY(call->arena, struct message_ref, ask->ids_n);
    struct cq_id user = call->request.who.user;
    struct chat_action *sent;
    int64_t hidden = 0;
    size_t n;
    enum cq_status st = view_places(db, ask->view.id, ask->ids, ask->ids_n, user, &rows);

    if (st == CQ_OK)
        st = view_count_hidden(db, ask->view.id, user, HIDDEN_MAX, &hidden);
    if (st != CQ_OK)
        return call_database(call, st);
    if (!places)
        return call_internal(call);
    if (!places_of(ask, rows, places, &n))
        return call_not_found(call);
    if (!n)
        return write_done(call, 200);
    if (hidden + (int64_t)n > HIDDEN_MAX)
        return call_error(call, 413, "too_large",
                          "messages: %d of a chat at most, of this one you deleted %d for yourself",
                          HIDDEN_MAX, (int)hidden);
    sent = chat_submit(call, &ask->view, span_str(call->request.id));
    sent->action.kind = CHAT_ACTION_MESSAGES_PUT_AWAY;
    sent->action.u.messages_put_away = (struct messages_put_away){ places, n };
    return CALL_GO_ON;
}

static enum call_next hiding_result(struct call *call, struct pg *db, void *asked)
{
    const struct hide_ask *ask = asked;
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st =
        view_places(db, ask->view.id, ask->ids, ask->ids_n, call->request.who.user, &rows);

    if (st != CQ_OK)
        return call_database(call, st);
    for (int i = 0; i < pg_rows(rows); i++)
        if (!place_at(rows, i).gone)
            return CALL_GO_ON;
    return write_done(call, 200);
}

static const struct write hide_write = {
    .asked_bytes = sizeof(struct hide_ask),
    .admit = admit_hider,
    .body = &hide_body,
    .begin = begin_hiding,
    .result = hiding_result,
    .until = WRITE_SHOWN,
    .late = "stored, but not visible yet: read the messages again later",
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "PUT", "/api/chats/{}/timer", true, write_run, "how long messages stay", ROUTE_FANOUT,
      &timer_write },
    { "POST", "/api/chats/{}/hidden", true, write_run, "delete messages for myself", 0,
      &hide_write },
};

const struct routes vanishing_routes = { rows, ARRAY_LEN(rows) };
