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

static void path_of(const struct s3 *x, const char *key, char *out, size_t cap)
{
    snprintf(out, cap, "/%s%s%s", x->bucket, key ? "/" : "", key ? key : ""); /* needs no escape */
}

static bool contains(struct cq_span s, const char *word)
{
    return s.n && memmem(s.p, s.n, word, strlen(word));
}

static enum cq_status judge(struct store *s, const char *what, const struct transfer_reply *r)
{
    char why[160];

    if (r->status / 100 == 2)
        return CQ_OK;
    snprintf(why, sizeof why, "status %d %.*s", r->status, (int)(r->body.n < 120 ? r->body.n : 120),
             (const char *)r->body.p);
    for (char *p = why; *p; p++)
        if (*p < ' ')
            *p = ' ';
    if (contains(r->body, "StorageFull") || contains(r->body, "QuotaExceeded") ||
        contains(r->body, "no space left") || r->status == 507)
        return store_fail(s, STORE_FULL, what, why);
    if (r->status == 404 && contains(r->body, "NoSuchBucket"))
        return store_fail(s, STORE_AWAY, what, why); /* s3_call makes it */
    if (r->status == 404)
        return store_fail(s, STORE_MISSING, what, why);
    if (r->status == 403 || r->status == 401)
        return store_fail(s, STORE_REFUSED, what, why);
    return store_fail(s, r->status == 400 ? STORE_WRONG : STORE_AWAY, what, why);
}

static bool sign(const struct s3 *x, const struct s3_request *q, const char *path,
                 struct cq_buf *url, struct cq_buf *line, char date[SIGV4_TIME_LEN + 1])
{
    struct sigv4 v = { .access_key = x->access_key,
                       .secret_key = x->secret_key,
                       .region = x->region,
                       .method = q->method,
                       .host = x->host,
                       .path = path,
                       .query = q->pairs,
                       .query_n = q->pairs_n,
                       .now_s = time(NULL) };
    const char *headers[4][2];
    size_t n = 0;

    sigv4_time(v.now_s, date);
    if (q->checksum)
        headers[n][0] = "x-amz-checksum-mode", headers[n++][1] = "ENABLED";
    headers[n][0] = "x-amz-content-sha256", headers[n++][1] = "UNSIGNED-PAYLOAD";
    if (q->copy_from)
        headers[n][0] = "x-amz-copy-source", headers[n++][1] = q->copy_from;
    headers[n][0] = "x-amz-date", headers[n++][1] = date;
    v.headers = (const char *const(*)[2])headers;
    v.headers_n = n;
    buf_printf(url, "%s%s", x->base, path);
    for (size_t i = 0; i < q->pairs_n; i++) {
        buf_printf(url, "%c%s=", i ? '&' : '?', q->pairs[i][0]);
        sigv4_encode(url, span_str(q->pairs[i][1]), false);
    }
    buf_add_byte(url, 0);
    buf_add_str(line, "Authorization: ");
    if (!sigv4_header(&v, line))
        return false;
    buf_add_byte(line, 0);
    return !url->failed && !line->failed;
}

static enum cq_status run_once(struct store *s, const struct s3_request *q,
                               struct transfer_reply *ret)
{
    struct s3 *x = s->own;
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf url, line;
    char path[STORE_KEY_MAX + 80], date[SIGV4_TIME_LEN + 1], date_line[64], type[LINE_BYTES],
        range[96], copy[LINE_BYTES];
    const char *headers[7] = { NULL, date_line, "x-amz-content-sha256: UNSIGNED-PAYLOAD" };
    struct transfer_request t = { .method = q->method,
                                  .headers = headers,
                                  .headers_n = 3,
                                  .body = q->body,
                                  .sink = q->sink,
                                  .arg = q->arg };
    enum cq_status st;

