/* SPDX-License-Identifier: MIT */
/*
 * lib/store/s3.c - a bucket that speaks S3, addressed by path. What grows is a multipart upload;
 * the bytes that are too few for a part wait in an object of their own until more come.
 */
#include "lib/base/hash.h"
#include "lib/http/transfer.h"
#include "lib/store/kinds.h"
#include "lib/store/sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PARTS_MAX = 1000, LINE_BYTES = 512, PAIRS_MAX = 4, XML_MAX = 128 * 1024, ABORTS_MAX = 16 };

struct s3 {
    char base[256];   /* http://host:port */
    char host[224];   /* host:port */
    char origin[256]; /* as clients reach it */
    char origin_host[224];
    char bucket[64];
    char region[64];
    char access_key[128], secret_key[160];
    struct transfer *transfer; /* owned */
};

struct s3_request {
    const char *method;
    const char *key;               /* NULL: the bucket */
    const char *const (*pairs)[2]; /* of the query, sorted */
    size_t pairs_n;
    const char *type, *range;
    const char *copy_from; /* `/bucket/key` */
    bool checksum;         /* ask for the one that it has */
    struct cq_span body;
    bool (*sink)(void *arg, struct cq_span bytes);
    void *arg;
};

/* ---- one request ---------------------------------------------------------------------- */

static void path_of(const struct s3 *s3, const char *key, char *out, size_t cap)
{
    snprintf(out, cap, "/%s%s%s", s3->bucket, key ? "/" : "", key ? key : ""); /* needs no escape */
}

static bool contains(struct cq_span span, const char *word)
{
    return span.n && memmem(span.p, span.n, word, strlen(word));
}

static enum cq_status judge(struct store *store, const char *what,
                            const struct transfer_reply *reply)
{
    char why[160];

    if (reply->status / 100 == 2)
        return CQ_OK;
    snprintf(why, sizeof why, "status %d %.*s", reply->status,
             (int)(reply->body.n < 120 ? reply->body.n : 120), (const char *)reply->body.p);
    for (char *p = why; *p; p++)
        if (*p < ' ')
            *p = ' ';
    if (contains(reply->body, "StorageFull") || contains(reply->body, "QuotaExceeded") ||
        contains(reply->body, "no space left") || reply->status == 507)
        return store_fail(store, STORE_FULL, what, why);
    if (reply->status == 404 && contains(reply->body, "NoSuchBucket"))
        return store_fail(store, STORE_AWAY, what, why); /* s3_call() makes the bucket */
    if (reply->status == 404)
        return store_fail(store, STORE_MISSING, what, why);
    if (reply->status == 403 || reply->status == 401)
        return store_fail(store, STORE_REFUSED, what, why);
    return store_fail(store, reply->status == 400 ? STORE_WRONG : STORE_AWAY, what, why);
}

static bool sign(const struct s3 *s3, const struct s3_request *request, const char *path,
                 struct cq_buf *url, struct cq_buf *line, char date[SIGV4_TIME_LEN + 1])
{
    struct sigv4 sigv4 = { .access_key = s3->access_key,
                           .secret_key = s3->secret_key,
                           .region = s3->region,
                           .method = request->method,
                           .host = s3->host,
                           .path = path,
                           .query = request->pairs,
                           .query_n = request->pairs_n,
                           .now_s = time(NULL) };
    const char *headers[4][2];
    size_t n = 0;

    sigv4_time(sigv4.now_s, date);
    if (request->checksum)
        headers[n][0] = "x-amz-checksum-mode", headers[n++][1] = "ENABLED";
    headers[n][0] = "x-amz-content-sha256", headers[n++][1] = "UNSIGNED-PAYLOAD";
    if (request->copy_from)
        headers[n][0] = "x-amz-copy-source", headers[n++][1] = request->copy_from;
    headers[n][0] = "x-amz-date", headers[n++][1] = date;
    sigv4.headers = (const char *const(*)[2])headers;
    sigv4.headers_n = n;
    buf_printf(url, "%s%s", s3->base, path);
    for (size_t i = 0; i < request->pairs_n; i++) {
        buf_printf(url, "%c%s=", i ? '&' : '?', request->pairs[i][0]);
        sigv4_encode(url, span_str(request->pairs[i][1]), false);
    }
    buf_add_byte(url, 0);
    buf_add_str(line, "Authorization: ");
    if (!sigv4_header(&sigv4, line))
        return false;
    buf_add_byte(line, 0);
    return !url->failed && !line->failed;
}

