/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/media.c - a file is announced, sent (media_tus.c, or straight to the store), and
 * declared complete: then it is looked at, and MediaReady enters the log.
 */
#include "edge/rest/media.h"

#include "ingest/validate.h"
#include "lib/base/count.h"
#include "lib/store/sniff.h"
#include "schemas/frame.h"

#include <stdio.h>
#include <stdlib.h>

bool media_there(struct call *c)
{
    if (c->conf->media.store.where[0])
        return true;
    call_error(c, 404, "not_found", "this server keeps no files (MEDIA_STORE is not set)");
    return false;
}

enum call_next media_rollback(struct pg *db, enum call_next next)
{
    if (pg_script(db, "ROLLBACK") != CQ_OK)
        return next; /* the connection is gone, and the transaction with it */
    return next;
}

enum call_next call_store(struct call *c, enum cq_status st)
{
    if (st == CQ_POISON && store_fault(c->store) == STORE_MISSING)
        return call_not_found(c);
    if (store_fault(c->store) == STORE_FULL) {
        c->retry_after_s = 60;
        return call_error(c, 507, "store_full",
                          "the store of files is full: send it again after Retry-After seconds");
    }
    return call_unavailable(
        c, "the store of files does not answer now: ask again after Retry-After seconds");
}

/* ---- what may be sent as what --------------------------------------------------------- */

const char *media_allowed(enum message_type type, const char *sniffed)
{
    static const struct {
        enum message_type type;
        const char *sniffed, *as;
    } rows[] = {
        { MESSAGE_TYPE_IMAGE, "image/jpeg", NULL },
        { MESSAGE_TYPE_IMAGE, "image/png", NULL },
        { MESSAGE_TYPE_IMAGE, "image/webp", NULL },
        { MESSAGE_TYPE_IMAGE, "image/gif", NULL },
        { MESSAGE_TYPE_IMAGE, "image/heic", NULL },
        { MESSAGE_TYPE_IMAGE, "image/avif", NULL },
        { MESSAGE_TYPE_VIDEO, "video/mp4", NULL },
        { MESSAGE_TYPE_VIDEO, "video/webm", NULL },
        { MESSAGE_TYPE_VIDEO, "video/quicktime", NULL },
        { MESSAGE_TYPE_VIDEO, "video/3gpp", NULL },
        { MESSAGE_TYPE_AUDIO, "audio/ogg", NULL },
        { MESSAGE_TYPE_AUDIO, "audio/mpeg", NULL },
        { MESSAGE_TYPE_AUDIO, "audio/mp4", NULL },
        { MESSAGE_TYPE_AUDIO, "audio/wav", NULL },
        { MESSAGE_TYPE_AUDIO, "audio/aac", NULL },
        { MESSAGE_TYPE_AUDIO, "audio/flac", NULL },
        /* a container that names what is in it only deep inside */
        { MESSAGE_TYPE_AUDIO, "video/webm", "audio/webm" },
        { MESSAGE_TYPE_AUDIO, "video/mp4", "audio/mp4" },
        { MESSAGE_TYPE_AUDIO, "video/3gpp", "audio/3gpp" },
        { MESSAGE_TYPE_DOCUMENT, "application/pdf", NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].type == type && strcmp(rows[i].sniffed, sniffed) == 0)
            return rows[i].as ? rows[i].as : rows[i].sniffed;
    return type == MESSAGE_TYPE_DOCUMENT ? "application/octet-stream" : NULL;
}

/* ---- creating ------------------------------------------------------------------------- */

static bool type_text_good(struct cq_span s)
{
    if (!s.n || s.n > MEDIA_TYPE_MAX || !memchr(s.p, '/', s.n))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' || s.p[i] > '~')
            return false;
    return true;
}

static enum call_next check_form(struct call *c, const struct upload *u)
{
    if (u->type == MESSAGE_TYPE_TEXT || (unsigned)u->type >= MESSAGE_TYPE_N)
        return call_bad_request(c, "type: image, video, audio or document");
    if (u->size <= 0)
        return call_bad_request(c, "size: bytes, at least 1");
    if (u->size > c->conf->media.max_bytes[u->type])
        return call_error(
            c, 413, "too_large",
            "size: more than a file of this type may have; /api/config has the limits");
    if (!file_name_good(u->name))
        return call_bad_request(
            c, "name: 255 bytes at most, no path, no control or direction characters");
    if (!type_text_good(u->declared_type))
        return call_bad_request(c, "contentType: type/subtype");
    c->status = 0;
    return CALL_REPLY;
}

