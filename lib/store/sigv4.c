/* SPDX-License-Identifier: MIT */
#include "lib/store/sigv4.h"

#include "lib/base/hash.h"

#include <stdio.h>
#include <time.h>

static const char UNSIGNED[] = "UNSIGNED-PAYLOAD";

enum { REQUEST_MAX = 16 * 1024, DATE_LEN = 8, SCOPE_MAX = 128, QUERY_MAX = 16 };

void sigv4_time(int64_t now_s, char out[SIGV4_TIME_LEN + 1])
{
    time_t t = (time_t)now_s;
    struct tm tm;

    gmtime_r(&t, &tm);
    if (!strftime(out, SIGV4_TIME_LEN + 1, "%Y%m%dT%H%M%SZ", &tm))
        out[0] = '\0';
}

void sigv4_encode(struct cq_buf *out, struct cq_span span, bool slash)
{
    for (size_t i = 0; i < span.n; i++) {
        uint8_t c = span.p[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     (c && strchr("-._~", c)) || (slash && c == '/');

        if (plain)
            buf_add_byte(out, c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static void add_query(struct cq_buf *out, const struct sigv4 *sign)
{
    for (size_t i = 0; i < sign->query_n; i++) {
        if (i)
            buf_add_byte(out, '&');
        sigv4_encode(out, span_str(sign->query[i][0]), false);
        buf_add_byte(out, '=');
        sigv4_encode(out, span_str(sign->query[i][1]), false);
    }
}

/* The names of the signed headers, in alphabetical order, host among them. */
static void add_names(struct cq_buf *out, const struct sigv4 *sign)
{
    bool host = false;

    for (size_t i = 0; i <= sign->headers_n; i++) {
        if (!host && (i == sign->headers_n || strcmp(sign->headers[i][0], "host") > 0)) {
            buf_add_str(out, i ? ";host" : "host");
            host = true;
        }
        if (i < sign->headers_n)
            buf_printf(out, "%s%s", out->n && (i || host) ? ";" : "", sign->headers[i][0]);
    }
}

static void add_headers(struct cq_buf *out, const struct sigv4 *sign)
{
    bool host = false;

    for (size_t i = 0; i <= sign->headers_n; i++) {
        if (!host && (i == sign->headers_n || strcmp(sign->headers[i][0], "host") > 0)) {
            buf_printf(out, "host:%s\n", sign->host);
            host = true;
        }
        if (i < sign->headers_n)
            buf_printf(out, "%s:%s\n", sign->headers[i][0], sign->headers[i][1]);
    }
}

static void sign(const struct sigv4 *sigv4, const char *time, const char *scope,
                 struct cq_span request, char out[65])
{
    struct cq_span terminator = span_str("aws4_request"), service = span_str("s3"),
                   region = span_str(sigv4->region), date = span_of(time, DATE_LEN), text;
    uint8_t digest[32], key[32];
    char hex[65], first[256];
    char to_sign[512];

    sha256(&request, 1, digest);
    hex_format(digest, sizeof digest, hex);
    snprintf(to_sign, sizeof to_sign, "AWS4-HMAC-SHA256\n%s\n%s\n%s", time, scope, hex);
    snprintf(first, sizeof first, "AWS4%s", sigv4->secret_key);
    hmac_sha256(span_str(first), &date, 1, key);
    hmac_sha256(span_of(key, 32), &region, 1, key);
    hmac_sha256(span_of(key, 32), &service, 1, key);
    hmac_sha256(span_of(key, 32), &terminator, 1, key);
    text = span_str(to_sign);
    hmac_sha256(span_of(key, 32), &text, 1, digest);
    hex_format(digest, sizeof digest, out);
}

static bool signature(const struct sigv4 *sigv4, const char *time, const char *scope,
                      const char *payload, char out[65])
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf request = { 0 };

    buf_init(&request, REQUEST_MAX);
    buf_printf(&request, "%s\n%s\n", sigv4->method, sigv4->path);
    add_query(&request, sigv4);
    buf_add_byte(&request, '\n');
    add_headers(&request, sigv4);
    buf_add_byte(&request, '\n');
    add_names(&request, sigv4);
    buf_printf(&request, "\n%s", payload);
    if (request.failed)
        return false;
    sign(sigv4, time, scope, buf_span(&request), out);
    return true;
}

static void scope_of(const struct sigv4 *sign, const char *time, char out[SCOPE_MAX])
{
    snprintf(out, SCOPE_MAX, "%.*s/%s/s3/aws4_request", DATE_LEN, time, sign->region);
}

bool sigv4_header(const struct sigv4 *sign, struct cq_buf *ret)
{
    char time[SIGV4_TIME_LEN + 1], scope[SCOPE_MAX], hex[65];
    const char *payload = UNSIGNED;

    for (size_t i = 0; i < sign->headers_n; i++)
        if (strcmp(sign->headers[i][0], "x-amz-content-sha256") == 0)
            payload = sign->headers[i][1];
    sigv4_time(sign->now_s, time);
    scope_of(sign, time, scope);
    if (!signature(sign, time, scope, payload, hex))
        return false;
    buf_printf(ret, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=", sign->access_key, scope);
    struct cq_buf names;
    buf_init(&names, SIGV4_TEXT_MAX);
    add_names(&names, sign);
    buf_add_span(ret, buf_span(&names));
    buf_release(&names);
    buf_printf(ret, ", Signature=%s", hex);
    return !ret->failed;
}

bool sigv4_query(const struct sigv4 *sign, int seconds, struct cq_buf *ret)
{
    char time[SIGV4_TIME_LEN + 1], scope[SCOPE_MAX], hex[65], credential[SCOPE_MAX + 256],
        expires[16], names_text[256];
    const char *query[QUERY_MAX][2];
    struct sigv4 full = *sign;
    struct cq_buf names;
    size_t n = 0;

    if (sign->query_n + 5 > QUERY_MAX)
        return false;
    sigv4_time(sign->now_s, time);
    scope_of(sign, time, scope);
    snprintf(credential, sizeof credential, "%s/%s", sign->access_key, scope);
    snprintf(expires, sizeof expires, "%d", seconds);
    buf_init(&names, sizeof names_text - 1);
    add_names(&names, sign);
    snprintf(names_text, sizeof names_text, "%.*s", SPAN_FMT(buf_span(&names)));
    buf_release(&names);
    /* capitals sort before the lower-case names that the caller may add */
    query[n][0] = "X-Amz-Algorithm", query[n++][1] = "AWS4-HMAC-SHA256";
    query[n][0] = "X-Amz-Credential", query[n++][1] = credential;
    query[n][0] = "X-Amz-Date", query[n++][1] = time;
    query[n][0] = "X-Amz-Expires", query[n++][1] = expires;
    query[n][0] = "X-Amz-SignedHeaders", query[n++][1] = names_text;
    for (size_t i = 0; i < sign->query_n; i++, n++)
        query[n][0] = sign->query[i][0], query[n][1] = sign->query[i][1];
    full.query = (const char *const(*)[2])query;
    full.query_n = n;
    if (!signature(&full, time, scope, UNSIGNED, hex))
        return false;
    add_query(ret, &full);
    buf_printf(ret, "&X-Amz-Signature=%s", hex);
    return !ret->failed;
}