static enum cq_status run_once(struct store *store, const struct s3_request *request,
                               struct transfer_reply *ret)
{
    struct s3 *s3 = store->own;
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf url = { 0 }, line = { 0 };
    char path[STORE_KEY_MAX + 80], date[SIGV4_TIME_LEN + 1], date_line[64], type[LINE_BYTES],
        range[96], copy[LINE_BYTES];
    const char *headers[7] = { NULL, date_line, "x-amz-content-sha256: UNSIGNED-PAYLOAD" };
    struct transfer_request transfer_request = { .method = request->method,
                                                 .headers = headers,
                                                 .headers_n = 3,
                                                 .body = request->body,
                                                 .sink = request->sink,
                                                 .arg = request->arg };
    enum cq_status st;

    *ret = (struct transfer_reply){ 0 }; /* without an answer there is no status to look at */
    buf_init(&url, STORE_URL_MAX);
    buf_init(&line, SIGV4_TEXT_MAX);
    path_of(s3, request->key, path, sizeof path);
    if (!sign(s3, request, path, &url, &line, date))
        return store_fail(store, STORE_AWAY, request->method, "too long");
    snprintf(date_line, sizeof date_line, "x-amz-date: %s", date);
    headers[0] = (const char *)line.p;
    snprintf(type, sizeof type, "Content-Type: %s",
             request->type ? request->type : "application/octet-stream");
    if (request->body.n || request->type)
        headers[transfer_request.headers_n++] = type;
    snprintf(range, sizeof range, "Range: %s", request->range ? request->range : "");
    if (request->range)
        headers[transfer_request.headers_n++] = range;
    snprintf(copy, sizeof copy, "x-amz-copy-source: %s",
             request->copy_from ? request->copy_from : "");
    if (request->copy_from)
        headers[transfer_request.headers_n++] = copy;
    if (request->checksum)
        headers[transfer_request.headers_n++] = "x-amz-checksum-mode: ENABLED";
    transfer_request.url = (const char *)url.p;
    st = transfer_run(s3->transfer, &transfer_request, ret);
    if (st == CQ_AGAIN)
        return store_fail(store, STORE_AWAY, request->method, transfer_why(s3->transfer));
    if (st != CQ_OK)
        return store_fail(store, STORE_WRONG, request->method, "not what was announced");
    return judge(store, request->method, ret);
}

/* A bucket that is missing, because the store was away when it should have been made, is made now,
 * and the request is run once more. */
static enum cq_status s3_call(struct store *store, const struct s3_request *request,
                              struct transfer_reply *ret)
{
    enum cq_status st = run_once(store, request, ret);
    struct transfer_reply made;

    if (st != CQ_AGAIN || !request->key || ret->status != 404)
        return st;
    store->fault = STORE_FINE;
    st = run_once(store, &(struct s3_request){ .method = "PUT" }, &made);
    return st == CQ_OK ? run_once(store, request, ret) : st;
}

/* ---- whole objects -------------------------------------------------------------------- */

static enum cq_status s3_prepare(struct store *store)
{
    struct transfer_reply reply;
    enum cq_status st = s3_call(store, &(struct s3_request){ .method = "HEAD" }, &reply);

    if (st == CQ_POISON && store->fault == STORE_MISSING) {
        store->fault = STORE_FINE;
        st = s3_call(store, &(struct s3_request){ .method = "PUT" }, &reply);
        if (st != CQ_OK && reply.status == 409) { /* somebody else made it first */
            store->fault = STORE_FINE;
            st = CQ_OK;
        }
    }
    return st;
}