static void submit_ready(struct call *c, const struct chat_view *view, const struct media_ready *m)
{
    struct chat_action *a =
        call_submit_chat(c, view->id, arena_copy(c->arena, span_str(id_text(m->media_id).s)));

    a->has_peer = !view->is_group;
    a->peer = view->peer;
    a->action.kind = CHAT_ACTION_MEDIA_READY;
    a->action.u.media_ready = *m;
    c->step = 1;
}

/* The bytes are where this user can read them already: nothing has to be sent. */
static enum call_next submit_same(struct call *c, const struct chat_view *view,
                                  const struct upload *u, const struct media *same,
                                  const char *content_type)
{
    submit_ready(c, view,
                 &(struct media_ready){
                     .media_id = u->id,
                     .type = u->type,
                     .content_type = arena_copy(c->arena, span_str(content_type)),
                     .size = u->size,
                     .sha256 = arena_copy(c->arena, span_of(u->sha256, sizeof u->sha256)),
                     .name = u->name,
                     .key = arena_copy(c->arena, span_str(same->key)),
                 });
    return CALL_SUBMIT;
}

enum call_next upload_begin(struct call *c, struct pg *db, struct upload *u)
{
    enum call_next next = check_form(c, u);
    struct chat_view view;
    struct media same;
    bool there = false, found = false, full = false;
    const char *as = NULL;
    char type[MEDIA_TYPE_MAX + 1];
    enum cq_status st;

    if (c->status)
        return next;
    u->id = id_random();
    u->user = c->who.user;
    if (!u->fresh && store_has_links(c->store))
        u->links_until_ms = c->now_ms + MEDIA_DIRECT_PUT_S * 1000;
    upload_keys(u);
    st = view_chat(db, u->chat, u->user, &view, &there);
    if (st != CQ_OK)
        return call_database(c, st);
    if (!there || !view.present)
        return call_not_found(c);
    if (u->has_hash && !u->fresh)
        st = media_same(c, db, u, &same, &found);
    if (st == CQ_OK && found) {
        snprintf(type, sizeof type, "%.*s", SPAN_FMT(same.content_type));
        as = media_allowed(u->type, type);
    }
    if (st == CQ_OK && as)
        return submit_same(c, &view, u, &same, as);
    if (st == CQ_OK)
        st = upload_insert(c, db, u, &full);
    if (st != CQ_OK)
        return call_database(c, st);
    if (full) {
        c->retry_after_s = 3600;
        return call_error(c, 429, "quota_exceeded",
                          "size: more than what is left of your quota for 24 hours; send it later");
    }
    return CALL_REPLY;
}

static void out_direct(struct call *c, const struct upload *u)
{
    const uint8_t *hash = u->has_hash ? u->sha256 : NULL;
    char text[STORE_HASH_TEXT];
    struct cq_buf url;

    buf_init(&url, STORE_URL_MAX);
    if (store_has_links(c->store) &&
        store_link_put(c->store, hash ? u->proven : u->incoming, (const char *)u->declared_type.p,
                       u->size, hash, c->now_ms / 1000, MEDIA_DIRECT_PUT_S, &url)) {
        buf_add_str(&c->out, ",\"put\":{");
        out_text(&c->out, "url", buf_span(&url));
        buf_add_str(&c->out, ",\"headers\":{");
        out_text(&c->out, "Content-Type", u->declared_type);
        if (hash) {
            store_hash_text(hash, text);
            out_text(&c->out, STORE_HASH_HEADER, span_str(text));
        }
        buf_add_byte(&c->out, '}');
        out_i64(&c->out, "expiresAt", c->now_ms + MEDIA_DIRECT_PUT_S * 1000);
        buf_add_byte(&c->out, '}');
    }
    buf_release(&url);
}

static enum call_next reply_created(struct call *c, const struct upload *u)
{
    char url[96];

    buf_clear(&c->out);
    buf_add_str(&c->out, "{\"media\":{");
    out_id(&c->out, "id", u->id);
    out_text(&c->out, "state", span_str("pending"));
    out_i64(&c->out, "size", u->size);
    buf_add_str(&c->out, "},\"upload\":{");
    snprintf(url, sizeof url, "/api/media/%s/upload", id_text(u->id).s);
    out_text(&c->out, "url", span_str(url));
    out_i64(&c->out, "offset", 0);
    out_i64(&c->out, "partSize", media_piece_most(&c->conf->media));
    out_direct(c, u);
    buf_add_str(&c->out, "}}");
    return call_reply(c, 201);
}

