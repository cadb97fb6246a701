/* SPDX-License-Identifier: MIT */
#include "lib/http/pool.h"

#include "lib/base/address.h"
#include "lib/base/assert.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_MS = 5000, FDS_MAX = 4, STREAMS_MAX = 1000, HEADERS_MAX = 32 * 1024 };

static const char NOT_PUBLIC[] = "the host is at no public address";
static const char TOO_LONG[] = "the answer has too many headers";

struct slot {
    CURL *easy; /* owned; reused by the next request */
    struct curl_slist *headers;
    struct cq_buf body, answer;
    char error[CURL_ERROR_SIZE];
    uint64_t opaque;
    size_t headers_n;    /* bytes of the answer's headers, of a request to outside */
    const char *refused; /* why we ended it; NULL: we did not */
    bool cut;            /* the rest of the body was not waited for */
    int next_free;
};

struct http_pool {
    struct http_pool_conf conf;
    char *ca_file; /* owned */
    CURLM *multi;
    struct slot *slots; /* owned; conf.max */
    int free_at;        /* first free slot, -1: none */
    int in_flight;
};

/* What is over the maximum is dropped: the beginning of an answer has all that is of interest. */
static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct slot *slot = arg;
    size_t room = HTTP_ANSWER_MAX - slot->answer.n;

    buf_add(&slot->answer, data, size * n < room ? size * n : room);
    return size * n;
}

/* The same for an answer of somebody whom a client chose: nothing more is read. */
static size_t on_body_outside(char *data, size_t size, size_t n, void *arg)
{
    struct slot *slot = arg;
    size_t room = HTTP_ANSWER_MAX - slot->answer.n;

    slot->cut = size * n > room;
    return on_body(data, size, n, arg) && !slot->cut ? size * n : 0;
}

static size_t on_header_outside(char *data, size_t size, size_t n, void *arg)
{
    struct slot *slot = arg;

    (void)data;
    slot->headers_n += size * n;
    if (slot->headers_n <= HEADERS_MAX)
        return size * n;
    slot->refused = TOO_LONG;
    return 0;
}

static bool is_public(const struct curl_sockaddr *to)
{
    struct cq_address address;

    if (to->family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, &to->addr, sizeof in);
        return address_is_public(address_of_v4((const uint8_t *)&in.sin_addr));
    }
    if (to->family == AF_INET6) {
        struct sockaddr_in6 in;

        memcpy(&in, &to->addr, sizeof in);
        memcpy(address.b, &in.sin6_addr, sizeof address.b);
        return address_is_public(address);
    }
    return false;
}