static enum cq_status s3_put(struct store *store, const char *key, const char *type,
                             struct cq_span bytes)
{
    struct transfer_reply reply;

    return s3_call(store,
                   &(struct s3_request){ .method = "PUT", .key = key, .type = type, .body = bytes },
                   &reply);
}

static enum cq_status s3_size(struct store *store, const char *key, int64_t *ret)
{
    struct transfer_reply reply;
    enum cq_status st =
        s3_call(store, &(struct s3_request){ .method = "HEAD", .key = key }, &reply);

    if (st == CQ_OK)
        *ret = reply.length;
    return st;
}

enum cq_status s3_proven(struct store *store, const char *key, const uint8_t sha256[32],
                         int64_t *ret_size, bool *ret_proven)
{
    char want[STORE_HASH_TEXT];
    struct transfer_reply reply;
    enum cq_status st = s3_call(
        store, &(struct s3_request){ .method = "HEAD", .key = key, .checksum = true }, &reply);

    store_hash_text(sha256, want);
    *ret_proven = st == CQ_OK && strcmp(reply.checksum, want) == 0;
    if (st == CQ_OK)
        *ret_size = reply.length;
    return st;
}

static bool into_buf(void *arg, struct cq_span bytes)
{
    struct cq_buf *buf = arg;

    buf_add_span(buf, bytes);
    return !buf->failed;
}

static enum cq_status s3_read(struct store *store, const char *key, int64_t offset, size_t most,
                              struct cq_buf *ret)
{
    struct transfer_reply reply;
    char range[80];
    enum cq_status st;

    snprintf(range, sizeof range, "bytes=%lld-%lld", (long long)offset,
             (long long)offset + (long long)most - 1);
    st = s3_call(store,
                 &(struct s3_request){
                     .method = "GET", .key = key, .range = range, .sink = into_buf, .arg = ret },
                 &reply);
    if (st != CQ_OK && reply.status == 416) { /* past the end */
        store->fault = STORE_FINE;
        return CQ_OK;
    }
    return st;
}

static enum cq_status s3_stream(struct store *store, const char *key,
                                bool (*sink)(void *arg, struct cq_span bytes), void *arg)
{
    struct transfer_reply reply;

    return s3_call(store,
                   &(struct s3_request){ .method = "GET", .key = key, .sink = sink, .arg = arg },
                   &reply);
}

static enum cq_status s3_remove(struct store *store, const char *key)
{
    struct transfer_reply reply;
    enum cq_status st =
        s3_call(store, &(struct s3_request){ .method = "DELETE", .key = key }, &reply);

    if (st == CQ_POISON && store->fault == STORE_MISSING) {
        store->fault = STORE_FINE;
        return CQ_OK;
    }
    return st;
}

static enum cq_status s3_copy(struct store *store, const char *from, const char *to)
{
    char path[STORE_KEY_MAX + 80];
    struct transfer_reply reply;
    enum cq_status st;

    path_of(store->own, from, path, sizeof path);
    st = s3_call(store, &(struct s3_request){ .method = "PUT", .key = to, .copy_from = path },
                 &reply);
    if (st == CQ_OK && contains(reply.body, "<Error>"))
        return store_fail(store, STORE_AWAY, "PUT", "could not be copied");
    return st;
}

/* ---- growing -------------------------------------------------------------------------- */

/* The memo has a line `upload id, bytes that wait, where`, and then the etag of each part, a line
 * each, in order. `where` is nothing or `b`: in which of two objects the bytes wait. What waits is
 * never overwritten before its successor is noted, since not every store discards a PUT that breaks
 * off when this process is killed. */
struct memo {
    char upload[1024]; /* "": none yet */
    size_t waiting;
    bool in_b;
    size_t parts_n;
    struct cq_span etags; /* the lines */
};

