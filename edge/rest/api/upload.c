/* SPDX-License-Identifier: MIT */
#include "edge/rest/api/upload.h"

#include "edge/rest/api/chats.h"
#include "edge/rest/api/conf.h"
#include "edge/rest/api/media_store.h"
#include "edge/rest/api/media_types.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/view/media.h"
#include "ingest/validate.h"
#include "lib/base/count.h"
#include "lib/store/sniff.h"
#include "schemas/limits.h"
#include "schemas/names.h"

#include <stdio.h>

struct cq_span upload_path(struct call *call, const struct upload *upload)
{
    char path[96];

    snprintf(path, sizeof path, "/api/media/%s/upload", id_text(upload->id).s);
    return arena_copy(call->arena, span_str(path));
}

/* ---- where ------------------------------------------------------------------------------ */

struct cq_id upload_own_place(const struct call *call)
{
    return chat_id_direct(call->request.who.user, call->request.who.user);
}

enum call_next upload_place_admit(struct call *call, struct pg *db, struct cq_id chat,
                                  struct chat_view *ret)
{
    if (!id_eq(chat, upload_own_place(call)))
        return chat_admit(call, db, chat, ret);
    *ret = (struct chat_view){ .id = chat, .present = true, .peer = call->request.who.user };
    return CALL_GO_ON;
}

/* ---- announced ------------------------------------------------------------------------ */

static bool type_text_good(struct cq_span text)
{
    if (!text.n || text.n > MEDIA_TYPE_MAX || !memchr(text.p, '/', text.n))
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < ' ' || text.p[i] > '~')
            return false;
    return true;
}

enum call_next upload_check_form(struct call *call, const struct upload *upload)
{
    if (upload->type == MESSAGE_TYPE_TEXT || (unsigned)upload->type >= MESSAGE_TYPE_N)
        return call_bad_request(call, "type: image, video, audio or document");
    if (upload->size <= 0)
        return call_bad_request(call, "size: the number of bytes, at least 1");
    if (upload->size > call->conf->media.max_bytes[upload->type])
        return call_error(
            call, 413, "too_large",
            "size: more than a file of this type may have; /api/config has the limits");
    if (!file_name_good(upload->name))
        return call_bad_request(
            call, "name: %d bytes at most, no path, no control or direction characters",
            LIMIT_FILE_NAME_BYTES);
    if (!type_text_good(upload->declared_type))
        return call_bad_request(call, "contentType: type/subtype");
    return CALL_GO_ON;
}

enum call_next upload_admit(struct call *call, struct pg *db, struct upload *upload,
                            struct chat_view *ret)
{
    upload->id = id_random();
    upload->user = call->request.who.user;
    if (!upload->fresh && store_has_links(call->worker.store))
        upload->links_until_ms = call->request.at_ms + MEDIA_DIRECT_PUT_S * 1000;
    upload_keys(upload);
    return upload_place_admit(call, db, upload->chat, ret);
}

enum call_next upload_open(struct call *call, struct pg *db, const struct upload *upload)
{
    bool full = false;
    enum cq_status st =
        upload_insert(db, upload, call->conf->media.daily_bytes, call->request.at_ms, &full);

    if (st != CQ_OK)
        return call_database(call, st);
    if (!full)
        return CALL_GO_ON;
    call->reply.retry_after_s = 3600;
    return call_error(call, 429, "quota_exceeded",
                      "size: more than what is left of your quota for 24 hours; send it later");
}

/* ---- held ----------------------------------------------------------------------------- */

enum call_next upload_release(struct pg *db, enum call_next next)
{
    if (pg_script(db, "ROLLBACK") != CQ_OK)
        return next; /* the connection is gone, and the transaction with it */
    return next;
}

enum call_next upload_hold(struct call *call, struct pg *db, struct cq_id id, struct upload *ret)
{
    bool found = false, busy = false;
    enum cq_status st = pg_script(db, "BEGIN");

    if (st == CQ_OK)
        st = upload_lock(db, call->arena, id, call->request.who.user, ret, &found, &busy);
    if (st == CQ_OK && found)
        return CALL_GO_ON;
    if (busy)
        call_error(call, 423, "busy",
                   "another request works on this upload: send it again when that has ended");
    else if (st != CQ_OK)
        call_database(call, st);
    else
        call_not_found(call);
    return upload_release(db, CALL_REPLY);
}

/* ---- verified: where the bytes are ---------------------------------------------------- */

/* What was sent, read once for its hash and its first bytes. */
struct reading {
    struct sha256_state hash;
    struct cq_buf head;
    int64_t n, most;
    bool is_proven; /* the store has checked the hash that was announced */
};

static bool on_bytes(void *arg, struct cq_span bytes)
{
    struct reading *reading = arg;
    size_t room = SNIFF_BYTES - reading->head.n;

    buf_add(&reading->head, bytes.p, bytes.n < room ? bytes.n : room);
    sha256_more(&reading->hash, bytes);
    reading->n += (int64_t)bytes.n;
    return reading->n <= reading->most;
}

static enum call_next incomplete(struct call *call, const struct upload *upload)
{
    call_header_i64(call, "upload-offset", upload->received);
    return call_error(call, 409, "incomplete", "not all bytes have arrived: send the rest first");
}

static enum call_next wrong_size(struct call *call)
{
    return call_error(
        call, 422, "wrong_content",
        "size: the file has another one than was announced; announce and send it again");
}

