/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/media_get.c - files for those who may read them: a redirection to the store, or their
 * bytes piece by piece.
 */
#include "edge/auth/devices.h"
#include "edge/rest/media.h"

#include "schemas/frame.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PIECE_BYTES = 256 * 1024, TEXT_MAX = 1024 };

/* ---- links of ours -------------------------------------------------------------------- */

/* Method, path, reader, device, end and kind are all in it. */
static void link_signature(const struct call *c, const char *path, const struct media_proof *proof,
                           char out[64])
{
    uint8_t digest[32];
    char text[320];
    struct cq_span part;

    snprintf(text, sizeof text, "GET\n%s\n%s\n%s\n%" PRId64 "\n%d", path, id_text(proof->user).s,
             id_text(proof->device).s, proof->until_s, proof->has_left);
    part = span_str(text);
    hmac_sha256(span_of(c->conf->media.link_key, sizeof c->conf->media.link_key), &part, 1, digest);
    base64url_format(digest, sizeof digest, out);
}

void media_link(const struct call *c, struct cq_buf *out, const char *path,
                const struct media_proof *proof)
{
    char signature[64];

    link_signature(c, path, proof, signature);
    buf_printf(out, "\"%s?u=%s&d=%s&e=%" PRId64 "%s&s=%s\"", path, id_text(proof->user).s,
               id_text(proof->device).s, proof->until_s, proof->has_left ? "&l=1" : "", signature);
}

bool media_link_good(struct call *c, const char *path, struct media_proof *ret)
{
    struct cq_span given = call_param(c, "s");
    int64_t left = 0;
    char signature[64];

    *ret = (struct media_proof){ .until_s = 0 };
    if (!id_parse(call_param(c, "u"), &ret->user) || !id_parse(call_param(c, "d"), &ret->device) ||
        !call_param_i64(c, "e", &ret->until_s) || !call_param_i64(c, "l", &left) ||
        ret->until_s <= c->now_ms / 1000)
        return false;
    ret->has_left = left == 1;
    link_signature(c, path, ret, signature);
    return given.n == strlen(signature) && bytes_equal_ct(given.p, signature, given.n);
}

/* ---- what is sent --------------------------------------------------------------------- */

struct sending {
    struct media m;
    const char *key;
    char type[MEDIA_TYPE_MAX + 1];
    int64_t at, end; /* of the bytes still to be sent */
};

static bool is_shown(const struct media *m)
{
    return m->type != MESSAGE_TYPE_DOCUMENT;
}

