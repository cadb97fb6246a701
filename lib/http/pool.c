/* SPDX-License-Identifier: MIT */
#include "lib/http/pool.h"

#include "lib/base/assert.h"

#include <curl/curl.h>
#include <stdlib.h>

enum { CONNECT_MS = 5000, FDS_MAX = 4, STREAMS_MAX = 1000 };

struct slot {
    CURL *easy; /* owned; reused by the next request */
    struct curl_slist *headers;
    struct cq_buf body, answer;
    char error[CURL_ERROR_SIZE];
    uint64_t opaque;
    int next_free;
};

struct http_pool {
    struct http_pool_conf conf;
    char *ca_file; /* owned */
    CURLM *multi;
    struct slot *slots; /* owned; conf.max */
    int free_at;        /* first free slot, -1: none */
    int in_flight;
    int64_t connects;
};

/* What is over the maximum is swallowed: the answer's beginning has all that is of interest. */
static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct slot *s = arg;
    size_t room = HTTP_ANSWER_MAX - s->answer.n;

    buf_add(&s->answer, data, size * n < room ? size * n : room);
    return size * n;
}

static bool slot_init(struct http_pool *p, struct slot *s)
{
    s->easy = curl_easy_init();
    buf_init(&s->body, HTTP_ANSWER_MAX);
    buf_init(&s->answer, HTTP_ANSWER_MAX);
    if (!s->easy)
        return false;
    curl_easy_setopt(s->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(s->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(s->easy, CURLOPT_HTTP_VERSION,
                     (long)(p->conf.http1 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
    curl_easy_setopt(s->easy, CURLOPT_PIPEWAIT, p->conf.http1 ? 0L : 1L);
    curl_easy_setopt(s->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(s->easy, CURLOPT_TIMEOUT_MS, (long)p->conf.timeout_ms);
    curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->easy, CURLOPT_ERRORBUFFER, s->error);
    curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    if (p->ca_file && *p->ca_file)
        curl_easy_setopt(s->easy, CURLOPT_CAINFO, p->ca_file);
    return true;
}

static void slot_release(struct slot *s)
{
    curl_easy_cleanup(s->easy);
    curl_slist_free_all(s->headers);
    buf_release(&s->body);
    buf_release(&s->answer);
}

enum cq_status http_pool_new(const struct http_pool_conf *conf, struct http_pool **ret)
{
    struct http_pool *p = calloc(1, sizeof *p);

    if (!p)
        return CQ_FATAL;
    p->conf = *conf;
    p->conf.max = conf->max > 0 && conf->max <= HTTP_POOL_MAX ? conf->max : HTTP_POOL_MAX;
    p->ca_file = conf->ca_file ? strdup(conf->ca_file) : NULL;
    p->slots = calloc((size_t)p->conf.max, sizeof *p->slots);
    p->multi = curl_multi_init();
    p->free_at = -1;
    if (!p->slots || !p->multi) {
        http_pool_free(p);
        return CQ_FATAL;
    }
    curl_multi_setopt(p->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(p->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)conf->connections);
    curl_multi_setopt(p->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)STREAMS_MAX);
    for (int i = p->conf.max; i-- > 0;) {
        p->slots[i].next_free = p->free_at;
        p->free_at = i;
    }
    *ret = p;
    return CQ_OK;
}

void http_pool_free(struct http_pool *p)
{
    if (!p)
        return;
    for (int i = 0; p->slots && i < p->conf.max; i++) {
        if (!p->slots[i].easy)
            continue;
        curl_multi_remove_handle(p->multi, p->slots[i].easy);
        slot_release(&p->slots[i]);
    }
    curl_multi_cleanup(p->multi);
    free(p->slots);
    free(p->ca_file);
    free(p);
}

static bool set_headers(struct slot *s, const char *const *headers)
{
    curl_slist_free_all(s->headers);
    s->headers = NULL;
    for (size_t i = 0; headers[i]; i++) {
        struct curl_slist *more = curl_slist_append(s->headers, headers[i]);

        if (!more)
            return false;
        s->headers = more;
    }
    return curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->headers) == CURLE_OK;
}

enum cq_status http_pool_post(struct http_pool *p, const struct http_request *r)
{
    struct slot *s = p->free_at >= 0 ? &p->slots[p->free_at] : NULL;

    if (!s || (!s->easy && !slot_init(p, s)))
        return CQ_AGAIN;
    buf_clear(&s->body);
    buf_clear(&s->answer);
    buf_add_span(&s->body, r->body);
    s->error[0] = '\0';
    s->opaque = r->opaque;
    if (s->body.failed || !set_headers(s, r->headers) ||
        curl_easy_setopt(s->easy, CURLOPT_URL, r->url) != CURLE_OK ||
        curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, s->body.p) != CURLE_OK ||
        curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE, (long)s->body.n) != CURLE_OK ||
        curl_multi_add_handle(p->multi, s->easy) != CURLM_OK)
        return CQ_AGAIN;
    p->free_at = s->next_free;
    p->in_flight++;
    return CQ_OK;
}

static void report(struct http_pool *p, CURL *easy, CURLcode rc)
{
    struct http_answer a = { .st = rc == CURLE_OK ? CQ_OK : CQ_AGAIN };
    char error[HTTP_ERROR_MAX] = "";
    struct slot *s = NULL;
    curl_off_t retry_after = 0;
    long status = 0, connects = 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&s);
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
    p->connects += connects;
    if (rc == CURLE_OK) {
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
    } else {
        const char *words = s->error[0] ? s->error : curl_easy_strerror(rc);
        size_t n = strnlen(words, sizeof error - 1);

        memcpy(error, words, n);
    }
    a.status = (int)status;
    a.retry_after_s = retry_after;
    a.body = buf_span(&s->answer);
    a.error = error;
    curl_multi_remove_handle(p->multi, easy);
    CQ_ASSERT(s >= p->slots && s < p->slots + p->conf.max && p->in_flight > 0, p->in_flight);
    p->in_flight--;
    p->conf.done(p->conf.arg, s->opaque, &a);
    s->next_free = p->free_at; /* after the report, which reads the slot's answer */
    p->free_at = (int)(s - p->slots);
}

enum cq_status http_pool_turn(struct http_pool *p, const int *fds, int fds_n, int timeout_ms)
{
    struct curl_waitfd extra[FDS_MAX] = { { 0 } };
    CURLMsg *m;
    int running, left;

    for (int i = 0; i < fds_n && i < FDS_MAX; i++)
        extra[i] = (struct curl_waitfd){ .fd = fds[i], .events = CURL_WAIT_POLLIN };
    if (curl_multi_perform(p->multi, &running) != CURLM_OK)
        return CQ_FATAL;
    if (timeout_ms > 0 &&
        curl_multi_poll(p->multi, extra, (unsigned)(fds_n < FDS_MAX ? fds_n : FDS_MAX), timeout_ms,
                        NULL) != CURLM_OK)
        return CQ_FATAL;
    if (timeout_ms > 0 && curl_multi_perform(p->multi, &running) != CURLM_OK)
        return CQ_FATAL;
    while ((m = curl_multi_info_read(p->multi, &left)))
        if (m->msg == CURLMSG_DONE)
            report(p, m->easy_handle, m->data.result);
    return CQ_OK;
}

int http_pool_in_flight(const struct http_pool *p)
{
    return p->in_flight;
}

int64_t http_pool_connects(const struct http_pool *p)
{
    return p->connects;
}