    *ret = (struct transfer_reply){ 0 }; /* without an answer there is no status to look at */
    buf_init(&url, STORE_URL_MAX);
    buf_init(&line, SIGV4_TEXT_MAX);
    path_of(x, q->key, path, sizeof path);
    if (!sign(x, q, path, &url, &line, date))
        return store_fail(s, STORE_AWAY, q->method, "too long");
    snprintf(date_line, sizeof date_line, "x-amz-date: %s", date);
    headers[0] = (const char *)line.p;
    snprintf(type, sizeof type, "Content-Type: %s", q->type ? q->type : "application/octet-stream");
    if (q->body.n || q->type)
        headers[t.headers_n++] = type;
    snprintf(range, sizeof range, "Range: %s", q->range ? q->range : "");
    if (q->range)
        headers[t.headers_n++] = range;
    snprintf(copy, sizeof copy, "x-amz-copy-source: %s", q->copy_from ? q->copy_from : "");
    if (q->copy_from)
        headers[t.headers_n++] = copy;
    if (q->checksum)
        headers[t.headers_n++] = "x-amz-checksum-mode: ENABLED";
    t.url = (const char *)url.p;
    st = transfer_run(x->transfer, &t, ret);
    if (st == CQ_AGAIN)
        return store_fail(s, STORE_AWAY, q->method, transfer_why(x->transfer));
    if (st != CQ_OK)
        return store_fail(s, STORE_WRONG, q->method, "not what was announced");
    return judge(s, q->method, ret);
}

/* A bucket that is not there (the store was away when it should have been made) is made, once. */
static enum cq_status s3_call(struct store *s, const struct s3_request *q,
                              struct transfer_reply *ret)
{
    enum cq_status st = run_once(s, q, ret);
    struct transfer_reply made;

    if (st != CQ_AGAIN || !q->key || ret->status != 404)
        return st;
    s->fault = STORE_FINE;
    st = run_once(s, &(struct s3_request){ .method = "PUT" }, &made);
    return st == CQ_OK ? run_once(s, q, ret) : st;
}

/* ---- whole objects -------------------------------------------------------------------- */

static enum cq_status s3_prepare(struct store *s)
{
    struct transfer_reply r;
    enum cq_status st = s3_call(s, &(struct s3_request){ .method = "HEAD" }, &r);

    if (st == CQ_POISON && s->fault == STORE_MISSING) {
        s->fault = STORE_FINE;
        st = s3_call(s, &(struct s3_request){ .method = "PUT" }, &r);
        if (st != CQ_OK && r.status == 409) { /* somebody else was quicker */
            s->fault = STORE_FINE;
            st = CQ_OK;
        }
    }
    return st;
}

static enum cq_status s3_put(struct store *s, const char *key, const char *type,
                             struct cq_span bytes)
{
    struct transfer_reply r;

    return s3_call(
        s, &(struct s3_request){ .method = "PUT", .key = key, .type = type, .body = bytes }, &r);
}

static enum cq_status s3_size(struct store *s, const char *key, int64_t *ret)
{
    struct transfer_reply r;
    enum cq_status st = s3_call(s, &(struct s3_request){ .method = "HEAD", .key = key }, &r);

    if (st == CQ_OK)
        *ret = r.length;
    return st;
}

enum cq_status s3_proven(struct store *s, const char *key, const uint8_t sha256[32],
                         int64_t *ret_size, bool *ret_proven)
{
    char want[STORE_HASH_TEXT];
    struct transfer_reply r;
    enum cq_status st =
        s3_call(s, &(struct s3_request){ .method = "HEAD", .key = key, .checksum = true }, &r);

    store_hash_text(sha256, want);
    *ret_proven = st == CQ_OK && strcmp(r.checksum, want) == 0;
    if (st == CQ_OK)
        *ret_size = r.length;
    return st;
}

static bool into_buf(void *arg, struct cq_span bytes)
{
    struct cq_buf *b = arg;

    buf_add_span(b, bytes);
    return !b->failed;
}

static enum cq_status s3_read(struct store *s, const char *key, int64_t offset, size_t most,
                              struct cq_buf *ret)
{
    struct transfer_reply r;
    char range[80];
    enum cq_status st;

    snprintf(range, sizeof range, "bytes=%lld-%lld", (long long)offset,
             (long long)offset + (long long)most - 1);
    st = s3_call(s,
                 &(struct s3_request){
                     .method = "GET", .key = key, .range = range, .sink = into_buf, .arg = ret },
                 &r);
    if (st != CQ_OK && r.status == 416) { /* behind the end */
        s->fault = STORE_FINE;
        return CQ_OK;
    }
    return st;
}