/* `attachment; filename*=UTF-8''…` (RFC 6266): a name is for people, never for a path. */
static void disposition(const struct media *m, struct cq_buf *out)
{
    buf_add_str(out, is_shown(m) ? "inline" : "attachment");
    if (m->name.n)
        buf_add_str(out, "; filename*=UTF-8''");
    for (size_t i = 0; i < m->name.n; i++) {
        uint8_t ch = m->name.p[i];
        bool plain = (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') ||
                     (ch >= '0' && ch <= '9') || ch == '.' || ch == '-' || ch == '_';

        if (plain)
            buf_add_byte(out, ch);
        else
            buf_printf(out, "%%%02X", ch);
    }
    buf_add_byte(out, 0);
    out->n--; /* a string, too */
}

/* A file never changes, so a client that asks with a token may cache it for long. By a link it is
 * cached briefly, so that a copy does not outlive the right to it; no shared cache may keep it. */
static void add_headers(struct call *c, const struct media *m, const char *etag, bool small,
                        bool by_link)
{
    struct cq_buf text;
    char keep[80];

    buf_init(&text, TEXT_MAX);
    disposition(m, &text);
    if (!small && !text.failed)
        call_header(c, "content-disposition", buf_span(&text));
    buf_release(&text);
    if (by_link)
        snprintf(keep, sizeof keep, "private, max-age=%d", MEDIA_LINK_KEEP_S);
    else
        snprintf(keep, sizeof keep, "private, max-age=31536000, immutable");
    call_header(c, "cache-control", span_str(keep));
    call_header(c, "etag", span_str(etag));
    call_header(c, "accept-ranges", span_str("bytes"));
    call_header(c, "content-security-policy", span_str("sandbox; default-src 'none'"));
}

/* `bytes=a-b`, `bytes=a-`, `bytes=-n`; anything else, several ranges too, means all of it. */
static bool parse_range(struct cq_span text, int64_t size, int64_t *at, int64_t *end, bool *ret_bad)
{
    int64_t v[2] = { -1, -1 };
    size_t i = 6, k = 0;

    *ret_bad = false;
    if (text.n < 8 || text.n > 48 || memcmp(text.p, "bytes=", 6) != 0)
        return false;
    for (; i < text.n; i++) {
        uint8_t ch = text.p[i];

        if (ch == '-' && k == 0)
            k = 1;
        else if (ch >= '0' && ch <= '9' && v[k] < (int64_t)1 << 50)
            v[k] = (v[k] < 0 ? 0 : v[k]) * 10 + (ch - '0');
        else
            return false;
    }
    if (!k || (v[0] < 0 && v[1] < 0) || (v[0] >= 0 && v[1] >= 0 && v[1] < v[0]))
        return false;
    *at = v[0] >= 0 ? v[0] : size - (v[1] < size ? v[1] : size);
    *end = v[0] >= 0 && v[1] >= 0 && v[1] < size ? v[1] + 1 : size;
    *ret_bad = *at >= size;
    return true;
}

static bool has_etag(struct cq_span list, const char *etag)
{
    return span_eq_str(list, "*") ||
           (list.n >= strlen(etag) && memmem(list.p, list.n, etag, strlen(etag)));
}

static enum call_next next_piece(struct call *c)
{
    struct sending *s = c->state;
    int64_t n = s->end - s->at < PIECE_BYTES ? s->end - s->at : PIECE_BYTES;
    enum cq_status st;

    buf_clear(&c->out);
    st = store_read(c->store, s->key, s->at, (size_t)n, &c->out);
    if (st == CQ_OK && (int64_t)c->out.n != n)
        return call_unavailable(c, "the store does not have all of it");
    if (st != CQ_OK)
        return call_store(c, st);
    s->at += n;
    c->last = s->at == s->end;
    return CALL_STREAM;
}

/* Headers and ranges of a store without links. */
static enum call_next send_local(struct call *c, struct sending *s, const char *etag, bool small)
{
    int64_t size = s->end;
    char range[80];
    bool bad = false, part;

    if (has_etag(c->in[IN_IF_NONE_MATCH], etag)) {
        c->content_length = 0;
        return call_reply(c, 304);
    }
    part = c->in[IN_RANGE].n && (!c->in[IN_IF_RANGE].n || span_eq_str(c->in[IN_IF_RANGE], etag)) &&
           parse_range(c->in[IN_RANGE], size, &s->at, &s->end, &bad);
    if (bad) {
        snprintf(range, sizeof range, "bytes */%" PRId64, size);
        call_header(c, "content-range", span_str(range));
        return call_error(c, 416, "bad_request", "Range: not within the file");
    }
    c->status = part ? 206 : 200;
    if (part) {
        snprintf(range, sizeof range, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, s->at, s->end - 1,
                 size);
        call_header(c, "content-range", span_str(range));
    }
    snprintf(s->type, sizeof s->type, "%.*s", SPAN_FMT(s->m.content_type));
    c->content_type = small ? "image/jpeg" : s->type;
    c->content_length = s->end - s->at;
    return c->is_head ? call_reply(c, c->status) : next_piece(c);
}

/* Links begin on a step, so that all who ask within it get the same one, which a cache can keep. */
static enum call_next redirect(struct call *c, struct sending *s, bool small)
{
    int64_t now_s = c->now_ms / 1000, step_s = c->conf->media.link_s;
    char keep[48], cache[64];
    struct cq_buf url, text;
    struct store_answer answer = { .type = "image/jpeg", .disposition = "inline", .cache = cache };
    bool good;

    buf_init(&url, STORE_URL_MAX);
    buf_init(&text, TEXT_MAX);
    disposition(&s->m, &text);
    snprintf(s->type, sizeof s->type, "%.*s", SPAN_FMT(s->m.content_type));
    snprintf(cache, sizeof cache, "public, max-age=%" PRId64, step_s);
    if (!small)
        answer.type = s->type;
    if (!small && !text.failed)
        answer.disposition = (const char *)text.p;
    good = store_link_get(c->store, s->key, c->is_head, &answer, now_s - now_s % step_s,
                          (int)(2 * step_s), &url);
    if (good)
        call_header(c, "location", buf_span(&url));
    buf_release(&url);
    buf_release(&text);
    snprintf(keep, sizeof keep, "private, max-age=%d", MEDIA_LINK_KEEP_S);
    call_header(c, "cache-control", span_str(keep));
    return good ? call_reply(c, 302) : call_unavailable(c, "no link can be made");
}

/* Who asks: by token, or by a link whose device is still logged in. False: c has its reply. */
static bool find_reader(struct call *c, struct pg *db, const char *path, struct media_proof *proof,
                        bool *ret_by_link, enum call_next *ret)
{
    enum device_state state = DEVICE_LOGGED_OUT;
    enum cq_status st = CQ_OK;

    *proof = (struct media_proof){ .user = c->who.user, .has_left = true };
    *ret_by_link = id_is_zero(c->who.user);
    if (!*ret_by_link)
        return true;
    if (media_link_good(c, path, proof))
        st = device_look(db, proof->device, &state);
    if (st != CQ_OK)
        *ret = call_database(c, st);
    else if (state == DEVICE_DOORS_CLOSED)
        *ret = call_doors_closed(c);
    else if (state == DEVICE_LOGGED_OUT)
        *ret = call_error(c, 401, "unauthorized",
                          "a valid access token is needed, or a link that has not expired");
    return st == CQ_OK && state == DEVICE_LIVE;
}

static enum call_next get_first(struct call *c, struct pg *db, bool small)
{
    struct sending *s = ARENA_NEW(c->arena, struct sending);
    struct media_proof proof;
    enum call_next next = CALL_REPLY;
    char path[96], etag[72], hex[65];
    bool found = false, by_link;
    enum cq_status st;

    if (!s || !media_there(c))
        return s ? CALL_REPLY
                 : call_unavailable(c, "too busy: ask again after Retry-After seconds");
    snprintf(path, sizeof path, "/api/media/%s%s", id_text(c->path_id[0]).s,
             small ? "/thumbnail" : "");
    if (!find_reader(c, db, path, &proof, &by_link, &next))
        return next;
    st = media_read(c, db, c->path_id[0], proof.user, &s->m, &found);
    if (st != CQ_OK)
        return call_database(c, st);
    if (!found || (!proof.has_left && !s->m.is_now) || (small && !*s->m.thumbnail))
        return call_not_found(c);
    c->state = s;
    c->step = 1;
    s->key = small ? s->m.thumbnail : s->m.key;
    s->end = s->m.size;
    if (store_has_links(c->store))
        return redirect(c, s, small);
    if (small && (st = store_size(c->store, s->key, &s->end)) != CQ_OK)
        return call_store(c, st);
    hex_format(s->m.sha256, 32, hex);
    snprintf(etag, sizeof etag, "\"%s%s\"", small ? "t" : "", hex);
    add_headers(c, &s->m, etag, small, by_link);
    return send_local(c, s, etag, small);
}

enum call_next handle_media_get(struct call *c, struct pg *db)
{
    return c->streaming ? next_piece(c) : get_first(c, db, false);
}

enum call_next handle_media_thumbnail(struct call *c, struct pg *db)
{
    return c->streaming ? next_piece(c) : get_first(c, db, true);
}
