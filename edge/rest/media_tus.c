/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/media_tus.c - files in pieces that survive a broken line: the tus protocol 1.0 (core,
 * creation, checksum, termination).
 */
#include "edge/rest/media.h"

#include "lib/base/log.h"
#include "schemas/frame.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PIECE_TYPE_MAX = 64, VALUE_MAX = 512 };

/* Every answer says which version is spoken, and how large a piece may be, which tus 1.0 has no
 * word for: Upload-Limit is the word of its successor (draft-ietf-httpbis-resumable-upload). False:
 * c has its reply. */
static bool tus_begin(struct call *c)
{
    char limit[64];

    call_header(c, "tus-resumable", span_str("1.0.0"));
    if (!media_there(c))
        return false;
    snprintf(limit, sizeof limit, "max-append-size=%" PRId64, media_piece_most(&c->conf->media));
    call_header(c, "upload-limit", span_str(limit));
    if (span_eq_str(c->in[IN_TUS_RESUMABLE], "1.0.0"))
        return true;
    call_header(c, "tus-version", span_str("1.0.0"));
    call_error(c, 412, "bad_request", "Tus-Resumable: 1.0.0");
    return false;
}

static bool number(struct cq_span text, int64_t *ret)
{
    int64_t v = 0;

    if (!text.n || text.n > 15)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = v * 10 + (text.p[i] - '0');
    }
    *ret = v;
    return true;
}

/* ---- creation ------------------------------------------------------------------------- */

/* The value under `key` in `key base64,key base64`, ended with a NUL, in the arena. */
static bool metadata(struct call *c, const char *key, struct cq_span *ret)
{
    struct cq_span rest = c->in[IN_UPLOAD_METADATA];
    size_t key_n = strlen(key), n = 0;
    uint8_t *value = arena_alloc(c->arena, VALUE_MAX + 1);

    while (rest.n && value) {
        const uint8_t *comma = memchr(rest.p, ',', rest.n);
        struct cq_span pair = span_of(rest.p, comma ? (size_t)(comma - rest.p) : rest.n);

        rest = comma ? span_of(comma + 1, rest.n - pair.n - 1) : span_of(NULL, 0);
        while (pair.n && *pair.p == ' ')
            pair = span_of(pair.p + 1, pair.n - 1);
        if (pair.n <= key_n + 1 || memcmp(pair.p, key, key_n) != 0 || pair.p[key_n] != ' ')
            continue;
        if (!base64_parse(span_of(pair.p + key_n + 1, pair.n - key_n - 1), value, VALUE_MAX, &n))
            return false;
        *ret = span_of(value, n);
        return true;
    }
    return false;
}

/* What it is to be sent as, when the client does not say so: after its media type. */
static enum message_type type_of(struct cq_span declared)
{
    static const struct {
        const char *prefix;
        enum message_type type;
    } rows[] = { { "image/", MESSAGE_TYPE_IMAGE },
                 { "video/", MESSAGE_TYPE_VIDEO },
                 { "audio/", MESSAGE_TYPE_AUDIO } };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (declared.n > 6 && memcmp(declared.p, rows[i].prefix, 6) == 0)
            return rows[i].type;
    return MESSAGE_TYPE_DOCUMENT;
}

static bool parse_creation(struct call *c, struct upload *u, enum call_next *ret)
{
    struct cq_span chat, type, hash;

    *u = (struct upload){ .declared_type = span_str("application/octet-stream"), .fresh = true };
    *ret = CALL_REPLY;
    if (!number(c->in[IN_UPLOAD_LENGTH], &u->size)) {
        *ret = call_bad_request(c, "Upload-Length: required");
        return false;
    }
    if (!metadata(c, "chatId", &chat) || !id_parse(chat, &u->chat)) {
        *ret = call_bad_request(c, "Upload-Metadata: chatId is required");
        return false;
    }
    if (!metadata(c, "filename", &u->name))
        u->name = span_str("");
    if (metadata(c, "filetype", &type))
        u->declared_type = type;
    u->type = type_of(u->declared_type);
    if (metadata(c, "type", &type) && !message_type_parse(type, &u->type)) {
        *ret = call_bad_request(c, "type: image, video, audio or document");
        return false;
    }
    u->has_hash = metadata(c, "sha256", &hash);
    if (u->has_hash && !hex_parse(hash, u->sha256, 32)) {
        *ret = call_bad_request(c, "sha256: 64 hex digits");
        return false;
    }
    return true;
}

/* ---- how much is held ----------------------------------------------------------------- */

