/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/media.c - a file is announced, sent (media_tus.c, or straight to the store), and
 * declared complete: then it is verified (upload.c), and MediaReady enters the log.
 */
#include "edge/rest/render/media.h"
#include "edge/rest/api/chats.h"
#include "edge/rest/api/conf.h"
#include "edge/rest/api/fields.h"
#include "edge/rest/api/media_links.h"
#include "edge/rest/api/media_store.h"
#include "edge/rest/api/media_types.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/upload.h"
#include "edge/rest/api/write.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/view/deletions.h"
#include "schemas/frame.h"

#include <stdio.h>

static const char late[] = "stored, but not visible yet: ask again later";

/* A file that is announced, or declared complete. */
struct file_ask {
    struct upload upload;
    struct cq_span hash; /* as it was sent */
    bool has_declared;
    struct chat_view chat;
};

static enum call_next admit_files(struct call *call, struct pg *db, void *asked)
{
    (void)db;
    (void)asked;
    return media_there(call) ? CALL_GO_ON : CALL_REPLY;
}

/* ---- what a file is ------------------------------------------------------------------- */

/* The end is a multiple of a step, so that a file has the same link for a while. */
static struct media_proof proof_for(const struct call *call, const struct media *media)
{
    int64_t now_s = call->request.at_ms / 1000;
    int64_t end_s =
        (now_s + MEDIA_LINK_S + MEDIA_LINK_STEP_S - 1) / MEDIA_LINK_STEP_S * MEDIA_LINK_STEP_S;

    return (struct media_proof){ call->request.who.user, call->request.who.device,
                                 media->is_now ? end_s : now_s + MEDIA_LEFT_LINK_S,
                                 !media->is_now };
}

static void out_link(struct call *call, const char *name, const char *path,
                     const struct media_proof *proof)
{
    out_key(&call->reply.body, name);
    media_link(call, &call->reply.body, path, proof);
}

static void out_links(struct call *call, const struct media *media)
{
    struct media_proof proof = proof_for(call, media);
    char path[96];

    snprintf(path, sizeof path, "/api/media/%s", id_text(media->id).s);
    out_link(call, "url", path, &proof);
    if (*media->thumbnail) {
        snprintf(path, sizeof path, "/api/media/%s/thumbnail", id_text(media->id).s);
        out_link(call, "thumbnailUrl", path, &proof);
    }
    out_i64(&call->reply.body, "expiresAt", proof.until_s * 1000);
}

static enum call_next reply_media(struct call *call, const struct media *media, int status,
                                  bool links)
{
    buf_clear(&call->reply.body);
    buf_add_str(&call->reply.body, "{\"media\":");
    render_media(&call->reply.body, media);
    if (links)
        out_links(call, media);
    buf_add_byte(&call->reply.body, '}');
    return call_reply(call, status);
}

static enum call_next handle_media_link(struct call *call, struct pg *db)
{
    struct media media;
    bool found = false;
    enum cq_status st;

    if (!media_there(call))
        return CALL_REPLY;
    st = media_read(db, call->arena, call->request.path_id[0], call->request.who.user,
                    call->request.at_ms, &media, &found);
    if (st != CQ_OK)
        return call_database(call, st);
    if (found && media.is_gone)
        return call_file_gone(call);
    return found ? reply_media(call, &media, 200, true) : call_not_found(call);
}

/* ---- MediaReady ----------------------------------------------------------------------- */

/* `content_type` and `key` are the file's: of this upload, or of the same bytes from before. */
static enum call_next submit_ready(struct call *call, const struct file_ask *ask,
                                   struct cq_span content_type, const char *key)
{
    const struct upload *upload = &ask->upload;
    struct chat_action *sent =
        chat_submit(call, &ask->chat, arena_copy(call->arena, span_str(id_text(upload->id).s)));

    sent->action.kind = CHAT_ACTION_MEDIA_READY;
    sent->action.u.media_ready = (struct media_ready){
        .media_id = upload->id,
        .type = upload->type,
        .content_type = content_type,
        .size = upload->size,
        .sha256 = span_of(upload->sha256, sizeof upload->sha256), /* of `ask`, in the arena */
        .name = upload->name,
        .key = arena_copy(call->arena, span_str(key)),
    };
    return CALL_GO_ON;
}