static bool parse_create(struct call *c, struct upload *u, enum call_next *ret)
{
    struct cq_span type, hash;

    *u = (struct upload){ .declared_type = span_str("application/octet-stream") };
    *ret = CALL_REPLY;
    if (!call_chat_id(c, &u->chat))
        *ret = call_bad_request(c, "chatId: required");
    else if (!json_get_text(c->json, "type", &type) || !message_type_parse(type, &u->type))
        *ret = call_bad_request(c, "type: image, video, audio or document");
    else if (!json_get_i64(c->json, "size", &u->size))
        *ret = call_bad_request(c, "size: the number of bytes");
    else if (json_get(c->json, "name") && !json_get_text(c->json, "name", &u->name))
        *ret = call_bad_request(c, "name: must be text");
    else if (json_get(c->json, "contentType") &&
             !json_get_text(c->json, "contentType", &u->declared_type))
        *ret = call_bad_request(c, "contentType: must be text");
    else if (json_get(c->json, "sha256") &&
             (!json_get_text(c->json, "sha256", &hash) || !hex_parse(hash, u->sha256, 32)))
        *ret = call_bad_request(c, "sha256: 64 hex digits");
    else {
        u->has_hash = json_get(c->json, "sha256") != NULL;
        return true;
    }
    return false;
}

/* A span whose bytes end in a NUL, for those who want a string. */
static struct cq_span terminated(struct call *c, struct cq_span s)
{
    uint8_t *copy = arena_alloc(c->arena, s.n + 1);

    if (!copy)
        return span_of("", 0);
    if (s.n)
        memcpy(copy, s.p, s.n);
    return span_of(copy, s.n);
}

static enum call_next media_result(struct call *c, struct pg *db, int status);

enum call_next handle_media_create(struct call *c, struct pg *db)
{
    struct upload u;
    enum call_next next;

    if (c->step == 1)
        return call_wait_for(c, 0, 2);
    if (c->step == 2)
        return media_result(c, db, 201);
    if (!media_there(c))
        return CALL_REPLY;
    if (!parse_create(c, &u, &next))
        return next;
    u.declared_type = terminated(c, u.declared_type);
    next = upload_begin(c, db, &u);
    return next == CALL_REPLY && !c->status ? reply_created(c, &u) : next;
}

/* ---- ready ---------------------------------------------------------------------------- */

/* It ends on a step, so that it stays the same for a while. */
static struct media_proof proof_for(const struct call *c, const struct media *m)
{
    int64_t now_s = c->now_ms / 1000;
    int64_t end_s =
        (now_s + MEDIA_LINK_S + MEDIA_LINK_STEP_S - 1) / MEDIA_LINK_STEP_S * MEDIA_LINK_STEP_S;

    return (struct media_proof){ c->who.user, c->who.device,
                                 m->is_now ? end_s : now_s + MEDIA_LEFT_LINK_S, !m->is_now };
}

static enum call_next reply_media(struct call *c, const struct media *m, int status, bool links)
{
    struct media_proof proof = proof_for(c, m);
    char path[96], hex[65];

    hex_format(m->sha256, sizeof m->sha256, hex);
    buf_clear(&c->out);
    buf_add_str(&c->out, "{\"media\":{");
    out_id(&c->out, "id", m->id);
    out_text(&c->out, "state", span_str("ready"));
    out_text(&c->out, "type", span_str(message_type_word(m->type)));
    out_text(&c->out, "contentType", m->content_type);
    out_text(&c->out, "name", m->name);
    out_i64(&c->out, "size", m->size);
    out_text(&c->out, "sha256", span_str(hex));
    out_i64(&c->out, "width", m->width);
    out_i64(&c->out, "height", m->height);
    out_i64(&c->out, "durationMs", m->duration_ms);
    out_bool(&c->out, "thumbnail", *m->thumbnail);
    buf_add_byte(&c->out, '}');
    if (links) {
        snprintf(path, sizeof path, "/api/media/%s", id_text(m->id).s);
        out_key(&c->out, "url");
        media_link(c, &c->out, path, &proof);
        if (*m->thumbnail) {
            snprintf(path, sizeof path, "/api/media/%s/thumbnail", id_text(m->id).s);
            out_key(&c->out, "thumbnailUrl");
            media_link(c, &c->out, path, &proof);
        }
        out_i64(&c->out, "expiresAt", proof.until_s * 1000);
    }
    buf_add_byte(&c->out, '}');
    return call_reply(c, status);
}

/* After MediaReady was submitted: look whether the view has it, or has its rejection. */
static enum call_next media_result(struct call *c, struct pg *db, int status)
{
    struct media m;
    struct cq_span code;
    bool found = false;
    enum cq_status st = media_read(c, db, c->submits[0].u.chat.action.u.media_ready.media_id,
                                   c->who.user, &m, &found);