enum call_next handle_tus_head(struct call *c, struct pg *db)
{
    struct upload u;
    bool found = false;
    enum cq_status st;

    if (!tus_begin(c))
        return CALL_REPLY;
    st = upload_read(c, db, c->path_id[0], &u, &found);
    if (st != CQ_OK)
        return call_database(c, st);
    if (!found)
        return call_not_found(c);
    call_header_i64(c, "upload-offset", u.received);
    call_header_i64(c, "upload-length", u.size);
    return call_reply(c, 200);
}

/* ---- a piece -------------------------------------------------------------------------- */

/* `sha256 base64` or `sha1 base64` over the body; no header is fine. */
static bool checksum_good(struct call *c, enum call_next *ret)
{
    struct cq_span text = c->in[IN_UPLOAD_CHECKSUM], word;
    const uint8_t *space = text.n ? memchr(text.p, ' ', text.n) : NULL;
    uint8_t want[32], have[32];
    size_t n = 0, need;

    if (!text.n)
        return true;
    word = span_of(text.p, space ? (size_t)(space - text.p) : 0);
    need = span_eq_str(word, "sha256") ? 32 : span_eq_str(word, "sha1") ? 20 : 0;
    if (!need || !base64_parse(span_of(space + 1, text.n - word.n - 1), want, sizeof want, &n) ||
        n != need) {
        *ret = call_bad_request(c, "Upload-Checksum: sha256 or sha1, and base64");
        return false;
    }
    if (need == 32)
        sha256(&c->body, 1, have);
    else
        sha1(c->body, have);
    if (memcmp(want, have, need) == 0)
        return true;
    *ret = call_error(c, 460, "wrong_content",
                      "Upload-Checksum: not that of this piece; send the piece again");
    return false;
}

static bool body_good(struct call *c, enum call_next *ret)
{
    *ret = CALL_REPLY;
    if (!span_eq_str(c->in[IN_CONTENT_TYPE], "application/offset+octet-stream"))
        *ret = call_error(c, 415, "bad_request", "Content-Type: application/offset+octet-stream");
    else if ((int64_t)c->body.n > c->conf->media.part_bytes)
        *ret = call_error(c, 413, "too_large", c->conf->media.piece_words);
    else
        return checksum_good(c, ret);
    return false;
}

static bool piece_good(struct call *c, int64_t *ret_at, enum call_next *ret)
{
    if (number(c->in[IN_UPLOAD_OFFSET], ret_at))
        return body_good(c, ret);
    *ret = call_bad_request(c, "Upload-Offset: required");
    return false;
}

static enum call_next wrong_offset(struct call *c, struct pg *db, const struct upload *u)
{
    call_header_i64(c, "upload-offset", u->received);
    return media_rollback(db,
                          call_error(c, 409, "conflict",
                                     "Upload-Offset: not the number of bytes held; HEAD tells it"));
}

/* What was held is gone from the store: from the beginning, then. */
static enum call_next start_over(struct call *c, struct pg *db, struct upload *u)
{
    enum cq_status st;

    log_debug("pieces_lost", LOG_S("media", id_text(u->id).s), LOG_S("why", store_why(c->store)));
    u->received = 0;
    sha256_begin(&u->hash);
    st = upload_moved(c, db, u, span_str(""));
    if (st == CQ_OK)
        st = pg_script(db, "COMMIT");
    if (st != CQ_OK)
        return media_rollback(db, call_database(c, st));
    call_header_i64(c, "upload-offset", 0);
    return call_error(c, 409, "conflict",
                      "the bytes that were held are lost: send all of them again");
}

/* The body is the next piece. *ret_store: what the store said; when that is CQ_OK, what the
 * database said is returned, and the transaction is over when that is CQ_OK, too. */
static enum cq_status hold_piece(struct call *c, struct pg *db, struct upload *u,
                                 enum cq_status *ret_store)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf memo;
    char type[MEDIA_TYPE_MAX + 1];
    bool last = u->received + (int64_t)c->body.n == u->size;
    enum cq_status st;

    buf_init(&memo, STORE_MEMO_MAX);
    buf_add_span(&memo, u->memo);
    snprintf(type, sizeof type, "%.*s", SPAN_FMT(u->declared_type));
    *ret_store = store_grow(c->store, u->key, &memo, u->received, c->body, last, type, &u->hash);
    if (*ret_store != CQ_OK)
        return CQ_AGAIN;
    u->received += (int64_t)c->body.n;
    st = upload_moved(c, db, u, buf_span(&memo));
    /* a database that loses its machine may forget the last offsets: the client is told the older
     * one and sends those pieces again. The bytes themselves are safe already. */
    return st == CQ_OK ? pg_script(db, "SET LOCAL synchronous_commit = off; COMMIT") : st;
}