static enum cq_status s3_stream(struct store *s, const char *key,
                                bool (*sink)(void *arg, struct cq_span bytes), void *arg)
{
    struct transfer_reply r;

    return s3_call(s, &(struct s3_request){ .method = "GET", .key = key, .sink = sink, .arg = arg },
                   &r);
}

static enum cq_status s3_remove(struct store *s, const char *key)
{
    struct transfer_reply r;
    enum cq_status st = s3_call(s, &(struct s3_request){ .method = "DELETE", .key = key }, &r);

    if (st == CQ_POISON && s->fault == STORE_MISSING) {
        s->fault = STORE_FINE;
        return CQ_OK;
    }
    return st;
}

static enum cq_status s3_copy(struct store *s, const char *from, const char *to)
{
    char path[STORE_KEY_MAX + 80];
    struct transfer_reply r;
    enum cq_status st;

    path_of(s->own, from, path, sizeof path);
    st = s3_call(s, &(struct s3_request){ .method = "PUT", .key = to, .copy_from = path }, &r);
    if (st == CQ_OK && contains(r.body, "<Error>"))
        return store_fail(s, STORE_AWAY, "PUT", "could not be copied");
    return st;
}

/* ---- growing -------------------------------------------------------------------------- */

/* The memo is `upload id, bytes that wait, where` and a line an etag, in the order of the parts.
 * Where: nothing or `b`. What waits is never overwritten before its successor is noted: not every
 * store drops a PUT that breaks off, as it does when we are killed in it. */
struct memo {
    char upload[1024]; /* "": none yet */
    size_t waiting;
    bool in_b;
    size_t parts_n;
    struct cq_span etags; /* the lines */
};

static bool memo_read(struct cq_span text, struct memo *m)
{
    const uint8_t *end = text.n ? memchr(text.p, '\n', text.n) : NULL, *space, *at;

    *m = (struct memo){ 0 };
    if (!text.n)
        return true;
    space = end ? memrchr(text.p, ' ', (size_t)(end - text.p)) : NULL;
    if (!space || (size_t)(space - text.p) >= sizeof m->upload)
        return false;
    memcpy(m->upload, text.p, (size_t)(space - text.p));
    for (at = space + 1; *at >= '0' && *at <= '9' && m->waiting < STORE_PART_LEAST; at++)
        m->waiting = m->waiting * 10 + (size_t)(*at - '0');
    m->in_b = *at == 'b';
    if (at == space + 1 || at + m->in_b != end)
        return false;
    m->etags = span_of(end + 1, text.n - (size_t)(end + 1 - text.p));
    for (size_t i = 0; i < m->etags.n; i++)
        m->parts_n += m->etags.p[i] == '\n';
    return m->waiting < STORE_PART_LEAST;
}

static void memo_write(const struct memo *m, const char *etag, struct cq_buf *memo)
{
    struct cq_buf fresh;

    buf_init(&fresh, STORE_MEMO_MAX);
    buf_printf(&fresh, "%s %zu%s\n", m->upload, m->waiting, m->in_b ? "b" : "");
    buf_add_span(&fresh, m->etags);
    if (etag)
        buf_printf(&fresh, "%s\n", etag);
    buf_clear(memo);
    buf_add_span(memo, buf_span(&fresh));
    memo->failed |= fresh.failed;
    buf_release(&fresh);
}

/* Where the bytes wait that are too few for a part. */
static void waiting_key(const char *key, bool in_b, char out[STORE_KEY_MAX + 16])
{
    snprintf(out, STORE_KEY_MAX + 16, "waiting/%s%s", in_b ? "b/" : "", key);
}

static enum cq_status remove_waiting(struct store *s, const char *key)
{
    char waiting[STORE_KEY_MAX + 16];
    enum cq_status st;

    waiting_key(key, false, waiting);
    st = s3_remove(s, waiting);
    waiting_key(key, true, waiting);
    return st == CQ_OK ? s3_remove(s, waiting) : st;
}

