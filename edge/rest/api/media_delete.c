/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/media_delete.c - the owner of a file takes it away: nobody can read it any more, and
 * MediaDeleted says so in the log.
 */
#include "edge/rest/api/chats.h"
#include "edge/rest/api/media_store.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/upload.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/view/deletions.h"
#include "edge/rest/view/media.h"

struct delete_ask {
    struct media_own own;
    struct chat_view chat;
};

static enum call_next admit_delete(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    (void)asked;
    return media_there(call) ? CALL_GO_ON : CALL_REPLY;
}

static enum call_next delete_result(struct call *call, struct pg *db, void *asked)
{
    struct delete_ask *ask = asked;
    bool found = false;
    enum cq_status st =
        media_own(db, call->request.path_id[0], call->request.who.user, &ask->own, &found);

    if (st != CQ_OK)
        return call_database(call, st);
    if (!found)
        return call_not_found(call);
    return ask->own.is_gone ? write_done(call, 200) : CALL_GO_ON;
}

/* The chat where it was uploaded, whether he is still in it or not: there the log has one order of
 * all that becomes of a file. Who is in it now is told. */
static enum call_next find_place(struct call *call, struct pg *db, struct delete_ask *ask)
{
    bool there = false;
    enum cq_status st;

    if (id_eq(ask->own.chat, upload_own_place(call)))
        return upload_place_admit(call, db, ask->own.chat, &ask->chat);
    st = view_chat(db, ask->own.chat, call->request.who.user, &ask->chat, &there);
    if (st != CQ_OK)
        return call_database(call, st);
    return there ? CALL_GO_ON : call_not_found(call);
}

static enum call_next begin_delete(struct call *call, struct pg *db, void *asked)
{
    struct delete_ask *ask = asked;
    struct cq_id media = call->request.path_id[0];
    enum call_next next = delete_result(call, db, asked); /* he took it away before */
    struct chat_action *sent;
    enum cq_status st;

    if (next == CALL_GO_ON)
        next = find_place(call, db, ask);
    if (next != CALL_GO_ON)
        return next;
    /* before the log has it, so that nothing of it stays in the store whoever dies */
    st = deletion_note(db, media, ask->own.key, call->request.at_ms);
    if (st != CQ_OK)
        return call_database(call, st);
    sent = chat_submit(call, &ask->chat, span_str(call->request.id));
    sent->action.kind = CHAT_ACTION_MEDIA_DELETED;
    sent->action.u.media_deleted.media_id = media;
    return CALL_GO_ON;
}

static const struct write delete_write = {
    .asked_bytes = sizeof(struct delete_ask),
    .admit = admit_delete,
    .begin = begin_delete,
    .result = delete_result,
    .until = WRITE_FOUND,
    .late = "stored, but not visible yet: ask again later",
};

static const struct route rows[] = {
    { "DELETE", "/api/media/{}", true, write_run, "take a file away, for everybody", ROUTE_FANOUT,
      &delete_write },
};

const struct routes media_delete_routes = { rows, ARRAY_LEN(rows) };