static enum call_next ready_result(struct call *call, struct pg *db, const struct file_ask *ask,
                                   int status)
{
    struct media media;
    bool found = false;
    enum cq_status st = media_read(db, call->arena, ask->upload.id, call->request.who.user,
                                   call->request.at_ms, &media, &found);

    if (st != CQ_OK)
        return call_database(call, st);
    if (found && media.is_gone)
        return call_file_gone(call);
    return found ? reply_media(call, &media, status, false) : CALL_GO_ON;
}

/* ---- announcing ----------------------------------------------------------------------- */

/* A span whose bytes end in a NUL, for those who want a string. */
static struct cq_span terminated(struct call *call, struct cq_span text)
{
    uint8_t *copy = arena_alloc(call->arena, text.n + 1);

    if (!copy)
        return span_of("", 0);
    if (text.n)
        memcpy(copy, text.p, text.n);
    return span_of(copy, text.n);
}

static const char hash_rule[] = "sha256: 64 hex digits";

static const struct json_member create_rows[] = {
    JSON_MEMBER("chatId", JSON_ID, struct file_ask, upload.chat, .also = "chatID", .either = true,
                .optional = true, .rule = "chatId: a chat's id"),
    JSON_MEMBER("type", JSON_WORD, struct file_ask, upload.type, .words = &frame_type_words,
                .rule = "type: image, video, audio or document"),
    JSON_MEMBER("size", JSON_NUMBER, struct file_ask, upload.size, .least = INT64_MIN,
                .most = INT64_MAX, .rule = "size: the number of bytes"),
    JSON_MEMBER("name", JSON_TEXT, struct file_ask, upload.name, .optional = true,
                .rule = "name: must be text"),
    JSON_OPTIONAL("contentType", JSON_TEXT, struct file_ask, upload.declared_type, has_declared,
                  .rule = "contentType: must be text"),
    JSON_OPTIONAL("sha256", JSON_TEXT, struct file_ask, hash, upload.has_hash, .rule = hash_rule),
};
static const struct json_members create_body = JSON_MEMBERS(create_rows);

static enum call_next parse_create(struct call *call, void *asked)
{
    struct file_ask *ask = asked;
    struct upload *upload = &ask->upload;

    if (id_is_zero(upload->chat))
        upload->chat = upload_own_place(call);
    if (!ask->has_declared)
        upload->declared_type = span_str("application/octet-stream");
    if (upload->has_hash && !hex_parse(ask->hash, upload->sha256, sizeof upload->sha256))
        return call_bad_request(call, "%s", hash_rule);
    upload->declared_type = terminated(call, upload->declared_type);
    return upload_check_form(call, upload);
}

static void out_direct(struct call *call, const struct upload *upload)
{
    const uint8_t *hash = upload->has_hash ? upload->sha256 : NULL;
    char text[STORE_HASH_TEXT];
    struct cq_buf url;

    buf_init(&url, STORE_URL_MAX);
    if (store_has_links(call->worker.store) &&
        store_link_put(call->worker.store, hash ? upload->proven : upload->incoming,
                       (const char *)upload->declared_type.p, upload->size, hash,
                       call->request.at_ms / 1000, MEDIA_DIRECT_PUT_S, &url)) {
        buf_add_str(&call->reply.body, ",\"put\":{");
        out_text(&call->reply.body, "url", buf_span(&url));
        buf_add_str(&call->reply.body, ",\"headers\":{");
        out_text(&call->reply.body, "Content-Type", upload->declared_type);
        if (hash) {
            store_hash_text(hash, text);
            out_text(&call->reply.body, STORE_HASH_HEADER, span_str(text));
        }
        buf_add_byte(&call->reply.body, '}');
        out_i64(&call->reply.body, "expiresAt", call->request.at_ms + MEDIA_DIRECT_PUT_S * 1000);
        buf_add_byte(&call->reply.body, '}');
    }
    buf_release(&url);
}

static enum call_next reply_created(struct call *call, const struct upload *upload)
{
    struct cq_buf *body = &call->reply.body;

    buf_add_str(body, "{\"media\":");
    render_pending_media(body, upload->id, upload->size);
    buf_add_str(body, ",\"upload\":{");
    out_text(body, "url", upload_path(call, upload));
    out_i64(body, "offset", 0);
    out_i64(body, "partSize", media_piece_most(&call->conf->media));
    out_direct(call, upload);
    buf_add_str(body, "}}");
    return call_reply(call, 201);
}