    if (st == CQ_OK && found)
        return reply_media(c, &m, status, false);
    if (st == CQ_OK)
        st = view_rejection(c, db, &c->submits[0], &code);
    if (st != CQ_OK)
        return call_database(c, st);
    if (code.p)
        return call_rejected(c, code);
    if (c->timed_out)
        return call_unavailable(c, "stored, but not visible yet: ask again");
    return c->passed ? call_look_again(c, 2) : call_wait_for(c, 0, 2);
}

enum call_next handle_media_link(struct call *c, struct pg *db)
{
    struct media m;
    bool found = false;
    enum cq_status st;

    if (!media_there(c))
        return CALL_REPLY;
    st = media_read(c, db, c->path_id[0], c->who.user, &m, &found);
    if (st != CQ_OK)
        return call_database(c, st);
    return found ? reply_media(c, &m, 200, true) : call_not_found(c);
}

/* ---- complete ------------------------------------------------------------------------- */

/* What was sent straight to the store, read once for its hash and its first bytes. */
struct reading {
    struct sha256_state hash;
    struct cq_buf head;
    int64_t n, most;
    bool is_proven; /* the store has checked the hash that was announced */
};

static bool on_bytes(void *arg, struct cq_span bytes)
{
    struct reading *r = arg;
    size_t room = SNIFF_BYTES - r->head.n;

    buf_add(&r->head, bytes.p, bytes.n < room ? bytes.n : room);
    sha256_more(&r->hash, bytes);
    r->n += (int64_t)bytes.n;
    return r->n <= r->most;
}

static enum call_next incomplete(struct call *c, const struct upload *u)
{
    call_header_i64(c, "upload-offset", u->received);
    return call_error(c, 409, "incomplete", "not all bytes have arrived: send the rest first");
}

/* What a link that is good for one hash only brought: the store has checked it, and the link can
 * bring nothing else afterwards. So it stays where it is, and only its beginning is read.
 * *ret_there false: there is none, or the store is not one that checks. */
static enum cq_status take_proven(struct call *c, struct upload *u, struct reading *r,
                                  bool *ret_there)
{
    int64_t size = 0;
    bool proven = false;
    enum cq_status st = store_proven(c->store, u->proven, u->sha256, &size, &proven);

    *ret_there = st == CQ_OK && proven && size == u->size;
    if (st == CQ_POISON)
        return CQ_OK;
    if (st == CQ_OK && !*ret_there) /* as any other link's, then */
        return store_copy(c->store, u->proven, u->incoming);
    if (st == CQ_OK)
        st = store_read(c->store, u->proven, 0, SNIFF_BYTES, &r->head);
    if (st == CQ_OK)
        snprintf(u->key, sizeof u->key, "%s", u->proven);
    r->is_proven = true;
    return st;
}

/* The link to `incoming` stays good for minutes: what is checked is a copy that it cannot reach. */
static enum call_next take_direct(struct call *c, struct upload *u, struct reading *r)
{
    int64_t there = 0;
    bool proven = false;
    enum cq_status st = CQ_OK;

    if (!store_has_links(c->store))
        return incomplete(c, u);
    if (u->has_hash)
        st = take_proven(c, u, r, &proven);
    if (st != CQ_OK)
        return call_store(c, st);
    if (proven)
        return CALL_REPLY;
    st = store_size(c->store, u->incoming, &there);
    if (st == CQ_POISON)
        return incomplete(c, u);
    if (st == CQ_OK && there != u->size) {
        st = store_delete(c->store, u->incoming);
        return st == CQ_OK
                   ? call_error(
                         c, 422, "wrong_content",
                         "size: the file has another one than was announced; announce and send it again")
                   : call_store(c, st);
    }
    if (st == CQ_OK)
        st = store_copy(c->store, u->incoming, u->key);
    if (st == CQ_OK)
        st = store_stream(c->store, u->key, on_bytes, r);
    if (st == CQ_OK && r->n == u->size)
        return CALL_REPLY; /* c->status is 0 */
    return st == CQ_AGAIN
               ? call_store(c, st)
               : call_error(
                     c, 422, "wrong_content",
                     "size: the file has another one than was announced; announce and send it again");
}

static enum call_next take_bytes(struct call *c, struct upload *u, struct reading *r)
{
    enum cq_status st;

    c->status = 0;
    if (u->received < u->size)
        return take_direct(c, u, r);
    r->hash = u->hash;
    st = store_read(c->store, u->key, 0, SNIFF_BYTES, &r->head);
    return st == CQ_OK ? CALL_REPLY : call_store(c, st);
}