/* The file that came by a link for one hash only. The store has checked that hash, and nothing else
 * can come by the link later. So the file stays where it is, and only its beginning is read.
 * reading->is_proven stays false when there is no such file, or the store does not check hashes. */
static enum cq_status take_proven(struct call *call, struct upload *upload, struct reading *reading)
{
    struct store *store = call->worker.store;
    int64_t size = 0;
    bool proven = false;
    enum cq_status st = store_proven(store, upload->proven, upload->sha256, &size, &proven);

    if (st == CQ_POISON)
        return CQ_OK;
    if (st != CQ_OK)
        return st;
    if (!proven || size != upload->size) /* treat it as what any other link brought */
        return store_copy(store, upload->proven, upload->incoming);
    st = store_read(store, upload->proven, 0, SNIFF_BYTES, &reading->head);
    if (st != CQ_OK)
        return st;
    snprintf(upload->key, sizeof upload->key, "%s", upload->proven);
    reading->is_proven = true;
    return CQ_OK;
}

/* Bytes can still come by the link to `incoming` for minutes, so a copy is checked, which the link
 * cannot change. */
static enum call_next take_incoming(struct call *call, struct upload *upload,
                                    struct reading *reading)
{
    struct store *store = call->worker.store;
    int64_t there = 0;
    enum cq_status st = store_size(store, upload->incoming, &there);

    if (st == CQ_POISON)
        return incomplete(call, upload);
    if (st == CQ_OK && there != upload->size) {
        st = store_delete(store, upload->incoming);
        return st == CQ_OK ? wrong_size(call) : call_store(call, st);
    }
    if (st == CQ_OK)
        st = store_copy(store, upload->incoming, upload->key);
    if (st == CQ_OK)
        st = store_stream(store, upload->key, on_bytes, reading);
    if (st == CQ_OK && reading->n == upload->size)
        return CALL_GO_ON;
    return st == CQ_AGAIN ? call_store(call, st) : wrong_size(call);
}

static enum call_next take_bytes(struct call *call, struct upload *upload, struct reading *reading)
{
    enum cq_status st = CQ_OK;

    if (upload->received == upload->size) { /* in pieces: hashed as they came */
        reading->hash = upload->hash;
        st = store_read(call->worker.store, upload->key, 0, SNIFF_BYTES, &reading->head);
        return st == CQ_OK ? CALL_GO_ON : call_store(call, st);
    }
    if (!store_has_links(call->worker.store))
        return incomplete(call, upload);
    if (upload->has_hash)
        st = take_proven(call, upload, reading);
    if (st != CQ_OK)
        return call_store(call, st);
    return reading->is_proven ? CALL_GO_ON : take_incoming(call, upload, reading);
}

/* ---- verified: what they are ---------------------------------------------------------- */

/* The file is not what was announced: it is deleted, so that nobody can ever read it. */
static enum call_next refuse(struct call *call, struct pg *db, const struct upload *upload,
                             int status, const char *code, const char *message)
{
    enum cq_status st = store_delete(call->worker.store, upload->key);

    count_add(COUNT_FILES_REFUSED, 1);
    if (st == CQ_OK)
        st = store_forget_links(call->worker.store, upload->id, "");
    if (st != CQ_OK)
        return upload_release(db, call_store(call, st));
    st = upload_end(db, upload, call->request.at_ms);
    if (st == CQ_OK)
        st = pg_script(db, "COMMIT");
    return st == CQ_OK ? call_error(call, status, code, "%s", message)
                       : upload_release(db, call_database(call, st));
}

static enum call_next keep(struct call *call, struct pg *db, struct upload *upload,
                           const struct chat_view *chat)
{
    enum cq_status st =
        upload_stored(db, upload, call->request.who.device, call->request.at_ms, chat);

    if (st == CQ_OK)
        st = pg_script(db, "COMMIT");
    if (st != CQ_OK)
        return upload_release(db, call_database(call, st));
    if (store_forget_links(call->worker.store, upload->id, upload->key) != CQ_OK)
        return CALL_GO_ON; /* the role `media` looks there again, when the link has ended */
    return CALL_GO_ON;
}

static enum call_next verify(struct call *call, struct pg *db, struct upload *upload,
                             const struct chat_view *chat, struct reading *reading)
{
    enum call_next next = take_bytes(call, upload, reading);
    uint8_t hash[32];
    const char *type;

    if (next != CALL_GO_ON)
        return upload_release(db, next);
    sha256_end(&reading->hash, hash);
    if (reading->is_proven)
        memcpy(hash, upload->sha256, sizeof hash);
    if (upload->has_hash && memcmp(hash, upload->sha256, sizeof hash) != 0)
        return refuse(
            call, db, upload, 422, "wrong_content",
            "sha256: the file has another one than was announced; announce and send it again");
    type = media_type_of(upload->type, sniff(buf_span(&reading->head)));
    if (!type)
        return refuse(call, db, upload, 415, "wrong_type",
                      "type: the content of the file is not of this type");
    memcpy(upload->sha256, hash, sizeof hash);
    upload->content_type = arena_copy(call->arena, span_str(type));
    upload->stored = true;
    return keep(call, db, upload, chat);
}

enum call_next upload_verify(struct call *call, struct pg *db, struct upload *upload,
                             const struct chat_view *chat)
{
    struct reading reading = { .most = upload->size };
    enum call_next next;

    sha256_begin(&reading.hash);
    buf_init(&reading.head, SNIFF_BYTES);
    next = verify(call, db, upload, chat, &reading);
    buf_release(&reading.head);
    return next;
}