/* Asked for each address that a name was found to have, just before it is connected to. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct slot *slot = arg;

    if (purpose == CURLSOCKTYPE_IPCXN && is_public(to))
        return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
    slot->refused = NOT_PUBLIC;
    return CURL_SOCKET_BAD;
}

static void slot_outside(const struct http_pool *pool, struct slot *slot)
{
    if (!pool->conf.outside)
        return;
    curl_easy_setopt(slot->easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(slot->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, on_body_outside);
    curl_easy_setopt(slot->easy, CURLOPT_HEADERFUNCTION, on_header_outside);
    curl_easy_setopt(slot->easy, CURLOPT_HEADERDATA, slot);
    if (pool->conf.private_too)
        return;
    curl_easy_setopt(slot->easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(slot->easy, CURLOPT_OPENSOCKETDATA, slot);
}

static bool slot_init(struct http_pool *pool, struct slot *slot)
{
    slot->easy = curl_easy_init();
    buf_init(&slot->body, HTTP_ANSWER_MAX);
    buf_init(&slot->answer, HTTP_ANSWER_MAX);
    if (!slot->easy)
        return false;
    curl_easy_setopt(slot->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(slot->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(slot->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_HTTP_VERSION,
                     (long)(pool->conf.http1 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
    curl_easy_setopt(slot->easy, CURLOPT_PIPEWAIT, pool->conf.http1 ? 0L : 1L);
    curl_easy_setopt(slot->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(slot->easy, CURLOPT_TIMEOUT_MS, (long)pool->conf.timeout_ms);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(slot->easy, CURLOPT_ERRORBUFFER, slot->error);
    curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
    if (pool->ca_file && *pool->ca_file)
        curl_easy_setopt(slot->easy, CURLOPT_CAINFO, pool->ca_file);
    slot_outside(pool, slot);
    return true;
}

static void slot_release(struct slot *slot)
{
    curl_easy_cleanup(slot->easy);
    curl_slist_free_all(slot->headers);
    buf_release(&slot->body);
    buf_release(&slot->answer);
}

enum cq_status http_pool_new(const struct http_pool_conf *conf, struct http_pool **ret)
{
    struct http_pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return CQ_FATAL;
    pool->conf = *conf;
    pool->conf.max = conf->max > 0 && conf->max <= HTTP_POOL_MAX ? conf->max : HTTP_POOL_MAX;
    pool->ca_file = conf->ca_file ? strdup(conf->ca_file) : NULL;
    pool->slots = calloc((size_t)pool->conf.max, sizeof *pool->slots);
    pool->multi = curl_multi_init();
    pool->free_at = -1;
    if (!pool->slots || !pool->multi) {
        http_pool_free(pool);
        return CQ_FATAL;
    }
    curl_multi_setopt(pool->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)conf->connections);
    curl_multi_setopt(pool->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)conf->total);
    curl_multi_setopt(pool->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)STREAMS_MAX);
    for (int i = pool->conf.max; i-- > 0;) {
        pool->slots[i].next_free = pool->free_at;
        pool->free_at = i;
    }
    *ret = pool;
    return CQ_OK;
}

void http_pool_free(struct http_pool *pool)
{
    if (!pool)
        return;
    for (int i = 0; pool->slots && i < pool->conf.max; i++) {
        if (!pool->slots[i].easy)
            continue;
        curl_multi_remove_handle(pool->multi, pool->slots[i].easy);
        slot_release(&pool->slots[i]);
    }
    curl_multi_cleanup(pool->multi);
    free(pool->slots);
    free(pool->ca_file);
    free(pool);
}

static bool set_headers(struct slot *slot, const char *const *headers)
{
    curl_slist_free_all(slot->headers);
    slot->headers = NULL;
    for (size_t i = 0; headers[i]; i++) {
        struct curl_slist *more = curl_slist_append(slot->headers, headers[i]);

        if (!more)
            return false;
        slot->headers = more;
    }
    return curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, slot->headers) == CURLE_OK;
}

enum cq_status http_pool_post(struct http_pool *pool, const struct http_request *request)
{
    struct slot *slot = pool->free_at >= 0 ? &pool->slots[pool->free_at] : NULL;

    if (!slot || (!slot->easy && !slot_init(pool, slot)))
        return CQ_AGAIN;
    buf_clear(&slot->body);
    buf_clear(&slot->answer);
    buf_add_span(&slot->body, request->body);
    slot->error[0] = '\0';
    slot->headers_n = 0;
    slot->refused = NULL;
    slot->cut = false;
    slot->opaque = request->opaque;
    if (slot->body.failed || !set_headers(slot, request->headers) ||
        curl_easy_setopt(slot->easy, CURLOPT_URL, request->url) != CURLE_OK ||
        curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, slot->body.p) != CURLE_OK ||
        curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE, (long)slot->body.n) != CURLE_OK ||
        curl_multi_add_handle(pool->multi, slot->easy) != CURLM_OK)
        return CQ_AGAIN;
    pool->free_at = slot->next_free;
    pool->in_flight++;
    return CQ_OK;
}

static void report(struct http_pool *pool, CURL *easy, CURLcode rc)
{
    struct http_answer answer = { .st = CQ_AGAIN };
    char error[HTTP_ERROR_MAX] = "";
    struct slot *slot = NULL;
    curl_off_t retry_after = 0;
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&slot);
    if (rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && slot->cut)) {
        answer.st = CQ_OK;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
    } else {
        const char *words = slot->refused    ? slot->refused
                            : slot->error[0] ? slot->error
                                             : curl_easy_strerror(rc);
        size_t n = strnlen(words, sizeof error - 1);

        memcpy(error, words, n);
    }
    answer.status = (int)status;
    answer.retry_after_s = retry_after;
    answer.body = buf_span(&slot->answer);
    answer.error = error;
    curl_multi_remove_handle(pool->multi, easy);
    CQ_ASSERT(slot >= pool->slots && slot < pool->slots + pool->conf.max && pool->in_flight > 0,
              pool->in_flight);
    pool->in_flight--;
    pool->conf.done(pool->conf.arg, slot->opaque, &answer);
    slot->next_free = pool->free_at; /* after the report, which reads the slot's answer */
    pool->free_at = (int)(slot - pool->slots);
}

enum cq_status http_pool_turn(struct http_pool *pool, const int *fds, int fds_n, int timeout_ms)
{
    struct curl_waitfd extra[FDS_MAX] = { { 0 } };
    CURLMsg *m;
    int running, left;

    for (int i = 0; i < fds_n && i < FDS_MAX; i++)
        extra[i] = (struct curl_waitfd){ .fd = fds[i], .events = CURL_WAIT_POLLIN };
    if (curl_multi_perform(pool->multi, &running) != CURLM_OK)
        return CQ_FATAL;
    if (timeout_ms > 0 &&
        curl_multi_poll(pool->multi, extra, (unsigned)(fds_n < FDS_MAX ? fds_n : FDS_MAX),
                        timeout_ms, NULL) != CURLM_OK)
        return CQ_FATAL;
    if (timeout_ms > 0 && curl_multi_perform(pool->multi, &running) != CURLM_OK)
        return CQ_FATAL;
    while ((m = curl_multi_info_read(pool->multi, &left)))
        if (m->msg == CURLMSG_DONE)
            report(pool, m->easy_handle, m->data.result);
    return CQ_OK;
}

int http_pool_in_flight(const struct http_pool *pool)
{
    return pool->in_flight;
}
