/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/export.c - an export of my account: asked for, and how far it is. It takes a code to my number
 * besides the session, and only the device that asked may have the file (media_get.c): all that somebody ever wrote
 * in one file is more than a stolen token may give.
 */
#include "edge/auth/archives.h"
#include "edge/rest/api/conf.h"
#include "edge/rest/api/login.h"
#include "edge/rest/api/media_links.h"
#include "edge/rest/api/media_store.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"

#include <stdio.h>

struct export_ask {
    struct cq_id challenge;
    struct cq_span code;
};

static const struct json_member export_rows[] = {
    JSON_MEMBER("challenge", JSON_ID, struct export_ask, challenge, .rule = LOGIN_CODE_RULE),
    JSON_MEMBER("code", JSON_TEXT, struct export_ask, code, .rule = LOGIN_CODE_RULE),
};
static const struct json_members export_body = JSON_MEMBERS(export_rows);

static const char *state_word(const struct archive *archive)
{
    switch (archive->state) {
    case ARCHIVE_OPEN:
        return archive->tries ? "running" : "waiting";
    case ARCHIVE_MADE:
        return "done";
    case ARCHIVE_FAILED:
        break;
    }
    return "failed";
}

/* For the device that asked; the others learn that there is one. */
static void out_file(struct call *call, const struct archive *archive)
{
    int64_t end_s = call->request.at_ms / 1000 + MEDIA_LINK_S;
    struct media_proof proof = { call->request.who.user, call->request.who.device, end_s, false };
    char path[96];

    out_i64(&call->reply.body, "size", archive->size);
    out_i64(&call->reply.body, "leftOut", archive->left_out);
    if (!id_eq(archive->device, call->request.who.device))
        return;
    if (end_s > archive->ends_ms / 1000)
        proof.until_s = archive->ends_ms / 1000;
    snprintf(path, sizeof path, "/api/me/export/%s", id_text(archive->id).s);
    out_key(&call->reply.body, "url");
    media_link(call, &call->reply.body, path, &proof);
    out_i64(&call->reply.body, "linkExpiresAt", proof.until_s * 1000);
}

static enum call_next reply_export(struct call *call, const struct archive *archive, int status)
{
    struct cq_buf *body = &call->reply.body;

    buf_add_str(body, "{\"export\":{");
    out_id(body, "id", archive->id);
    out_id(body, "deviceId", archive->device);
    out_word(body, "state", state_word(archive));
    out_i64(body, "percent", archive->percent);
    out_i64(body, "askedAt", archive->asked_ms);
    out_i64(body, "endsAt", archive->ends_ms);
    if (archive->state == ARCHIVE_MADE)
        out_file(call, archive);
    buf_add_str(body, "}}");
    return call_reply(call, status);
}

static enum call_next handle_export(struct call *call, struct pg *db)
{
    struct archive archive;
    bool found = false;
    enum cq_status st;

    if (!media_there(call))
        return CALL_REPLY;
    st = archive_latest(db, call->request.who.user, call->request.at_ms, &archive, &found);
    if (st != CQ_OK)
        return call_database(call, st);
    return found ? reply_export(call, &archive, 200) : call_not_found(call);
}

/* ---- asked for ------------------------------------------------------------------------ */

static enum call_next admit_export(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    (void)asked;
    return media_there(call) ? CALL_GO_ON : CALL_REPLY;
}

static enum call_next begin_export(struct call *call, struct pg *db, void *asked)
{
    const struct export_ask *ask = asked;
    struct archive archive = { .id = id_random(),
                               .user = call->request.who.user,
                               .device = call->request.who.device,
                               .asked_ms = call->request.at_ms,
                               .ends_ms = call->request.at_ms + ARCHIVE_TTL_MS };
    enum archive_asked verdict = ARCHIVE_BUSY;
    char number[PHONE_MAX + 1];
    int64_t wait_ms = 0;
    bool is_own = false;
    struct cq_span name;
    enum call_next next = login_try_code(call, db, ask->challenge, ask->code, number, &name);
    enum cq_status st;

    if (next != CALL_GO_ON)
        return next;
    st = archive_ask(db, &call->conf->limits, &archive, number, &is_own, &verdict, &wait_ms);
    if (st != CQ_OK)
        return call_database(call, st);
    if (!is_own)
        return login_bad_code(call);
    switch (verdict) {
    case ARCHIVE_ASKED:
        break;
    case ARCHIVE_BUSY:
        return call_error(call, 409, "export_running",
                          "an export is on its way: GET /api/me/export tells how far it is");
    case ARCHIVE_LIMITED:
        return call_limited(call, wait_ms,
                            "2 exports a day at most: ask again after Retry-After seconds");
    }
    return reply_export(call, &archive, 202);
}

_Static_assert(ARCHIVES_A_DAY == 2, "the words say it");

/* Nothing enters the log: the row in schema auth is the job. */
static const struct write export_write = {
    .asked_bytes = sizeof(struct export_ask),
    .admit = admit_export,
    .body = &export_body,
    .begin = begin_export,
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "POST", "/api/me/export", true, write_run, "have all that is mine put into a file", 0,
      &export_write },
    { "GET", "/api/me/export", true, handle_export, "how far my export is, and where", 0, NULL },
};

const struct routes export_routes = { rows, ARRAY_LEN(rows) };
