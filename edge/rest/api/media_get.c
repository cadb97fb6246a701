/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/media_get.c - files for those who may read them: a redirection to the store, or
 * their bytes piece by piece.
 */
#include "edge/auth/archives.h"
#include "edge/auth/devices.h"
#include "edge/rest/api/conf.h"
#include "edge/rest/api/media_links.h"
#include "edge/rest/api/media_store.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/view/media.h"
#include "lib/base/hash.h"

#include <inttypes.h>
#include <stdio.h>

enum { PIECE_BYTES = 256 * 1024, TEXT_MAX = 1024 };

/* ---- what is sent --------------------------------------------------------------------- */

struct sending {
    struct media media;
    const char *key;
    char type[MEDIA_TYPE_MAX + 1];
    int64_t at, end; /* of the bytes still to be sent */
    bool is_own;     /* no cache of others may keep it */
};

static bool is_shown(const struct media *media)
{
    return media->type != MESSAGE_TYPE_DOCUMENT;
}

/* `attachment; filename*=UTF-8''…` (RFC 6266): a name is for people, never for a path. */
static void disposition(const struct media *media, struct cq_buf *out)
{
    buf_add_str(out, is_shown(media) ? "inline" : "attachment");
    if (media->name.n)
        buf_add_str(out, "; filename*=UTF-8''");
    for (size_t i = 0; i < media->name.n; i++) {
        uint8_t ch = media->name.p[i];
        bool plain = (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') ||
                     (ch >= '0' && ch <= '9') || ch == '.' || ch == '-' || ch == '_';

        if (plain)
            buf_add_byte(out, ch);
        else
            buf_printf(out, "%%%02X", ch);
    }
    buf_add_byte(out, 0);
    out->n--; /* the NUL stays behind it, so that it is a string, too */
}

/* A file never changes, so a client that asks with a token may cache it for long. By a link it is
 * cached briefly, so that a copy does not outlive the right to it; no shared cache may keep it. */
static void add_headers(struct call *call, const struct media *media, const char *etag, bool small,
                        bool by_link)
{
    struct cq_buf text;
    char keep[80];

    buf_init(&text, TEXT_MAX);
    disposition(media, &text);
    if (!small && !text.failed)
        call_header(call, "content-disposition", buf_span(&text));
    buf_release(&text);
    if (by_link)
        snprintf(keep, sizeof keep, "private, max-age=%d", MEDIA_LINK_KEEP_S);
    else
        snprintf(keep, sizeof keep, "private, max-age=31536000, immutable");
    call_header(call, "cache-control", span_str(keep));
    call_header(call, "etag", span_str(etag));
    call_header(call, "accept-ranges", span_str("bytes"));
    call_header(call, "content-security-policy", span_str("sandbox; default-src 'none'"));
}

/* `bytes=a-b`, `bytes=a-`, `bytes=-n`; anything else, several ranges too, means all of it. */
static bool parse_range(struct cq_span text, int64_t size, int64_t *at, int64_t *end, bool *ret_bad)
{
    int64_t value[2] = { -1, -1 };
    size_t i = 6, which = 0;

    *ret_bad = false;
    if (text.n < 8 || text.n > 48 || memcmp(text.p, "bytes=", 6) != 0)
        return false;
    for (; i < text.n; i++) {
        uint8_t ch = text.p[i];

        if (ch == '-' && which == 0)
            which = 1;
        else if (ch >= '0' && ch <= '9' && value[which] < (int64_t)1 << 50)
            value[which] = (value[which] < 0 ? 0 : value[which]) * 10 + (ch - '0');
        else
            return false;
    }
    if (!which || (value[0] < 0 && value[1] < 0) ||
        (value[0] >= 0 && value[1] >= 0 && value[1] < value[0]))
        return false;
    *at = value[0] >= 0 ? value[0] : size - (value[1] < size ? value[1] : size);
    *end = value[0] >= 0 && value[1] >= 0 && value[1] < size ? value[1] + 1 : size;
    *ret_bad = *at >= size;
    return true;
}

static bool has_etag(struct cq_span list, const char *etag)
{
    return span_eq_str(list, "*") ||
           (list.n >= strlen(etag) && memmem(list.p, list.n, etag, strlen(etag)));
}

static enum call_next next_piece(struct call *call)
{
    struct sending *sending = call->state;
    int64_t n = sending->end - sending->at < PIECE_BYTES ? sending->end - sending->at : PIECE_BYTES;
    enum cq_status st;

    buf_clear(&call->reply.body);
    st = store_read(call->worker.store, sending->key, sending->at, (size_t)n, &call->reply.body);
    if (st == CQ_OK && (int64_t)call->reply.body.n != n)
        return call_unavailable(call,
                                "the store does not have all of the file now: ask again later");
    if (st != CQ_OK)
        return call_store(call, st);
    sending->at += n;
    call->reply.last = sending->at == sending->end;
    return CALL_STREAM;
}

/* The file itself, from a store without links: headers, and the range that is asked for. */
static enum call_next send_local(struct call *call, struct sending *sending, const char *etag,
                                 bool small)
{
    int64_t size = sending->end;
    char range[80];
    bool bad = false, part;

    if (has_etag(call->request.header[IN_IF_NONE_MATCH], etag)) {
        call->reply.length = 0;
        return call_reply(call, 304);
    }
    part = call->request.header[IN_RANGE].n &&
           (!call->request.header[IN_IF_RANGE].n ||
            span_eq_str(call->request.header[IN_IF_RANGE], etag)) &&
           parse_range(call->request.header[IN_RANGE], size, &sending->at, &sending->end, &bad);
    if (bad) {
        snprintf(range, sizeof range, "bytes */%" PRId64, size);
        call_header(call, "content-range", span_str(range));
        return call_error(call, 416, "bad_request",
                          "Range: not within the file, whose length Content-Range has");
    }
    call->reply.status = part ? 206 : 200;
    if (part) {
        snprintf(range, sizeof range, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, sending->at,
                 sending->end - 1, size);
        call_header(call, "content-range", span_str(range));
    }
    snprintf(sending->type, sizeof sending->type, "%.*s", SPAN_FMT(sending->media.content_type));
    call->reply.type = small ? "image/jpeg" : sending->type;
    call->reply.length = sending->end - sending->at;
    return call->request.is_head ? call_reply(call, call->reply.status) : next_piece(call);
}

/* The beginning of a link is a multiple of a step: all who ask within a step get the same link,
 * which a cache can keep. */
static enum call_next redirect(struct call *call, struct sending *sending, bool small)
{
    int64_t now_s = call->request.at_ms / 1000, step_s = call->conf->media.link_s;
    char keep[48], cache[64];
    struct cq_buf url, text;
    struct store_answer answer = { .type = "image/jpeg", .disposition = "inline", .cache = cache };
    bool good;

    buf_init(&url, STORE_URL_MAX);
    buf_init(&text, TEXT_MAX);
    disposition(&sending->media, &text);
    snprintf(sending->type, sizeof sending->type, "%.*s", SPAN_FMT(sending->media.content_type));
    snprintf(cache, sizeof cache, "%s, max-age=%" PRId64, sending->is_own ? "private" : "public",
             step_s);
    if (!small)
        answer.type = sending->type;
    if (!small && !text.failed)
        answer.disposition = (const char *)text.p;
    good = store_link_get(call->worker.store, sending->key, call->request.is_head, &answer,
                          now_s - now_s % step_s, (int)(2 * step_s), &url);
    if (good)
        call_header(call, "location", buf_span(&url));
    buf_release(&url);
    buf_release(&text);
    snprintf(keep, sizeof keep, "private, max-age=%d", MEDIA_LINK_KEEP_S);
    call_header(call, "cache-control", span_str(keep));
    return good ? call_reply(call, 302)
                : call_unavailable(call, "the store gives no link now: ask again later");
}

/* Who asks: by token, or by a link whose device is still logged in. False: the call has its
 * reply. */
static bool find_reader(struct call *call, struct pg *db, const char *path,
                        struct media_proof *proof, bool *ret_by_link, enum call_next *ret)
{
    enum device_state state = DEVICE_LOGGED_OUT;
    enum cq_status st = CQ_OK;

    *proof = (struct media_proof){ .user = call->request.who.user,
                                   .device = call->request.who.device,
                                   .has_left = true };
    *ret_by_link = id_is_zero(call->request.who.user);
    if (!*ret_by_link)
        return true;
    if (media_link_good(call, path, proof))
        st = device_look(db, proof->device, &state);
    if (st != CQ_OK)
        *ret = call_database(call, st);
    else if (state == DEVICE_DOORS_CLOSED)
        *ret = call_doors_closed(call);
    else if (state == DEVICE_LOGGED_OUT)
        *ret = call_error(call, 401, "unauthorized",
                          "a valid access token is needed, or a link that has not expired");
    return st == CQ_OK && state == DEVICE_LIVE;
}

/* For what is at `path`, and who asks. NULL: the call has its reply, and `*ret` says what follows. */
static struct sending *begin_sending(struct call *call, struct pg *db, const char *path,
                                     struct media_proof *proof, bool *ret_by_link,
                                     enum call_next *ret)
{
    struct sending *sending = ARENA_NEW(call->arena, struct sending);

    *ret = CALL_REPLY;
    if (!sending)
        *ret = call_unavailable(call, "too busy: ask again after Retry-After seconds");
    else if (media_there(call) && find_reader(call, db, path, proof, ret_by_link, ret))
        return sending;
    return NULL;
}

static enum call_next get_first(struct call *call, struct pg *db, bool small)
{
    struct sending *sending;
    struct media_proof proof;
    enum call_next next;
    char path[96], etag[72], hex[65];
    bool found = false, by_link;
    enum cq_status st;

    snprintf(path, sizeof path, "/api/media/%s%s", id_text(call->request.path_id[0]).s,
             small ? "/thumbnail" : "");
    sending = begin_sending(call, db, path, &proof, &by_link, &next);
    if (!sending)
        return next;
    st = media_read(db, call->arena, call->request.path_id[0], proof.user, call->request.at_ms,
                    &sending->media, &found);
    if (st != CQ_OK)
        return call_database(call, st);
    if (!found || (!proof.has_left && !sending->media.is_now) ||
        (small && !*sending->media.thumbnail && !sending->media.is_gone))
        return call_not_found(call);
    if (sending->media.is_gone)
        return call_file_gone(call);
    call->state = sending;
    sending->key = small ? sending->media.thumbnail : sending->media.key;
    sending->end = sending->media.size;
    if (store_has_links(call->worker.store))
        return redirect(call, sending, small);
    if (small && (st = store_size(call->worker.store, sending->key, &sending->end)) != CQ_OK)
        return call_store(call, st);
    hex_format(sending->media.sha256, 32, hex);
    snprintf(etag, sizeof etag, "\"%s%s\"", small ? "t" : "", hex);
    add_headers(call, &sending->media, etag, small, by_link);
    return send_local(call, sending, etag, small);
}

static enum call_next handle_media_get(struct call *call, struct pg *db)
{
    return call->loop.streaming ? next_piece(call) : get_first(call, db, false);
}

static enum call_next handle_media_thumbnail(struct call *call, struct pg *db)
{
    return call->loop.streaming ? next_piece(call) : get_first(call, db, true);
}

/* ---- an export ------------------------------------------------------------------------ */

/* It is for the device that asked for it, and no other of its user's. */
static enum cq_status find_export(struct call *call, struct pg *db, const struct media_proof *proof,
                                  struct sending *sending, bool *ret_found)
{
    static const char type[] = "application/x-tar", name[] = "chasqui-export.tar";
    struct archive archive;
    char *key = arena_alloc(call->arena, STORE_KEY_MAX);
    enum cq_status st = archive_latest(db, proof->user, call->request.at_ms, &archive, ret_found);

    *ret_found = st == CQ_OK && key && *ret_found && archive.state == ARCHIVE_MADE &&
                 id_eq(archive.id, call->request.path_id[0]) &&
                 id_eq(archive.device, proof->device);
    if (!*ret_found)
        return st;
    archive_key(archive.id, archive.tries, key);
    sending->key = key;
    sending->end = archive.size;
    sending->is_own = true;
    sending->media = (struct media){ .id = archive.id,
                                     .type = MESSAGE_TYPE_DOCUMENT,
                                     .content_type = span_str(type),
                                     .name = span_str(name),
                                     .size = archive.size };
    memcpy(sending->media.sha256, archive.sha256, sizeof sending->media.sha256);
    return CQ_OK;
}

static enum call_next get_export(struct call *call, struct pg *db)
{
    struct sending *sending;
    struct media_proof proof;
    enum call_next next;
    char path[96], etag[72], hex[65];
    bool found = false, by_link;
    enum cq_status st;

    snprintf(path, sizeof path, "/api/me/export/%s", id_text(call->request.path_id[0]).s);
    sending = begin_sending(call, db, path, &proof, &by_link, &next);
    if (!sending)
        return next;
    st = find_export(call, db, &proof, sending, &found);
    if (st != CQ_OK)
        return call_database(call, st);
    if (!found)
        return call_not_found(call);
    call->state = sending;
    if (store_has_links(call->worker.store))
        return redirect(call, sending, false);
    hex_format(sending->media.sha256, 32, hex);
    snprintf(etag, sizeof etag, "\"%s\"", hex);
    add_headers(call, &sending->media, etag, false, true); /* kept by nobody for long */
    return send_local(call, sending, etag, false);
}

static enum call_next handle_export_get(struct call *call, struct pg *db)
{
    return call->loop.streaming ? next_piece(call) : get_export(call, db);
}

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "GET", "/api/media/{}", false, handle_media_get, "the file", ROUTE_MEDIA | ROUTE_LINK, NULL },
    { "HEAD", "/api/media/{}", false, handle_media_get, "its size and type",
      ROUTE_MEDIA | ROUTE_LINK, NULL },
    { "GET", "/api/media/{}/thumbnail", false, handle_media_thumbnail, "a small picture of it",
      ROUTE_MEDIA | ROUTE_LINK, NULL },
    { "HEAD", "/api/media/{}/thumbnail", false, handle_media_thumbnail, "its size",
      ROUTE_MEDIA | ROUTE_LINK, NULL },
    { "GET", "/api/me/export/{}", false, handle_export_get, "the file of my export",
      ROUTE_MEDIA | ROUTE_LINK, NULL },
    { "HEAD", "/api/me/export/{}", false, handle_export_get, "its size", ROUTE_MEDIA | ROUTE_LINK,
      NULL },
};

const struct routes media_get_routes = { rows, ARRAY_LEN(rows) };