/* It is not what was announced: delete it, so that it can never be read. */
static enum call_next refuse(struct call *c, struct pg *db, const struct upload *u, int status,
                             const char *code, const char *message)
{
    enum cq_status st = store_delete(c->store, u->key);

    count_add(COUNT_FILES_REFUSED, 1);
    if (st == CQ_OK)
        st = store_forget_links(c->store, u->id, "");
    if (st != CQ_OK)
        return media_rollback(db, call_store(c, st));
    st = upload_end(c, db, u);
    if (st == CQ_OK)
        st = pg_script(db, "COMMIT");
    return st == CQ_OK ? call_error(c, status, code, message)
                       : media_rollback(db, call_database(c, st));
}

/* In a transaction that holds the row. */
static enum call_next check_bytes(struct call *c, struct pg *db, struct upload *u,
                                  const struct chat_view *view, struct reading *r)
{
    enum call_next next = take_bytes(c, u, r);
    uint8_t hash[32];
    const char *as;
    enum cq_status st;

    if (c->status)
        return media_rollback(db, next);
    sha256_end(&r->hash, hash);
    if (r->is_proven)
        memcpy(hash, u->sha256, sizeof hash);
    if (u->has_hash && memcmp(hash, u->sha256, sizeof hash) != 0)
        return refuse(
            c, db, u, 422, "wrong_content",
            "sha256: the file has another one than was announced; announce and send it again");
    as = media_allowed(u->type, sniff(buf_span(&r->head)));
    if (!as)
        return refuse(c, db, u, 415, "wrong_type",
                      "type: the content of the file is not of this type");
    memcpy(u->sha256, hash, sizeof hash);
    u->content_type = arena_copy(c->arena, span_str(as));
    u->stored = true;
    st = upload_stored(c, db, u, view);
    if (st == CQ_OK)
        st = pg_script(db, "COMMIT");
    if (st != CQ_OK)
        return media_rollback(db, call_database(c, st));
    if (store_forget_links(c->store, u->id, u->key) != CQ_OK)
        return CALL_REPLY; /* the role `media` looks there again, when the link has ended */
    return CALL_REPLY;
}

static enum call_next submit_upload(struct call *c, const struct chat_view *view,
                                    const struct upload *u)
{
    submit_ready(c, view,
                 &(struct media_ready){
                     .media_id = u->id,
                     .type = u->type,
                     .content_type = u->content_type,
                     .size = u->size,
                     .sha256 = arena_copy(c->arena, span_of(u->sha256, sizeof u->sha256)),
                     .name = u->name,
                     .key = arena_copy(c->arena, span_str(u->key)),
                 });
    return CALL_SUBMIT;
}

/* In a transaction that holds the row. Who is not in the chat any more is told so before anything
 * is stored: the log would refuse the file. */
static enum call_next complete_locked(struct call *c, struct pg *db, struct upload *u)
{
    struct reading r = { .most = u->size };
    struct chat_view view;
    bool there = false;
    enum call_next next;
    enum cq_status st = view_chat(db, u->chat, c->who.user, &view, &there);

    if (st != CQ_OK)
        return media_rollback(db, call_database(c, st));
    if (!there || !view.present)
        return media_rollback(db, call_not_found(c));
    if (u->stored)
        return media_rollback(db, submit_upload(c, &view, u));
    c->status = 0;
    sha256_begin(&r.hash);
    buf_init(&r.head, SNIFF_BYTES);
    next = check_bytes(c, db, u, &view, &r);
    buf_release(&r.head);
    return c->status ? next : submit_upload(c, &view, u);
}

static enum call_next complete_first(struct call *c, struct pg *db)
{
    struct upload u;
    struct media m;
    bool found = false, busy = false;
    enum cq_status st = media_read(c, db, c->path_id[0], c->who.user, &m, &found);

    if (st != CQ_OK)
        return call_database(c, st);
    if (found)
        return reply_media(c, &m, 200, false);
    st = pg_script(db, "BEGIN");
    if (st == CQ_OK)
        st = upload_lock(c, db, c->path_id[0], &u, &found, &busy);
    if (busy)
        return media_rollback(
            db,
            call_error(c, 423, "busy",
                       "another request works on this upload: send it again when that has ended"));
    if (st != CQ_OK)
        return media_rollback(db, call_database(c, st));
    if (!found)
        return media_rollback(db, call_not_found(c));
    return complete_locked(c, db, &u);
}

enum call_next handle_media_complete(struct call *c, struct pg *db)
{
    if (c->step == 1)
        return call_wait_for(c, 0, 2);
    if (c->step == 2)
        return media_result(c, db, 200);
    return media_there(c) ? complete_first(c, db) : CALL_REPLY;
}
