/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/framing.h"

#include <strings.h>

enum { LENGTH_DIGITS_MAX = 15 };

struct seen {
    int host, content_length, transfer_encoding, authorization;
};

enum head_scan framing_scan(struct cq_span raw, size_t seen_n)
{
    size_t at = seen_n;

    while (at < raw.n) {
        const uint8_t *feed = memchr(raw.p + at, '\n', raw.n - at);
        size_t i = feed ? (size_t)(feed - raw.p) : raw.n;

        if (!feed)
            return HEAD_MORE;
        if (i == 0 || raw.p[i - 1] != '\r')
            return HEAD_BAD;
        /* one empty line in front is allowed (RFC 9112, 2.2), a second one is not */
        if (i == 3 && raw.p[1] == '\n')
            return HEAD_BAD;
        if (i >= 3 && raw.p[i - 2] == '\n')
            return HEAD_WHOLE;
        at = i + 1;
    }
    return HEAD_MORE;
}

/* Cut one line off `rest`; false when it does not end in CRLF or holds a stray CR. */
static bool take_line(struct cq_span *rest, struct cq_span *ret)
{
    const uint8_t *cr = rest->n ? memchr(rest->p, '\r', rest->n) : NULL;
    size_t n = cr ? (size_t)(cr - rest->p) : 0;

    if (!cr || n + 1 >= rest->n || cr[1] != '\n' || memchr(rest->p, '\n', n))
        return false;
    *ret = span_of(rest->p, n);
    *rest = span_of(cr + 2, rest->n - n - 2);
    return true;
}

/* tchar of RFC 9110, section 5.6.2 */
static bool is_token(struct cq_span span)
{
    for (size_t i = 0; i < span.n; i++) {
        uint8_t c = span.p[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        if (!alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return span.n > 0;
}

static bool is_named(struct cq_span name, const char *want)
{
    return name.n == strlen(want) && strncasecmp((const char *)name.p, want, name.n) == 0;
}

static bool has_control(struct cq_span span, bool tab_too)
{
    for (size_t i = 0; i < span.n; i++)
        if (span.p[i] == 0x7F || (span.p[i] < 0x20 && (tab_too || span.p[i] != '\t')))
            return true;
    return false;
}

static struct cq_span trim(struct cq_span span)
{
    while (span.n && (span.p[0] == ' ' || span.p[0] == '\t'))
        span = span_of(span.p + 1, span.n - 1);
    while (span.n && (span.p[span.n - 1] == ' ' || span.p[span.n - 1] == '\t'))
        span.n--;
    return span;
}

/* ---- the request line ----------------------------------------------------------------- */

/* A path with a NUL in it would be cut there by whoever takes it for a C string. */
static bool has_nul_in_path(struct cq_span target)
{
    const uint8_t *mark = target.n ? memchr(target.p, '?', target.n) : NULL;
    size_t n = mark ? (size_t)(mark - target.p) : target.n;

    for (size_t i = 0; i + 2 < n; i++)
        if (memcmp(target.p + i, "%00", 3) == 0)
            return true;
    return false;
}

static const char *read_request_line(struct cq_span line, struct request_head *ret, bool *ret_1_0)
{
    static const char version[] = " HTTP/1.";
    const size_t tail = sizeof version; /* with the digit */
    const uint8_t *space = line.n ? memchr(line.p, ' ', line.n) : NULL;
    size_t method_n = space ? (size_t)(space - line.p) : 0;
    uint8_t digit = line.n ? line.p[line.n - 1] : 0;

    if (line.n < method_n + 1 + tail || (digit != '0' && digit != '1') ||
        memcmp(line.p + line.n - tail, version, tail - 1) != 0)
        return "malformed request line";
    ret->method = span_of(line.p, method_n);
    ret->target = span_of(line.p + method_n + 1, line.n - method_n - 1 - tail);
    if (!is_token(ret->method))
        return "malformed method";
    if (!ret->target.n || memchr(ret->target.p, ' ', ret->target.n) ||
        has_control(ret->target, true))
        return "malformed request target";
    if (has_nul_in_path(ret->target))
        return "NUL in the path";
    *ret_1_0 = digit == '0';
    return NULL;
}

/* ---- headers -------------------------------------------------------------------------- */

static const char *read_length(struct cq_span value, struct request_head *ret)
{
    int64_t n;

    if (!span_digits(value, LENGTH_DIGITS_MAX, &n))
        return "Content-Length: must be a number of at most 15 digits";
    ret->body_n = (uint64_t)n;
    return NULL;
}

static const char *read_value(struct cq_span name, struct cq_span value, struct seen *seen,
                              struct request_head *ret)
{
    if (is_named(name, "host")) {
        seen->host++;
    } else if (is_named(name, "content-length")) {
        seen->content_length++;
        return read_length(value, ret);
    } else if (is_named(name, "transfer-encoding")) {
        seen->transfer_encoding++;
        ret->chunked = true;
        return is_named(value, "chunked") ? NULL : "Transfer-Encoding: only chunked is accepted";
    } else if (is_named(name, "authorization")) {
        seen->authorization++;
        ret->authorization = value;
    } else if (is_named(name, "origin")) {
        ret->origin = value;
    } else if (is_named(name, "expect")) {
        ret->expects_continue = is_named(value, "100-continue");
    } else if (is_named(name, "upgrade")) {
        return is_named(value, "websocket") ? NULL : "Upgrade: only websocket is accepted";
    } else if (is_named(name, "http2-settings")) {
        return "HTTP2-Settings: HTTP/2 is not accepted";
    }
    return NULL;
}

static const char *read_header(struct cq_span line, struct seen *seen, struct request_head *ret)
{
    const uint8_t *colon = memchr(line.p, ':', line.n);
    struct cq_span name = span_of(line.p, colon ? (size_t)(colon - line.p) : 0), value;

    if (line.p[0] == ' ' || line.p[0] == '\t')
        return "header: a folded line is not accepted";
    if (!colon || !is_token(name))
        return "header: malformed name";
    value = trim(span_of(colon + 1, line.n - name.n - 1));
    if (has_control(value, false))
        return "header: control character in a value";
    return read_value(name, value, seen, ret);
}

static const char *verdict(const struct seen *seen, bool is_1_0)
{
    if (seen->host > 1)
        return "Host: more than one";
    if (seen->host == 0 && !is_1_0)
        return "Host: required";
    if (seen->content_length + seen->transfer_encoding > 1)
        return "Content-Length, Transfer-Encoding: one of them, once";
    if (seen->transfer_encoding && is_1_0)
        return "Transfer-Encoding: not in HTTP/1.0";
    if (seen->authorization > 1)
        return "Authorization: more than one";
    return NULL;
}

const char *framing_read(struct cq_span raw, struct request_head *ret)
{
    struct request_head head = { 0 };
    struct cq_span rest = raw, line;
    struct seen seen = { 0 };
    const char *fault;
    bool is_1_0 = false;

    if (rest.n >= 2 && memcmp(rest.p, "\r\n", 2) == 0)
        rest = span_of(rest.p + 2, rest.n - 2);
    if (!take_line(&rest, &line))
        return "each line of the head must end with CRLF";
    fault = read_request_line(line, &head, &is_1_0);
    while (!fault) {
        if (!take_line(&rest, &line))
            return "each line of the head must end with CRLF";
        if (!line.n)
            break;
        fault = read_header(line, &seen, &head);
    }
    if (!fault)
        fault = verdict(&seen, is_1_0);
    if (fault)
        return fault;
    head.n = raw.n - rest.n;
    *ret = head;
    return NULL;
}
