/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/devices.c - a user's own devices: which there are, and ending one.
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

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "POST", "/api/logout", true, write_run, "end this device", 0, &logout_write },
    { "GET", "/api/devices", true, handle_devices, "my devices", 0, NULL },
    { "DELETE", "/api/devices/{}", true, write_run, "end one of my devices", 0, &end_write },
};

const struct routes devices_routes = { rows, ARRAY_LEN(rows) };