static bool memo_read(struct cq_span text, struct memo *memo)
{
    const uint8_t *end = text.n ? memchr(text.p, '\n', text.n) : NULL, *space, *at;

    *memo = (struct memo){ 0 };
    if (!text.n)
        return true;
    space = end ? memrchr(text.p, ' ', (size_t)(end - text.p)) : NULL;
    if (!space || (size_t)(space - text.p) >= sizeof memo->upload)
        return false;
    memcpy(memo->upload, text.p, (size_t)(space - text.p));
    for (at = space + 1; *at >= '0' && *at <= '9' && memo->waiting < STORE_PART_LEAST; at++)
        memo->waiting = memo->waiting * 10 + (size_t)(*at - '0');
    memo->in_b = *at == 'b';
    if (at == space + 1 || at + memo->in_b != end)
        return false;
    memo->etags = span_of(end + 1, text.n - (size_t)(end + 1 - text.p));
    for (size_t i = 0; i < memo->etags.n; i++)
        memo->parts_n += memo->etags.p[i] == '\n';
    return memo->waiting < STORE_PART_LEAST;
}

static void memo_write(const struct memo *from, const char *etag, struct cq_buf *memo)
{
    struct cq_buf fresh;

    buf_init(&fresh, STORE_MEMO_MAX);
    buf_printf(&fresh, "%s %zu%s\n", from->upload, from->waiting, from->in_b ? "b" : "");
    buf_add_span(&fresh, from->etags);
    if (etag)
        buf_printf(&fresh, "%s\n", etag);
    buf_clear(memo);
    buf_add_span(memo, buf_span(&fresh));
    memo->failed |= fresh.failed;
    buf_release(&fresh);
}

/* The object in which the bytes wait that are too few for a part. */
static void waiting_key(const char *key, bool in_b, char out[STORE_KEY_MAX + 16])
{
    snprintf(out, STORE_KEY_MAX + 16, "waiting/%s%s", in_b ? "b/" : "", key);
}

static enum cq_status remove_waiting(struct store *store, const char *key)
{
    char waiting[STORE_KEY_MAX + 16];
    enum cq_status st;

    waiting_key(key, false, waiting);
    st = s3_remove(store, waiting);
    waiting_key(key, true, waiting);
    return st == CQ_OK ? s3_remove(store, waiting) : st;
}

static bool between(struct cq_span span, const char *from, const char *to, char *out, size_t cap)
{
    const char *a = span.n ? memmem(span.p, span.n, from, strlen(from)) : NULL;
    const char *b;

    if (!a)
        return false;
    a += strlen(from);
    b = memmem(a, span.n - (size_t)(a - (const char *)span.p), to, strlen(to));
    if (!b || (size_t)(b - a) >= cap)
        return false;
    snprintf(out, cap, "%.*s", (int)(b - a), a);
    return true;
}

static enum cq_status begin_parts(struct store *store, const char *key, const char *type,
                                  struct memo *memo)
{
    static const char *const pairs[1][2] = { { "uploads", "" } };
    struct transfer_reply reply;
    enum cq_status st =
        s3_call(store,
                &(struct s3_request){
                    .method = "POST", .key = key, .pairs = pairs, .pairs_n = 1, .type = type },
                &reply);

    if (st == CQ_OK &&
        !between(reply.body, "<UploadId>", "</UploadId>", memo->upload, sizeof memo->upload))
        return store_fail(store, STORE_AWAY, "POST", "no upload id in the answer");
    return st;
}

static enum cq_status put_part(struct store *store, const char *key, const struct memo *memo,
                               struct cq_span bytes, char etag[TRANSFER_TEXT_MAX])
{
    char number[16];
    const char *pairs[2][2] = { { "partNumber", number }, { "uploadId", memo->upload } };
    struct transfer_reply reply;
    enum cq_status st;

