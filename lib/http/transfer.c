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
    bool ended; /* the sink ended it */
    char why[CURL_ERROR_SIZE];
};

struct transfer *transfer_new(void)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);

    if (!transfer || !(transfer->easy = curl_easy_init())) {
        free(transfer);
        return NULL;
    }
    buf_init(&transfer->kept, TRANSFER_KEPT_MAX);
    return transfer;
}

void transfer_free(struct transfer *transfer)
{
    if (!transfer)
        return;
    curl_easy_cleanup(transfer->easy);
    buf_release(&transfer->kept);
    free(transfer);
}

const char *transfer_why(const struct transfer *transfer)
{
    return transfer->why;
}

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
    struct transfer *transfer = arg;
    size_t left = transfer->req->body.n - transfer->sent, most = size * n;

    if (left > most)
        left = most;
    if (left)
        memcpy(to, transfer->req->body.p + transfer->sent, left);
    transfer->sent += left;
    return left;
}

/* libcurl rewinds when a kept connection turns out to be dead. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct transfer *transfer = arg;

    if (origin != SEEK_SET || offset < 0 || (size_t)offset > transfer->req->body.n)
        return CURL_SEEKFUNC_FAIL;
    transfer->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t on_write(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *transfer = arg;
    long status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (transfer->req->sink && status / 100 == 2) {
        transfer->ended = !transfer->req->sink(transfer->req->arg, span_of(p, size * n));
        return transfer->ended ? 0 : size * n;
    }
    buf_add(&transfer->kept, p, size * n); /* cut when too long: it is for people to read */
    return size * n;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *transfer = arg;
    const struct {
        const char *name;
        char *to;
    } rows[] = { { "etag:", transfer->reply->etag },
                 { "x-amz-checksum-sha256:", transfer->reply->checksum } };
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

static void set_body(struct transfer *transfer)
{
    const struct transfer_request *req = transfer->req;

    if (strcmp(req->method, "HEAD") == 0) {
        curl_easy_setopt(transfer->easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(req->method, "PUT") == 0) {
        curl_easy_setopt(transfer->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(transfer->easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(transfer->easy, CURLOPT_READDATA, transfer);
        curl_easy_setopt(transfer->easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(transfer->easy, CURLOPT_SEEKDATA, transfer);
        curl_easy_setopt(transfer->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->body.n);
        curl_easy_setopt(transfer->easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_BYTES);
    } else if (strcmp(req->method, "POST") == 0) {
        curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS,
                         req->body.n ? (const char *)req->body.p : "");
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n);
    } else if (strcmp(req->method, "GET") != 0) {
        curl_easy_setopt(transfer->easy, CURLOPT_CUSTOMREQUEST, req->method);
    }
}

static void set_options(struct transfer *transfer, struct curl_slist *headers)
{
    curl_easy_reset(transfer->easy); /* connections stay */
    curl_easy_setopt(transfer->easy, CURLOPT_URL, transfer->req->url);
    curl_easy_setopt(transfer->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(transfer->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(transfer->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(transfer->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(transfer->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(transfer->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(transfer->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(transfer->easy, CURLOPT_LOW_SPEED_TIME, (long)STILL_S);
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, headers);
    if (transfer->req->ca_file)
        curl_easy_setopt(transfer->easy, CURLOPT_CAINFO, transfer->req->ca_file);
    curl_easy_setopt(transfer->easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(transfer->easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_ERRORBUFFER, transfer->why);
    set_body(transfer);
}

enum cq_status transfer_run(struct transfer *transfer, const struct transfer_request *req,
                            struct transfer_reply *ret)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:"), *more;
    curl_off_t length = -1;
    long status = 0;
    CURLcode rc;

    *ret = (struct transfer_reply){ .length = -1 };
    transfer->req = req;
    transfer->reply = ret;
    transfer->sent = 0;
    transfer->ended = false;
    transfer->why[0] = '\0';
    buf_clear(&transfer->kept);
    for (size_t i = 0; headers && i < req->headers_n; i++, headers = more)
        if (!(more = curl_slist_append(headers, req->headers[i])))
            break;
    if (!headers)
        return CQ_AGAIN;
    set_options(transfer, headers);
    rc = curl_easy_perform(transfer->easy);
    curl_slist_free_all(headers);
    if (rc != CURLE_OK && !*transfer->why)
        snprintf(transfer->why, sizeof transfer->why, "%s", curl_easy_strerror(rc));
    if (rc != CURLE_OK)
        return transfer->ended ? CQ_POISON : CQ_AGAIN;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    ret->status = (int)status;
    ret->length = length;
    ret->body = buf_span(&transfer->kept);
    return CQ_OK;
}
