/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/media_tus.c - files in pieces that survive a broken line: the tus protocol 1.0
 * (core, creation, checksum, termination).
 */
#include "edge/rest/api/media_tus.h"

#include "edge/rest/api/conf.h"
#include "edge/rest/api/media_store.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/upload.h"
#include "edge/rest/server/answer.h"
#include "edge/rest/view/media.h"
#include "lib/base/log.h"
#include "schemas/frame.h"

#include <inttypes.h>
#include <stdio.h>

#define VERSION "1.0.0"

enum { VALUE_MAX = 512, NUMBER_DIGITS = 15 };

/* Every answer says which version is spoken, and how large a piece may be. tus 1.0 has no header
 * for that; Upload-Limit is the one of its successor (draft-ietf-httpbis-resumable-upload). */
static enum call_next begin(struct call *call)
{
    char limit[64];

    call_header(call, "tus-resumable", span_str(VERSION));
    if (!media_there(call))
        return CALL_REPLY;
    snprintf(limit, sizeof limit, "max-append-size=%" PRId64, media_piece_most(&call->conf->media));
    call_header(call, "upload-limit", span_str(limit));
    if (span_eq_str(call->request.header[IN_TUS_RESUMABLE], VERSION))
        return CALL_GO_ON;
    call_header(call, "tus-version", span_str(VERSION));
    return call_error(call, 412, "bad_request",
                      "Tus-Resumable: " VERSION " is what this server speaks");
}

static int64_t largest_file(const struct media_conf *conf)
{
    int64_t most = 0;

    for (int t = 0; t < MESSAGE_TYPE_N; t++)
        most = conf->max_bytes[t] > most ? conf->max_bytes[t] : most;
    return most;
}

void tus_options(struct call *call, struct cq_span path)
{
    static const char files[] = "/api/media";
    const struct media_conf *conf = &call->conf->media;
    char text[96];

    if (!conf->store.where[0] || path.n < sizeof files - 1 ||
        memcmp(path.p, files, sizeof files - 1) != 0)
        return;
    call_header(call, "tus-resumable", span_str(VERSION));
    call_header(call, "tus-version", span_str(VERSION));
    call_header(call, "tus-extension",
                span_str("creation,creation-with-upload,checksum,termination"));
    call_header(call, "tus-checksum-algorithm", span_str("sha256,sha1"));
    call_header_i64(call, "tus-max-size", largest_file(conf));
    snprintf(text, sizeof text, "max-size=%" PRId64 ", max-append-size=%" PRId64,
             largest_file(conf), media_piece_most(conf));
    call_header(call, "upload-limit", span_str(text));
}

/* ---- creation ------------------------------------------------------------------------- */