    snprintf(number, sizeof number, "%zu", memo->parts_n + 1);
    st = s3_call(store,
                 &(struct s3_request){ .method = "PUT",
                                       .key = key,
                                       .pairs = (const char *const(*)[2])pairs,
                                       .pairs_n = 2,
                                       .body = bytes },
                 &reply);
    if (st == CQ_OK && !*reply.etag)
        return store_fail(store, STORE_AWAY, "PUT", "no etag in the answer");
    if (st == CQ_OK)
        snprintf(etag, TRANSFER_TEXT_MAX, "%s", reply.etag);
    return st;
}

static enum cq_status finish_parts(struct store *store, const char *key, struct cq_span memo_text,
                                   int64_t size)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf xml = { 0 };
    struct transfer_reply reply;
    struct memo memo;
    int64_t there = 0;
    enum cq_status st;
    int number = 0;

    buf_init(&xml, XML_MAX);
    if (!memo_read(memo_text, &memo))
        return store_fail(store, STORE_WRONG, "POST", "memo");
    const char *pairs[1][2] = { { "uploadId", memo.upload } };
    buf_add_str(&xml, "<CompleteMultipartUpload>");
    for (struct cq_span rest = memo.etags; rest.n;) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);

        buf_printf(&xml, "<Part><PartNumber>%d</PartNumber><ETag>\"%.*s\"</ETag></Part>", ++number,
                   (int)(end - rest.p), (const char *)rest.p);
        rest = span_of(end + 1, rest.n - (size_t)(end + 1 - rest.p));
    }
    buf_add_str(&xml, "</CompleteMultipartUpload>");
    st = s3_call(store,
                 &(struct s3_request){ .method = "POST",
                                       .key = key,
                                       .pairs = (const char *const(*)[2])pairs,
                                       .pairs_n = 1,
                                       .type = "application/xml",
                                       .body = buf_span(&xml) },
                 &reply);
    if (st == CQ_OK && contains(reply.body, "<Error>")) /* S3 may say 200 and fail after that */
        return store_fail(store, STORE_AWAY, "POST", "could not be put together");
    if (st == CQ_OK || store->fault != STORE_MISSING)
        return st;
    /* an earlier call completed it, and its answer was lost */
    st = s3_size(store, key, &there);
    if (st == CQ_OK && there == size) {
        store->fault = STORE_FINE;
        return CQ_OK;
    }
    return st == CQ_AGAIN ? st : store_fail(store, STORE_WRONG, "POST", "what was held is gone");
}

static enum cq_status grow_part(struct store *store, const char *key, struct memo *upload,
                                struct cq_buf *memo, struct cq_span bytes, const char *type)
{
    char etag[TRANSFER_TEXT_MAX];
    enum cq_status st = CQ_OK;

    if (upload->parts_n >= PARTS_MAX)
        return store_fail(store, STORE_WRONG, "PUT", "too many parts");
    if (!*upload->upload)
        st = begin_parts(store, key, type, upload);
    if (st == CQ_OK)
        st = put_part(store, key, upload, bytes, etag);
    if (st != CQ_OK)
        return st;
    upload->waiting = 0;
    memo_write(upload, etag, memo);
    return memo->failed ? store_fail(store, STORE_WRONG, "PUT", "memo too long") : CQ_OK;
}

