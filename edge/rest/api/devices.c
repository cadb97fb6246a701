/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/devices.c - a user's own devices: which there are, ending one, and ending all but
 * the one that asks.
 */
#include "edge/rest/api/devices.h"

#include "edge/auth/devices.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"

/* ---- reading -------------------------------------------------------------------------- */

static enum call_next handle_devices(struct call *call, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    struct cq_buf *body = &call->reply.body;
    enum cq_status st = device_list(db, call->request.who.user, &rows);

    if (st != CQ_OK)
        return call_database(call, st);
    buf_add_str(body, "{\"devices\":[");
    for (int i = 0; i < pg_rows(rows); i++) {
        buf_add_str(body, i ? ",{" : "{");
        out_id(body, "deviceId", pg_uuid(rows, i, 0));
        out_text(body, "platform", pg_bytes(rows, i, 1));
        out_text(body, "label", pg_bytes(rows, i, 2));
        out_i64(body, "addedAt", pg_i64(rows, i, 3));
        out_i64(body, "seenAt", pg_i64(rows, i, 4));
        out_bool(body, "current", id_eq(pg_uuid(rows, i, 0), call->request.who.device));
        buf_add_byte(body, '}');
    }
    buf_add_str(body, "]}");
    return call_reply(call, 200);
}

/* ---- ending --------------------------------------------------------------------------- */

void device_submit_end(struct call *call, struct cq_id user, struct cq_id device,
                       const char *reason)
{
    struct user_action *sent = call_submit_user(call, user, device);

    sent->action.kind = USER_ACTION_DEVICE_UNLINKED;
    sent->action.u.device_unlinked.reason = span_str(reason);
}

enum call_next device_revoke_submitted(struct call *call, struct pg *db)
{
    enum cq_status st =
        device_revoke(db, call->log.submits[0].u.user.device_id, call->request.at_ms);

    return st == CQ_OK ? CALL_GO_ON : call_database(call, st);
}

static enum call_next admit_own(struct call *call, struct pg *db, void *asked)
{
    bool own = false;
    enum cq_status st = device_is_own(db, call->request.path_id[0], call->request.who.user, &own);

    (void)asked;
    if (st != CQ_OK)
        return call_database(call, st);
    return own ? CALL_GO_ON : call_not_found(call);
}

static enum call_next begin_logout(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    (void)asked;
    device_submit_end(call, call->request.who.user, call->request.who.device, "logout");
    return CALL_GO_ON;
}

static enum call_next begin_end(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    (void)asked;
    device_submit_end(call, call->request.who.user, call->request.path_id[0], "logout");
    return CALL_GO_ON;
}

static enum call_next ended(struct call *call, struct pg *db, void *asked)
{
    enum call_next next = device_revoke_submitted(call, db);

    (void)asked;
    return next == CALL_GO_ON ? write_done(call, 200) : next;
}

static const struct write logout_write = {
    .begin = begin_logout,
    .result = ended,
    .until = WRITE_LOGGED,
};

static const struct write end_write = {
    .admit = admit_own,
    .begin = begin_end,
    .result = ended,
    .until = WRITE_LOGGED,
};

/* ---- ending all others ---------------------------------------------------------------- */

/* A call submits a few actions at once, so the others end in rounds, until none is left: not even
 * one that came while they were ended. */
enum { ROUNDS_MAX = LIMIT_USER_DEVICES / CALL_SUBMITS_MAX * 2 };

struct others_ask {
    int rounds;
};

/* CALL_GO_ON: there are some, and they are submitted. */
static enum call_next submit_others(struct call *call, struct pg *db)
{
    struct cq_id others[CALL_SUBMITS_MAX];
    size_t n = 0;
    enum cq_status st = devices_others(db, call->request.who.user, call->request.who.device,
                                       ARRAY_LEN(others), others, &n);

    if (st != CQ_OK)
        return call_database(call, st);
    call->log.submits_n = 0;
    for (size_t i = 0; i < n; i++)
        device_submit_end(call, call->request.who.user, others[i], "logout");
    return n ? CALL_GO_ON : write_done(call, 200);
}

static enum call_next begin_others(struct call *call, struct pg *db, void *asked)
{
    (void)asked;
    return submit_others(call, db);
}

static enum call_next others_logged(struct call *call, struct pg *db, void *asked)
{
    struct others_ask *ask = asked;
    enum cq_status st = CQ_OK;
    enum call_next next;

    for (int i = 0; st == CQ_OK && i < call->log.submits_n; i++)
        st = device_revoke(db, call->log.submits[i].u.user.device_id, call->request.at_ms);
    if (st != CQ_OK)
        return call_database(call, st);
    if (++ask->rounds == ROUNDS_MAX)
        return call_unavailable(call, "devices log in as fast as they are ended: ask again later");
    next = submit_others(call, db);
    return next == CALL_GO_ON ? CALL_SUBMIT : next;
}

static const struct write others_write = {
    .asked_bytes = sizeof(struct others_ask),
    .begin = begin_others,
    .result = others_logged,
    .until = WRITE_LOGGED,
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "POST", "/api/logout", true, write_run, "end this device", 0, &logout_write },
    { "GET", "/api/devices", true, handle_devices, "my devices", 0, NULL },
    { "DELETE", "/api/devices", true, write_run, "end all of my devices but this one", 0,
      &others_write },
    { "DELETE", "/api/devices/{}", true, write_run, "end one of my devices", 0, &end_write },
};

const struct routes devices_routes = { rows, ARRAY_LEN(rows) };
