/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/devices.c - a user's own devices: which there are, and ending one.
 */
#include "edge/auth/devices.h"
#include "edge/rest/rest.h"

/* On the log first: see rest.h. */
enum call_next unlink_device(struct call *c, struct cq_id user, struct cq_id device,
                             const char *reason)
{
    struct user_action *a = call_submit_user(c, user, device);

    a->action.kind = USER_ACTION_DEVICE_UNLINKED;
    a->action.u.device_unlinked.reason = span_str(reason);
    c->step = 1;
    return CALL_SUBMIT;
}

static enum call_next revoke(struct call *c, struct pg *db, struct cq_id device)
{
    enum cq_status st = device_revoke(db, device, c->now_ms);

    if (st != CQ_OK)
        return call_database(c, st);
    buf_add_str(&c->out, "{}");
    return call_reply(c, 200);
}

enum call_next handle_logout(struct call *c, struct pg *db)
{
    return c->step ? revoke(c, db, c->who.device)
                   : unlink_device(c, c->who.user, c->who.device, "logout");
}

enum call_next handle_device_end(struct call *c, struct pg *db)
{
    bool own = false;
    enum cq_status st;

    if (c->step)
        return revoke(c, db, c->path_id[0]);
    st = device_is_own(db, c->path_id[0], c->who.user, &own);
    if (st != CQ_OK)
        return call_database(c, st);
    return own ? unlink_device(c, c->who.user, c->path_id[0], "logout") : call_not_found(c);
}

enum call_next handle_devices(struct call *c, struct pg *db)
{
    cq_auto(pgresult) struct pg_result *rows = NULL;
    enum cq_status st = device_list(db, c->who.user, &rows);

    if (st != CQ_OK)
        return call_database(c, st);
    buf_add_str(&c->out, "{\"devices\":[");
    for (int i = 0; i < pg_rows(rows); i++) {
        buf_add_str(&c->out, i ? ",{" : "{");
        out_id(&c->out, "deviceId", pg_uuid(rows, i, 0));
        out_text(&c->out, "platform", pg_bytes(rows, i, 1));
        out_text(&c->out, "label", pg_bytes(rows, i, 2));
        out_i64(&c->out, "addedAt", pg_i64(rows, i, 3));
        out_i64(&c->out, "seenAt", pg_i64(rows, i, 4));
        out_bool(&c->out, "current", id_eq(pg_uuid(rows, i, 0), c->who.device));
        buf_add_byte(&c->out, '}');
    }
    buf_add_str(&c->out, "]}");
    return call_reply(c, 200);
}