static enum cq_status s3_grow(struct store *store, const char *key, struct cq_buf *memo, int64_t at,
                              struct cq_span bytes, bool last, const char *type,
                              struct sha256_state *hash)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf both = { 0 }, before = { 0 };
    char waiting[STORE_KEY_MAX + 16];
    struct memo upload;
    enum cq_status st = CQ_OK;

    buf_init(&both, STORE_BYTES_MAX + STORE_PART_LEAST);
    buf_init(&before, STORE_MEMO_MAX); /* `upload` points into it while the memo is rewritten */
    buf_add_span(&before, buf_span(memo));
    sha256_more(hash, bytes);
    if (!at)
        buf_clear(&before);
    if (!memo_read(buf_span(&before), &upload))
        return store_fail(store, STORE_WRONG, "grow", "memo");
    waiting_key(key, upload.in_b, waiting);
    if (upload.waiting) {
        st = s3_read(store, waiting, 0, upload.waiting, &both);
        if (st == CQ_OK && both.n != upload.waiting)
            st = store_fail(store, STORE_WRONG, "grow", "what was held is gone");
        buf_add_span(&both, bytes);
        bytes = buf_span(&both);
    }
    if (st != CQ_OK)
        return st;
    if (last && !*upload.upload)
        st = s3_put(store, key, type, bytes);
    else if (last || bytes.n >= STORE_PART_LEAST)
        st = grow_part(store, key, &upload, memo, bytes, type);
    else {
        upload.in_b = !upload.in_b;
        upload.waiting = bytes.n;
        waiting_key(key, upload.in_b, waiting);
        st = s3_put(store, waiting, NULL, bytes);
        memo_write(&upload, NULL, memo);
    }
    if (st == CQ_OK && last && *upload.upload)
        st = finish_parts(store, key, buf_span(memo), at + (int64_t)bytes.n - (int64_t)both.n);
    return st == CQ_OK && last && at ? remove_waiting(store, key) : st;
}

static enum cq_status abort_parts(struct store *store, const char *key, const char *upload)
{
    const char *pairs[1][2] = { { "uploadId", upload } };
    struct transfer_reply reply;
    enum cq_status st = s3_call(
        store,
        &(struct s3_request){
            .method = "DELETE", .key = key, .pairs = (const char *const(*)[2])pairs, .pairs_n = 1 },
        &reply);

    if (st == CQ_POISON) {
        store->fault = STORE_FINE;
        st = CQ_OK; /* it is gone */
    }
    return st;
}

/* A process that is killed between beginning an upload and noting its id leaves an upload that no
 * memo names. So the store is asked for them. */
static enum cq_status abort_all(struct store *store, const char *key)
{
    const char *pairs[3][2] = { { "max-uploads", "1" }, { "prefix", key }, { "uploads", "" } };
    char upload[1024];
    struct transfer_reply reply;
    enum cq_status st = CQ_OK;

    for (int i = 0; st == CQ_OK && i < ABORTS_MAX; i++) {
        st = s3_call(store,
                     &(struct s3_request){
                         .method = "GET", .pairs = (const char *const(*)[2])pairs, .pairs_n = 3 },
                     &reply);
        if (st == CQ_AGAIN && reply.status == 404) { /* no bucket: nothing is held */
            store->fault = STORE_FINE;
            return CQ_OK;
        }
        if (st != CQ_OK || !between(reply.body, "<UploadId>", "</UploadId>", upload, sizeof upload))
            return st;
        st = abort_parts(store, key, upload);
    }
    return st;
}

static enum cq_status s3_ungrow(struct store *store, const char *key, const char *text)
{
    struct memo memo;
    enum cq_status st = CQ_OK;

    if (memo_read(span_str(text), &memo) && *memo.upload)
        st = abort_parts(store, key, memo.upload);
    if (st == CQ_OK)
        st = abort_all(store, key);
    return st == CQ_OK ? remove_waiting(store, key) : st;
}

/* ---- links ---------------------------------------------------------------------------- */

static bool sign_link(const struct s3 *s3, struct sigv4 *sign, const char *key, int seconds,
                      struct cq_buf *ret)
{
    char path[STORE_KEY_MAX + 80];

    path_of(s3, key, path, sizeof path);
    sign->access_key = s3->access_key;
    sign->secret_key = s3->secret_key;
    sign->region = s3->region;
    sign->host = s3->origin_host;
    sign->path = path;
    buf_printf(ret, "%s%s?", s3->origin, path);
    return sigv4_query(sign, seconds, ret);
}

bool s3_link_put(struct store *store, const char *key, const char *type, int64_t length,
                 const uint8_t *sha256, int64_t now_s, int seconds, struct cq_buf *ret)
{
    char number[32], hash[STORE_HASH_TEXT];
    const char *headers[3][2] = { { "content-length", number },
                                  { "content-type", type },
                                  { STORE_HASH_HEADER, hash } };
    struct sigv4 sign = { .method = "PUT",
                          .headers = (const char *const(*)[2])headers,
                          .headers_n = sha256 ? 3 : 2,
                          .now_s = now_s };

    if (sha256)
        store_hash_text(sha256, hash);
    snprintf(number, sizeof number, "%lld", (long long)length);
    return sign_link(store->own, &sign, key, seconds, ret);
}

