/* SPDX-License-Identifier: MIT */
#include "lib/http/transfer.h"

#include <curl/curl.h>
#include <stdlib.h>

enum { CONNECT_MS = 3000, STILL_S = 10, BUFFER_BYTES = 256 * 1024 };

struct transfer {
    CURL *easy;
    struct cq_buf kept;
    const struct transfer_request *req; /* of the run */
    struct transfer_reply *reply;
    size_t sent;
    bool ended; /* by the sink */
    char why[CURL_ERROR_SIZE];
};

struct transfer *transfer_new(void)
{
    struct transfer *t = calloc(1, sizeof *t);

    if (!t || !(t->easy = curl_easy_init())) {
        free(t);
        return NULL;
    }
    buf_init(&t->kept, TRANSFER_KEPT_MAX);
    return t;
}

void transfer_free(struct transfer *t)
{
    if (!t)
        return;
    curl_easy_cleanup(t->easy);
    buf_release(&t->kept);
    free(t);
}

const char *transfer_why(const struct transfer *t)
{
    return t->why;
}

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t left = t->req->body.n - t->sent, most = size * n;

    if (left > most)
        left = most;
    if (left)
        memcpy(to, t->req->body.p + t->sent, left);
    t->sent += left;
    return left;
}

/* libcurl rewinds when a kept connection turns out to be dead. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct transfer *t = arg;

    if (origin != SEEK_SET || offset < 0 || (size_t)offset > t->req->body.n)
        return CURL_SEEKFUNC_FAIL;
    t->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t on_write(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    long status = 0;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->req->sink && status / 100 == 2) {
        t->ended = !t->req->sink(t->req->arg, span_of(p, size * n));
        return t->ended ? 0 : size * n;
    }
    buf_add(&t->kept, p, size * n); /* what is too long is cut: it is for people */
    return size * n;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    const struct {
        const char *name;
        char *to;
    } rows[] = { { "etag:", t->reply->etag }, { "x-amz-checksum-sha256:", t->reply->checksum } };
    size_t len = size * n, out = 0;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t at = strlen(rows[i].name);

        if (len <= at || strncasecmp(p, rows[i].name, at) != 0)
            continue;
        for (; at < len && out + 1 < TRANSFER_TEXT_MAX; at++)
            if (p[at] > ' ' && p[at] != '"')
                rows[i].to[out++] = p[at];
        rows[i].to[out] = '\0';
        break;
    }
    return len;
}

static void set_body(struct transfer *t)
{
    const struct transfer_request *req = t->req;

    if (strcmp(req->method, "HEAD") == 0) {
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(req->method, "PUT") == 0) {
        curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
        curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
        curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->body.n);
        curl_easy_setopt(t->easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_BYTES);
    } else if (strcmp(req->method, "POST") == 0) {
        curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, req->body.n ? (const char *)req->body.p : "");
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n);
    } else if (strcmp(req->method, "GET") != 0) {
        curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, req->method);
    }
}

static void set_options(struct transfer *t, struct curl_slist *headers)
{
    curl_easy_reset(t->easy); /* connections stay */
    curl_easy_setopt(t->easy, CURLOPT_URL, t->req->url);
    curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_TIME, (long)STILL_S);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, headers);
    if (t->req->ca_file)
        curl_easy_setopt(t->easy, CURLOPT_CAINFO, t->req->ca_file);
    curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->why);
    set_body(t);
}

enum cq_status transfer_run(struct transfer *t, const struct transfer_request *req,
                            struct transfer_reply *ret)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:"), *more;
    curl_off_t length = -1;
    long status = 0;
    CURLcode rc;

    *ret = (struct transfer_reply){ .length = -1 };
    t->req = req;
    t->reply = ret;
    t->sent = 0;
    t->ended = false;
    t->why[0] = '\0';
    buf_clear(&t->kept);
    for (size_t i = 0; headers && i < req->headers_n; i++, headers = more)
        if (!(more = curl_slist_append(headers, req->headers[i])))
            break;
    if (!headers)
        return CQ_AGAIN;
    set_options(t, headers);
    rc = curl_easy_perform(t->easy);
    curl_slist_free_all(headers);
    if (rc != CURLE_OK && !*t->why)
        snprintf(t->why, sizeof t->why, "%s", curl_easy_strerror(rc));
    if (rc != CURLE_OK)
        return t->ended ? CQ_POISON : CQ_AGAIN;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    ret->status = (int)status;
    ret->length = length;
    ret->body = buf_span(&t->kept);
    return CQ_OK;
}