/* The value under `key` in `key base64,key base64`, ended with a NUL, in the arena. */
static bool metadata(struct call *call, const char *key, struct cq_span *ret)
{
    struct cq_span rest = call->request.header[IN_UPLOAD_METADATA];
    size_t key_n = strlen(key), n = 0;
    uint8_t *value = arena_alloc(call->arena, VALUE_MAX + 1);

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

/* The type of message for a file whose client names none: it follows from the media type. */
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

static enum call_next parse_creation(struct call *call, struct upload *upload)
{
    struct cq_span chat, type, hash;

    *upload =
        (struct upload){ .declared_type = span_str("application/octet-stream"), .fresh = true };
    if (!span_digits(call->request.header[IN_UPLOAD_LENGTH], NUMBER_DIGITS, &upload->size))
        return call_bad_request(call, "Upload-Length: the number of bytes, at least 1");
    upload->chat = upload_own_place(call);
    if (metadata(call, "chatId", &chat) && !id_parse(chat, &upload->chat))
        return call_bad_request(call, "Upload-Metadata: chatId must be a chat's id");
    if (!metadata(call, "filename", &upload->name))
        upload->name = span_str("");
    if (metadata(call, "filetype", &type))
        upload->declared_type = type;
    upload->type = type_of(upload->declared_type);
    if (metadata(call, "type", &type) && !message_type_parse(type, &upload->type))
        return call_bad_request(call, "type: image, video, audio or document");
    upload->has_hash = metadata(call, "sha256", &hash);
    if (upload->has_hash && !hex_parse(hash, upload->sha256, sizeof upload->sha256))
        return call_bad_request(call, "sha256: 64 hex digits");
    return CALL_GO_ON;
}

/* ---- a piece -------------------------------------------------------------------------- */

/* `sha256 base64` or `sha1 base64` over the body; no header is fine. */
static enum call_next check_checksum(struct call *call)
{
    struct cq_span text = call->request.header[IN_UPLOAD_CHECKSUM], word;
    const uint8_t *space = text.n ? memchr(text.p, ' ', text.n) : NULL;
    uint8_t want[32], have[32];
    size_t n = 0, need;

    if (!text.n)
        return CALL_GO_ON;
    word = span_of(text.p, space ? (size_t)(space - text.p) : 0);
    need = span_eq_str(word, "sha256") ? 32 : span_eq_str(word, "sha1") ? 20 : 0;
    if (!need || !base64_parse(span_of(space + 1, text.n - word.n - 1), want, sizeof want, &n) ||
        n != need)
        return call_bad_request(call, "Upload-Checksum: sha256 or sha1, and base64");
    if (need == 32)
        sha256(&call->request.body, 1, have);
    else
        sha1(call->request.body, have);
    if (memcmp(want, have, need) == 0)
        return CALL_GO_ON;
    return call_error(call, 460, "wrong_content",
                      "Upload-Checksum: not that of this piece; send the piece again");
}

static enum call_next check_body(struct call *call)
{
    if (!span_eq_str(call->request.header[IN_CONTENT_TYPE], "application/offset+octet-stream"))
        return call_error(call, 415, "bad_request",
                          "Content-Type: application/offset+octet-stream");
    if ((int64_t)call->request.body.n > call->conf->media.part_bytes)
        return call_error(call, 413, "too_large", "%s", call->conf->media.piece_words);
    return check_checksum(call);
}

/* *ret_at: where it begins in the file. */
static enum call_next parse_piece(struct call *call, int64_t *ret_at)
{
    if (!span_digits(call->request.header[IN_UPLOAD_OFFSET], NUMBER_DIGITS, ret_at))
        return call_bad_request(call,
                                "Upload-Offset: the number of bytes that are held; HEAD tells it");
    return check_body(call);
}

static enum call_next beyond_length(struct call *call)
{
    return call_error(call, 413, "too_large", "body: goes beyond Upload-Length");
}

static enum call_next wrong_offset(struct call *call, struct pg *db, const struct upload *upload)
{
    call_header_i64(call, "upload-offset", upload->received);
    return upload_release(db,
                          call_error(call, 409, "conflict",
                                     "Upload-Offset: not the number of bytes held; HEAD tells it"));
}

/* The store has lost the pieces that were held: the upload begins again. */
static enum call_next start_over(struct call *call, struct pg *db, struct upload *upload)
{
    enum cq_status st;

    log_debug("pieces_lost", LOG_S("media", id_text(upload->id).s),
              LOG_S("why", store_why(call->worker.store)));
    upload->received = 0;
    sha256_begin(&upload->hash);
    st = upload_moved(db, upload, call->request.at_ms, span_str(""));
    if (st == CQ_OK)
        st = pg_script(db, "COMMIT");
    if (st != CQ_OK)
        return upload_release(db, call_database(call, st));
    call_header_i64(call, "upload-offset", 0);
    return call_error(call, 409, "conflict",
                      "the bytes that were held are lost: send all of them again");
}

/* The body is the next piece. *ret_store: what the store said; when that is CQ_OK, what the
 * database said is returned, and the transaction is over when that is CQ_OK, too. */
static enum cq_status hold_piece(struct call *call, struct pg *db, struct upload *upload,
                                 enum cq_status *ret_store)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf memo = { 0 };
    char type[MEDIA_TYPE_MAX + 1];
    bool last = upload->received + (int64_t)call->request.body.n == upload->size;
    enum cq_status st;

    buf_init(&memo, STORE_MEMO_MAX);
    buf_add_span(&memo, upload->memo);
    snprintf(type, sizeof type, "%.*s", SPAN_FMT(upload->declared_type));
    *ret_store = store_grow(call->worker.store, upload->key, &memo, upload->received,
                            call->request.body, last, type, &upload->hash);
    if (*ret_store != CQ_OK)
        return CQ_AGAIN;
    upload->received += (int64_t)call->request.body.n;
    st = upload_moved(db, upload, call->request.at_ms, buf_span(&memo));
    /* if the machine of the database fails, it may forget the last offsets: the client is told the
     * older one and sends those pieces again. The bytes themselves are safe already. */
    return st == CQ_OK ? pg_script(db, "SET LOCAL synchronous_commit = off; COMMIT") : st;
}

static enum call_next take_piece(struct call *call, struct pg *db, struct upload *upload)
{
    enum cq_status store, st = hold_piece(call, db, upload, &store);

    if (store == CQ_POISON)
        return start_over(call, db, upload);
    if (store != CQ_OK)
        return upload_release(db, call_store(call, store));
    if (st != CQ_OK)
        return upload_release(db, call_database(call, st));
    call_header_i64(call, "upload-offset", upload->received);
    return call_reply(call, 204);
}

static enum call_next handle_tus_patch(struct call *call, struct pg *db)
{
    struct upload upload;
    int64_t at = 0;