bool s3_link_get(struct store *store, const char *method, const char *key,
                 const struct store_answer *answer, int64_t now_s, int seconds, struct cq_buf *ret)
{
    const char *wanted[3][2] = { { "response-cache-control", answer->cache },
                                 { "response-content-disposition", answer->disposition },
                                 { "response-content-type", answer->type } };
    const char *pairs[3][2];
    struct sigv4 sign = { .method = method,
                          .query = (const char *const(*)[2])pairs,
                          .now_s = now_s };

    for (size_t i = 0; i < 3; i++)
        if (wanted[i][1]) {
            pairs[sign.query_n][0] = wanted[i][0];
            pairs[sign.query_n++][1] = wanted[i][1];
        }
    return sign_link(store->own, &sign, key, seconds, ret);
}

/* ---- life ----------------------------------------------------------------------------- */

static void s3_release(struct store *store)
{
    struct s3 *s3 = store->own;

    if (s3)
        transfer_free(s3->transfer);
    free(s3);
}

static const struct store_kind kind = { s3_release, s3_prepare, s3_put,  s3_size,   s3_read,
                                        s3_stream,  s3_remove,  s3_grow, s3_ungrow, s3_copy };

const char *s3_origin(const struct store *store)
{
    return store->kind == &kind ? ((struct s3 *)store->own)->origin : "";
}

/* Take `http://host:port` and `host` out of a URL; returns what follows them, or NULL when it is
 * not understood. */
static const char *cut_origin(const char *url, char *origin, size_t origin_cap, char *host,
                              size_t host_cap)
{
    size_t scheme = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
    size_t n = strcspn(url + scheme, "/");

    if (!scheme || !n || scheme + n >= origin_cap || n >= host_cap)
        return NULL;
    snprintf(origin, origin_cap, "%.*s", (int)(scheme + n), url);
    snprintf(host, host_cap, "%.*s", (int)n, url + scheme);
    return url + scheme + n;
}

static bool parse(struct s3 *s3, const struct store_conf *conf)
{
    const char *rest =
        cut_origin(conf->where + 3, s3->base, sizeof s3->base, s3->host, sizeof s3->host);
    size_t n = rest && *rest ? strspn(rest + 1, "abcdefghijklmnopqrstuvwxyz0123456789.-") : 0;
    const char *public = *conf->public_url ? conf->public_url : conf->where + 3;

    if (!n || rest[1 + n] || n >= sizeof s3->bucket || !*conf->access_key || !*conf->secret_key)
        return false;
    snprintf(s3->bucket, sizeof s3->bucket, "%s", rest + 1);
    snprintf(s3->region, sizeof s3->region, "%s", conf->region);
    snprintf(s3->access_key, sizeof s3->access_key, "%s", conf->access_key);
    snprintf(s3->secret_key, sizeof s3->secret_key, "%s", conf->secret_key);
    return cut_origin(public, s3->origin, sizeof s3->origin, s3->origin_host,
                      sizeof s3->origin_host) != NULL;
}

enum cq_status store_open_s3(struct store *store, const struct store_conf *conf)
{
    struct s3 *s3 = calloc(1, sizeof *s3);

    if (!s3)
        return CQ_FATAL;
    if (!parse(s3, conf)) {
        snprintf(store->why, sizeof store->why, "s3:http(s)://host[:port]/bucket, and both keys");
        free(s3);
        return CQ_POISON;
    }
    s3->transfer = transfer_new();
    if (!s3->transfer) {
        free(s3);
        return CQ_FATAL;
    }
    store->kind = &kind;
    store->own = s3;
    return CQ_OK;
}