static bool between(struct cq_span s, const char *from, const char *to, char *out, size_t cap)
{
    const char *a = s.n ? memmem(s.p, s.n, from, strlen(from)) : NULL;
    const char *b;

    if (!a)
        return false;
    a += strlen(from);
    b = memmem(a, s.n - (size_t)(a - (const char *)s.p), to, strlen(to));
    if (!b || (size_t)(b - a) >= cap)
        return false;
    snprintf(out, cap, "%.*s", (int)(b - a), a);
    return true;
}

static enum cq_status begin_parts(struct store *s, const char *key, const char *type,
                                  struct memo *m)
{
    static const char *const pairs[1][2] = { { "uploads", "" } };
    struct transfer_reply r;
    enum cq_status st =
        s3_call(s,
                &(struct s3_request){
                    .method = "POST", .key = key, .pairs = pairs, .pairs_n = 1, .type = type },
                &r);

    if (st == CQ_OK && !between(r.body, "<UploadId>", "</UploadId>", m->upload, sizeof m->upload))
        return store_fail(s, STORE_AWAY, "POST", "no upload id in the answer");
    return st;
}

static enum cq_status put_part(struct store *s, const char *key, const struct memo *m,
                               struct cq_span bytes, char etag[TRANSFER_TEXT_MAX])
{
    char number[16];
    const char *pairs[2][2] = { { "partNumber", number }, { "uploadId", m->upload } };
    struct transfer_reply r;
    enum cq_status st;

    snprintf(number, sizeof number, "%zu", m->parts_n + 1);
    st = s3_call(s,
                 &(struct s3_request){ .method = "PUT",
                                       .key = key,
                                       .pairs = (const char *const(*)[2])pairs,
                                       .pairs_n = 2,
                                       .body = bytes },
                 &r);
    if (st == CQ_OK && !*r.etag)
        return store_fail(s, STORE_AWAY, "PUT", "no etag in the answer");
    if (st == CQ_OK)
        snprintf(etag, TRANSFER_TEXT_MAX, "%s", r.etag);
    return st;
}

static enum cq_status finish_parts(struct store *s, const char *key, struct cq_span memo_text,
                                   int64_t size)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf xml;
    struct transfer_reply r;
    struct memo m;
    int64_t there = 0;
    enum cq_status st;
    int number = 0;

    buf_init(&xml, XML_MAX);
    if (!memo_read(memo_text, &m))
        return store_fail(s, STORE_WRONG, "POST", "memo");
    const char *pairs[1][2] = { { "uploadId", m.upload } };
    buf_add_str(&xml, "<CompleteMultipartUpload>");
    for (struct cq_span rest = m.etags; rest.n;) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);

        buf_printf(&xml, "<Part><PartNumber>%d</PartNumber><ETag>\"%.*s\"</ETag></Part>", ++number,
                   (int)(end - rest.p), (const char *)rest.p);
        rest = span_of(end + 1, rest.n - (size_t)(end + 1 - rest.p));
    }
    buf_add_str(&xml, "</CompleteMultipartUpload>");
    st = s3_call(s,
                 &(struct s3_request){ .method = "POST",
                                       .key = key,
                                       .pairs = (const char *const(*)[2])pairs,
                                       .pairs_n = 1,
                                       .type = "application/xml",
                                       .body = buf_span(&xml) },
                 &r);
    if (st == CQ_OK && contains(r.body, "<Error>")) /* S3 may say 200 first and think then */
        return store_fail(s, STORE_AWAY, "POST", "could not be put together");
    if (st == CQ_OK || s->fault != STORE_MISSING)
        return st;
    /* the answer of an earlier finish was lost: it is whole already */
    st = s3_size(s, key, &there);
    if (st == CQ_OK && there == size) {
        s->fault = STORE_FINE;
        return CQ_OK;
    }
    return st == CQ_AGAIN ? st : store_fail(s, STORE_WRONG, "POST", "what was held is gone");
}

static enum cq_status grow_part(struct store *s, const char *key, struct memo *m,
                                struct cq_buf *memo, struct cq_span bytes, const char *type)
{
    char etag[TRANSFER_TEXT_MAX];
    enum cq_status st = CQ_OK;