    if (begin(call) != CALL_GO_ON || parse_piece(call, &at) != CALL_GO_ON ||
        upload_hold(call, db, call->request.path_id[0], &upload) != CALL_GO_ON)
        return CALL_REPLY;
    if (at != upload.received)
        return wrong_offset(call, db, &upload);
    if (upload.received + (int64_t)call->request.body.n > upload.size)
        return upload_release(db, beyond_length(call));
    if (call->request.body.n && !upload.stored)
        return take_piece(call, db, &upload);
    call_header_i64(call, "upload-offset", upload.received);
    return upload_release(db, call_reply(call, 204));
}

/* ---- creation, with the first piece where the client sends one along ------------------ */

/* The upload exists whatever becomes of this piece: the answer is 201 with the offset from which
 * the client goes on, and a fault shows at the next piece. */
static int64_t hold_first_piece(struct call *call, struct pg *db, struct cq_id id)
{
    enum cq_status store = CQ_OK, st;
    struct upload upload;

    if (!call->request.body.n)
        return 0;
    if (upload_hold(call, db, id, &upload) != CALL_GO_ON) {
        buf_clear(&call->reply.body);
        return 0;
    }
    st = hold_piece(call, db, &upload, &store);
    if (st == CQ_OK && store == CQ_OK)
        return upload.received;
    upload_release(db, CALL_REPLY);
    return 0;
}

static enum call_next create(struct call *call, struct pg *db, struct upload *upload)
{
    struct chat_view chat;
    enum call_next next = upload_check_form(call, upload);

    if (next == CALL_GO_ON)
        next = upload_admit(call, db, upload, &chat);
    return next == CALL_GO_ON ? upload_open(call, db, upload) : next;
}

static enum call_next handle_tus_create(struct call *call, struct pg *db)
{
    struct upload upload;

    if (begin(call) != CALL_GO_ON || (call->request.body.n && check_body(call) != CALL_GO_ON) ||
        parse_creation(call, &upload) != CALL_GO_ON)
        return CALL_REPLY;
    if ((int64_t)call->request.body.n > upload.size)
        return beyond_length(call);
    if (create(call, db, &upload) != CALL_GO_ON)
        return CALL_REPLY;
    call_header_i64(call, "upload-offset", hold_first_piece(call, db, upload.id));
    call_header(call, "location", upload_path(call, &upload));
    return call_reply(call, 201);
}

/* ---- how much is held ----------------------------------------------------------------- */

static enum call_next handle_tus_head(struct call *call, struct pg *db)
{
    struct upload upload;
    bool found = false;
    enum cq_status st;

    if (begin(call) != CALL_GO_ON)
        return CALL_REPLY;
    st = upload_read(db, call->arena, call->request.path_id[0], call->request.who.user, &upload,
                     &found);
    if (st != CQ_OK)
        return call_database(call, st);
    if (!found)
        return call_not_found(call);
    call_header_i64(call, "upload-offset", upload.received);
    call_header_i64(call, "upload-length", upload.size);
    return call_reply(call, 200);
}

/* ---- giving an upload up -------------------------------------------------------------- */

static enum call_next handle_tus_delete(struct call *call, struct pg *db)
{
    char memo[STORE_MEMO_MAX + 1];
    struct upload upload;
    enum cq_status st;

    if (begin(call) != CALL_GO_ON ||
        upload_hold(call, db, call->request.path_id[0], &upload) != CALL_GO_ON)
        return CALL_REPLY;
    if (upload.stored)
        return upload_release(db,
                              call_error(call, 409, "conflict",
                                         "the upload is complete: it cannot be given up any more"));
    snprintf(memo, sizeof memo, "%.*s", SPAN_FMT(upload.memo));
    st = store_forget(call->worker.store, upload.id, memo, "");
    if (st != CQ_OK)
        return upload_release(db, call_store(call, st));
    st = upload_end(db, &upload, call->request.at_ms);
    if (st == CQ_OK)
        st = pg_script(db, "COMMIT");
    return st == CQ_OK ? call_reply(call, 204) : upload_release(db, call_database(call, st));
}

/* ---- routes ---------------------------------------------------------------------------- */

static const struct route rows[] = {
    { "POST", "/api/media/uploads", true, handle_tus_create, "announce a file, by tus",
      ROUTE_MEDIA | ROUTE_RAW, NULL },
    { "HEAD", "/api/media/{}/upload", true, handle_tus_head, "how many bytes of it are here",
      ROUTE_MEDIA | ROUTE_RAW, NULL },
    { "PATCH", "/api/media/{}/upload", true, handle_tus_patch, "the next piece of it",
      ROUTE_MEDIA | ROUTE_RAW, NULL },
    { "DELETE", "/api/media/{}/upload", true, handle_tus_delete, "give an upload up",
      ROUTE_MEDIA | ROUTE_RAW, NULL },
};

const struct routes media_tus_routes = { rows, ARRAY_LEN(rows) };
