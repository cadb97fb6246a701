/* SPDX-License-Identifier: MIT */
#include "edge/rest/framing.h"

#include <strings.h>

struct seen {
    int host, content_length, transfer_encoding;
};

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
static bool is_token(struct cq_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        if (!alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return s.n > 0;
}

static bool is_named(struct cq_span name, const char *want)
{
    return name.n == strlen(want) && strncasecmp((const char *)name.p, want, name.n) == 0;
}

static const char *look_at_header(struct cq_span line, struct seen *seen)
{
    const uint8_t *colon = memchr(line.p, ':', line.n);
    struct cq_span name = span_of(line.p, colon ? (size_t)(colon - line.p) : 0);

    if (line.p[0] == ' ' || line.p[0] == '\t')
        return "folded header";
    if (!colon || !is_token(name))
        return "header name";
    seen->host += is_named(name, "host");
    seen->content_length += is_named(name, "content-length");
    seen->transfer_encoding += is_named(name, "transfer-encoding");
    return NULL;
}

static const char *verdict(const struct seen *seen, bool is_1_0)
{
    if (seen->host > 1)
        return "more than one Host";
    if (seen->host == 0 && !is_1_0)
        return "no Host";
    if (seen->content_length + seen->transfer_encoding > 1)
        return "length given more than once";
    if (seen->transfer_encoding && is_1_0)
        return "Transfer-Encoding in HTTP/1.0";
    return NULL;
}

const char *framing_fault(struct cq_span raw)
{
    static const char old[] = " HTTP/1.0";
    struct seen seen = { 0 };
    struct cq_span line;
    const char *fault = NULL;
    bool is_1_0;

    if (raw.n >= 2 && memcmp(raw.p, "\r\n", 2) == 0)
        raw = span_of(raw.p + 2, raw.n - 2); /* an empty line in front is allowed (RFC 9112, 2.2) */
    if (!take_line(&raw, &line))
        return "line end";
    is_1_0 = line.n >= sizeof old - 1 &&
             memcmp(line.p + line.n - (sizeof old - 1), old, sizeof old - 1) == 0;
    while (!fault) {
        if (!take_line(&raw, &line))
            return "line end";
        if (!line.n)
            return verdict(&seen, is_1_0);
        fault = look_at_header(line, &seen);
    }
    return fault;
}