    if (m->parts_n >= PARTS_MAX)
        return store_fail(s, STORE_WRONG, "PUT", "too many parts");
    if (!*m->upload)
        st = begin_parts(s, key, type, m);
    if (st == CQ_OK)
        st = put_part(s, key, m, bytes, etag);
    if (st != CQ_OK)
        return st;
    m->waiting = 0;
    memo_write(m, etag, memo);
    return memo->failed ? store_fail(s, STORE_WRONG, "PUT", "memo too long") : CQ_OK;
}

static enum cq_status s3_grow(struct store *s, const char *key, struct cq_buf *memo, int64_t at,
                              struct cq_span bytes, bool last, const char *type,
                              struct sha256_state *hash)
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf both, before;
    char waiting[STORE_KEY_MAX + 16];
    struct memo m;
    enum cq_status st = CQ_OK;

    buf_init(&both, STORE_BYTES_MAX + STORE_PART_LEAST);
    buf_init(&before, STORE_MEMO_MAX); /* what `m` points into, while the memo is written anew */
    buf_add_span(&before, buf_span(memo));
    sha256_more(hash, bytes);
    if (!at)
        buf_clear(&before);
    if (!memo_read(buf_span(&before), &m))
        return store_fail(s, STORE_WRONG, "grow", "memo");
    waiting_key(key, m.in_b, waiting);
    if (m.waiting) {
        st = s3_read(s, waiting, 0, m.waiting, &both);
        if (st == CQ_OK && both.n != m.waiting)
            st = store_fail(s, STORE_WRONG, "grow", "what was held is gone");
        buf_add_span(&both, bytes);
        bytes = buf_span(&both);
    }
    if (st != CQ_OK)
        return st;
    if (last && !*m.upload)
        st = s3_put(s, key, type, bytes);
    else if (last || bytes.n >= STORE_PART_LEAST)
        st = grow_part(s, key, &m, memo, bytes, type);
    else {
        m.in_b = !m.in_b;
        m.waiting = bytes.n;
        waiting_key(key, m.in_b, waiting);
        st = s3_put(s, waiting, NULL, bytes);
        memo_write(&m, NULL, memo);
    }
    if (st == CQ_OK && last && *m.upload)
        st = finish_parts(s, key, buf_span(memo), at + (int64_t)bytes.n - (int64_t)both.n);
    return st == CQ_OK && last && at ? remove_waiting(s, key) : st;
}

static enum cq_status abort_parts(struct store *s, const char *key, const char *upload)
{
    const char *pairs[1][2] = { { "uploadId", upload } };
    struct transfer_reply r;
    enum cq_status st = s3_call(
        s,
        &(struct s3_request){
            .method = "DELETE", .key = key, .pairs = (const char *const(*)[2])pairs, .pairs_n = 1 },
        &r);

    if (st == CQ_POISON) {
        s->fault = STORE_FINE;
        st = CQ_OK; /* it is gone */
    }
    return st;
}

/* Who is killed between beginning an upload and noting its id leaves one that no memo names: the
 * store is asked. */
static enum cq_status abort_all(struct store *s, const char *key)
{
    const char *pairs[3][2] = { { "max-uploads", "1" }, { "prefix", key }, { "uploads", "" } };
    char upload[1024];
    struct transfer_reply r;
    enum cq_status st = CQ_OK;

    for (int i = 0; st == CQ_OK && i < ABORTS_MAX; i++) {
        st = s3_call(s,
                     &(struct s3_request){
                         .method = "GET", .pairs = (const char *const(*)[2])pairs, .pairs_n = 3 },
                     &r);
        if (st == CQ_AGAIN && r.status == 404) { /* no bucket: nothing is held */
            s->fault = STORE_FINE;
            return CQ_OK;
        }
        if (st != CQ_OK || !between(r.body, "<UploadId>", "</UploadId>", upload, sizeof upload))
            return st;
        st = abort_parts(s, key, upload);
    }
    return st;
}

static enum cq_status s3_ungrow(struct store *s, const char *key, const char *text)
{
    struct memo m;
    enum cq_status st = CQ_OK;

    if (memo_read(span_str(text), &m) && *m.upload)
        st = abort_parts(s, key, m.upload);
    if (st == CQ_OK)
        st = abort_all(s, key);
    return st == CQ_OK ? remove_waiting(s, key) : st;
}

/* ---- links ---------------------------------------------------------------------------- */