/* Bytes that this user can read already need not be sent. *ret: the file that has them; *ret_type:
 * the media type that they are sent under, NULL when there is no such file. */
static enum call_next find_same(struct call *call, struct pg *db, const struct upload *upload,
                                struct media *ret, const char **ret_type)
{
    char sniffed[MEDIA_TYPE_MAX + 1];
    bool found = false;
    enum cq_status st = upload->has_hash ? media_same(db, call->arena, upload->user, upload->sha256,
                                                      upload->size, ret, &found)
                                         : CQ_OK;

    *ret_type = NULL;
    if (st != CQ_OK)
        return call_database(call, st);
    if (found) {
        snprintf(sniffed, sizeof sniffed, "%.*s", SPAN_FMT(ret->content_type));
        *ret_type = media_type_of(upload->type, sniffed);
    }
    return CALL_GO_ON;
}

/* The object must not go while this file begins to share it. *type is NULL when it goes. */
static enum call_next hold_same(struct call *call, struct pg *db, const struct upload *upload,
                                const struct media *same, const char **type)
{
    bool held = false;
    enum cq_status st =
        object_hold(db, upload->id, same->key, same->id, call->request.at_ms, &held);

    if (!held)
        *type = NULL;
    return st == CQ_OK ? CALL_GO_ON : call_database(call, st);
}

static enum call_next begin_create(struct call *call, struct pg *db, void *asked)
{
    struct file_ask *ask = asked;
    struct media same;
    const char *type = NULL;
    enum call_next next = upload_admit(call, db, &ask->upload, &ask->chat);

    if (next == CALL_GO_ON)
        next = find_same(call, db, &ask->upload, &same, &type);
    if (next == CALL_GO_ON && type)
        next = hold_same(call, db, &ask->upload, &same, &type);
    if (next == CALL_GO_ON && type)
        return submit_ready(call, ask, arena_copy(call->arena, span_str(type)), same.key);
    if (next == CALL_GO_ON)
        next = upload_open(call, db, &ask->upload);
    return next == CALL_GO_ON ? reply_created(call, &ask->upload) : next;
}

static enum call_next create_result(struct call *call, struct pg *db, void *asked)
{
    return ready_result(call, db, asked, 201);
}

static const struct write create_write = {
    .asked_bytes = sizeof(struct file_ask),
    .admit = admit_files,
    .body = &create_body,
    .parse = parse_create,
    .begin = begin_create,
    .result = create_result,
    .until = WRITE_FOUND,
    .late = late,
};

/* ---- complete ------------------------------------------------------------------------- */

/* The row is held. A caller who has left the chat is told so before anything is stored, because the
 * log would refuse the file. */
static enum call_next complete_held(struct call *call, struct pg *db, struct file_ask *ask)
{
    enum call_next next = upload_place_admit(call, db, ask->upload.chat, &ask->chat);

    if (next != CALL_GO_ON || ask->upload.stored)
        return upload_release(db, next);
    return upload_verify(call, db, &ask->upload, &ask->chat);
}

static enum call_next begin_complete(struct call *call, struct pg *db, void *asked)
{
    struct file_ask *ask = asked;
    enum call_next next;

    ask->upload.id = call->request.path_id[0];
    next = ready_result(call, db, ask, 200); /* an earlier request has completed it */
    if (next == CALL_GO_ON)
        next = upload_hold(call, db, call->request.path_id[0], &ask->upload);
    if (next == CALL_GO_ON)
        next = complete_held(call, db, ask);
    return next == CALL_GO_ON ? submit_ready(call, ask, ask->upload.content_type, ask->upload.key)
                              : next;
}

static enum call_next complete_result(struct call *call, struct pg *db, void *asked)
{
    return ready_result(call, db, asked, 200);
}

static const struct write complete_write = {
    .asked_bytes = sizeof(struct file_ask),
    .admit = admit_files,
    .begin = begin_complete,
    .result = complete_result,
    .until = WRITE_FOUND,
    .late = late,
};

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "POST", "/api/media", true, write_run, "announce a file", ROUTE_MEDIA, &create_write },
    { "POST", "/api/media/{}/complete", true, write_run, "declare a file complete", ROUTE_MEDIA,
      &complete_write },
    { "GET", "/api/media/{}/link", true, handle_media_link, "what it is, with links for a page", 0,
      NULL },
};

const struct routes media_routes = { rows, ARRAY_LEN(rows) };