static enum call_next take_piece(struct call *c, struct pg *db, struct upload *u)
{
    enum cq_status store, st = hold_piece(c, db, u, &store);

    if (store == CQ_POISON)
        return start_over(c, db, u);
    if (store != CQ_OK)
        return media_rollback(db, call_store(c, store));
    if (st != CQ_OK)
        return media_rollback(db, call_database(c, st));
    call_header_i64(c, "upload-offset", u->received);
    return call_reply(c, 204);
}

/* Locked by the row, so that pieces come one after the other, whichever copy of edge-rest has
 * them. */
static bool begin_locked(struct call *c, struct pg *db, struct cq_id id, struct upload *u,
                         enum call_next *ret)
{
    bool found = false, busy = false;
    enum cq_status st = pg_script(db, "BEGIN");

    if (st == CQ_OK)
        st = upload_lock(c, db, id, u, &found, &busy);
    if (busy)
        *ret = media_rollback(
            db,
            call_error(c, 423, "busy",
                       "another request works on this upload: send it again when that has ended"));
    else if (st != CQ_OK)
        *ret = media_rollback(db, call_database(c, st));
    else if (!found)
        *ret = media_rollback(db, call_not_found(c));
    else
        return true;
    return false;
}

/* ---- creation, with the first piece where the client sends one along ------------------ */

/* Whatever becomes of the piece, the upload is there: the client goes on at the offset it is told,
 * and hears of any trouble then. */
static int64_t hold_first_piece(struct call *c, struct pg *db, struct cq_id id)
{
    enum cq_status store = CQ_OK, st;
    enum call_next next;
    struct upload u;

    if (!c->body.n)
        return 0;
    if (!begin_locked(c, db, id, &u, &next)) {
        buf_clear(&c->out);
        return 0;
    }
    st = hold_piece(c, db, &u, &store);
    if (st == CQ_OK && store == CQ_OK)
        return u.received;
    media_rollback(db, CALL_REPLY);
    return 0;
}

enum call_next handle_tus_create(struct call *c, struct pg *db)
{
    struct upload u;
    enum call_next next;
    char url[96];

    if (!tus_begin(c) || (c->body.n && !body_good(c, &next)))
        return CALL_REPLY;
    if (!parse_creation(c, &u, &next))
        return next;
    if ((int64_t)c->body.n > u.size)
        return call_error(c, 413, "too_large", "body: goes beyond Upload-Length");
    next = upload_begin(c, db, &u);
    if (next != CALL_REPLY || c->status)
        return next;
    call_header_i64(c, "upload-offset", hold_first_piece(c, db, u.id));
    snprintf(url, sizeof url, "/api/media/%s/upload", id_text(u.id).s);
    call_header(c, "location", span_str(url));
    return call_reply(c, 201);
}

enum call_next handle_tus_patch(struct call *c, struct pg *db)
{
    struct upload u;
    enum call_next next;
    int64_t at = 0;

    if (!tus_begin(c))
        return CALL_REPLY;
    if (!piece_good(c, &at, &next) || !begin_locked(c, db, c->path_id[0], &u, &next))
        return next;
    if (at != u.received)
        return wrong_offset(c, db, &u);
    if (u.received + (int64_t)c->body.n > u.size)
        return media_rollback(db,
                              call_error(c, 413, "too_large", "body: goes beyond Upload-Length"));
    if (c->body.n && !u.stored)
        return take_piece(c, db, &u);
    call_header_i64(c, "upload-offset", u.received);
    return media_rollback(db, call_reply(c, 204));
}

enum call_next handle_tus_delete(struct call *c, struct pg *db)
{
    char memo[STORE_MEMO_MAX + 1];
    struct upload u;
    enum call_next next;
    enum cq_status st;

    if (!tus_begin(c))
        return CALL_REPLY;
    if (!begin_locked(c, db, c->path_id[0], &u, &next))
        return next;
    if (u.stored)
        return media_rollback(db, call_error(c, 409, "conflict", "it is complete"));
    snprintf(memo, sizeof memo, "%.*s", SPAN_FMT(u.memo));
    st = store_forget(c->store, u.id, memo, "");
    if (st != CQ_OK)
        return media_rollback(db, call_store(c, st));
    st = upload_end(c, db, &u);
    if (st == CQ_OK)
        st = pg_script(db, "COMMIT");
    return st == CQ_OK ? call_reply(c, 204) : media_rollback(db, call_database(c, st));
}