static bool sign_link(const struct s3 *x, struct sigv4 *v, const char *key, int seconds,
                      struct cq_buf *ret)
{
    char path[STORE_KEY_MAX + 80];

    path_of(x, key, path, sizeof path);
    v->access_key = x->access_key;
    v->secret_key = x->secret_key;
    v->region = x->region;
    v->host = x->origin_host;
    v->path = path;
    buf_printf(ret, "%s%s?", x->origin, path);
    return sigv4_query(v, seconds, ret);
}

bool s3_link_put(struct store *s, const char *key, const char *type, int64_t length,
                 const uint8_t *sha256, int64_t now_s, int seconds, struct cq_buf *ret)
{
    char number[32], hash[STORE_HASH_TEXT];
    const char *headers[3][2] = { { "content-length", number },
                                  { "content-type", type },
                                  { STORE_HASH_HEADER, hash } };
    struct sigv4 v = { .method = "PUT",
                       .headers = (const char *const(*)[2])headers,
                       .headers_n = sha256 ? 3 : 2,
                       .now_s = now_s };

    if (sha256)
        store_hash_text(sha256, hash);
    snprintf(number, sizeof number, "%lld", (long long)length);
    return sign_link(s->own, &v, key, seconds, ret);
}

bool s3_link_get(struct store *s, const char *method, const char *key,
                 const struct store_answer *answer, int64_t now_s, int seconds, struct cq_buf *ret)
{
    const char *wanted[3][2] = { { "response-cache-control", answer->cache },
                                 { "response-content-disposition", answer->disposition },
                                 { "response-content-type", answer->type } };
    const char *pairs[3][2];
    struct sigv4 v = { .method = method, .query = (const char *const(*)[2])pairs, .now_s = now_s };

    for (size_t i = 0; i < 3; i++)
        if (wanted[i][1]) {
            pairs[v.query_n][0] = wanted[i][0];
            pairs[v.query_n++][1] = wanted[i][1];
        }
    return sign_link(s->own, &v, key, seconds, ret);
}

/* ---- life ----------------------------------------------------------------------------- */

static void s3_release(struct store *s)
{
    struct s3 *x = s->own;

    if (x)
        transfer_free(x->transfer);
    free(x);
}

static const struct store_kind kind = { s3_release, s3_prepare, s3_put,  s3_size,   s3_read,
                                        s3_stream,  s3_remove,  s3_grow, s3_ungrow, s3_copy };

const char *s3_origin(const struct store *s)
{
    return s->kind == &kind ? ((struct s3 *)s->own)->origin : "";
}

/* `http://host:port` of a URL, and its host; what is behind that. NULL: not understood. */
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

static bool parse(struct s3 *x, const struct store_conf *c)
{
    const char *rest = cut_origin(c->where + 3, x->base, sizeof x->base, x->host, sizeof x->host);
    size_t n = rest && *rest ? strspn(rest + 1, "abcdefghijklmnopqrstuvwxyz0123456789.-") : 0;
    const char *public = *c->public_url ? c->public_url : c->where + 3;

    if (!n || rest[1 + n] || n >= sizeof x->bucket || !*c->access_key || !*c->secret_key)
        return false;
    snprintf(x->bucket, sizeof x->bucket, "%s", rest + 1);
    snprintf(x->region, sizeof x->region, "%s", c->region);
    snprintf(x->access_key, sizeof x->access_key, "%s", c->access_key);
    snprintf(x->secret_key, sizeof x->secret_key, "%s", c->secret_key);
    return cut_origin(public, x->origin, sizeof x->origin, x->origin_host, sizeof x->origin_host) !=
           NULL;
}

enum cq_status store_open_s3(struct store *s, const struct store_conf *conf)
{
    struct s3 *x = calloc(1, sizeof *x);

    if (!x)
        return CQ_FATAL;
    if (!parse(x, conf)) {
        snprintf(s->why, sizeof s->why, "s3:http(s)://host[:port]/bucket, and both keys");
        free(x);
        return CQ_POISON;
    }
    x->transfer = transfer_new();
    if (!x->transfer) {
        free(x);
        return CQ_FATAL;
    }
    s->kind = &kind;
    s->own = x;
    return CQ_OK;
}
