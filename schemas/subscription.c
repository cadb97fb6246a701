/* SPDX-License-Identifier: MIT */
#include "schemas/subscription.h"

#include "lib/base/hash.h"

static const char SCHEME[] = "https://";
enum { SCHEME_N = 8, PORT_DEFAULT = 443, PORT_MAX = 65535, POINT_CHARS = 87, AUTH_CHARS = 22 };

static bool is_host(struct cq_span host)
{
    uint8_t before = '.';

    if (!host.n || host.n > SUBSCRIPTION_HOST_MAX)
        return false;
    for (size_t i = 0; i < host.n; before = host.p[i++]) {
        uint8_t c = host.p[i];

        if (c == '.' ? before == '.' || before == '-' : c == '-' && before == '.')
            return false;
        if (c != '.' && c != '-' && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    return before != '.' && before != '-';
}

/* ":8443"; "" is the default. */
static bool read_port(struct cq_span text, int *ret)
{
    int port = 0;

    *ret = PORT_DEFAULT;
    if (!text.n)
        return true;
    if (text.n < 2 || text.n > 6 || text.p[1] == '0')
        return false;
    for (size_t i = 1; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        port = port * 10 + (text.p[i] - '0');
    }
    *ret = port;
    return port != PORT_DEFAULT && port <= PORT_MAX;
}

/* "https://host[:port]", and where it ends. */
static bool read_origin(struct cq_span text, struct subscription *ret)
{
    size_t end = SCHEME_N, colon;

    if (text.n <= SCHEME_N || memcmp(text.p, SCHEME, SCHEME_N) != 0)
        return false;
    while (end < text.n && text.p[end] != '/')
        end++;
    for (colon = SCHEME_N; colon < end && text.p[colon] != ':';)
        colon++;
    ret->origin = span_of(text.p, end);
    ret->host = span_of(text.p + SCHEME_N, colon - SCHEME_N);
    return is_host(ret->host) && read_port(span_of(text.p + colon, end - colon), &ret->port);
}

static bool is_path(struct cq_span path)
{
    if (!path.n || path.p[0] != '/')
        return false;
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] <= ' ' || path.p[i] > '~' || strchr("\"#<>\\^`{|}", path.p[i]))
            return false;
    return true;
}

/* Of the bytes that a text stands for there is one text only. */
static bool read_bytes(struct cq_span text, uint8_t *out, size_t n)
{
    char again[4 * ((SUBSCRIPTION_POINT_BYTES + 2) / 3) + 1];
    size_t got;

    return base64url_parse(text, out, n, &got) && got == n &&
           span_eq(span_of(again, base64url_format(out, n, again)), text);
}

bool subscription_parse(struct cq_span text, struct subscription *ret)
{
    const uint8_t *keys;

    if (text.n <= SCHEME_N + SUBSCRIPTION_KEYS_CHARS)
        return false;
    keys = text.p + text.n - SUBSCRIPTION_KEYS_CHARS;
    ret->endpoint = span_of(text.p, text.n - SUBSCRIPTION_KEYS_CHARS);
    if (keys[0] != '#' || keys[1 + POINT_CHARS] != '.' || !read_origin(ret->endpoint, ret))
        return false;
    return is_path(span_of(text.p + ret->origin.n, ret->endpoint.n - ret->origin.n)) &&
           read_bytes(span_of(keys + 1, POINT_CHARS), ret->key, sizeof ret->key) &&
           ret->key[0] == 4 && /* uncompressed */
           read_bytes(span_of(keys + 2 + POINT_CHARS, AUTH_CHARS), ret->auth, sizeof ret->auth);
}

void subscription_write(struct cq_span endpoint, struct cq_span key, struct cq_span auth,
                        struct cq_buf *out)
{
    buf_add_span(out, endpoint);
    buf_add_byte(out, '#');
    buf_add_span(out, key);
    buf_add_byte(out, '.');
    buf_add_span(out, auth);
}

static bool is_wildcard(struct cq_span item)
{
    return item.n > 2 && item.p[0] == '*' && item.p[1] == '.';
}

bool subscription_service_good(struct cq_span item)
{
    struct subscription read;

    if (is_wildcard(item))
        return is_host(span_of(item.p + 2, item.n - 2));
    return is_host(item) || (read_origin(item, &read) && read.origin.n == item.n);
}

static bool ends_with(struct cq_span host, struct cq_span end)
{
    return host.n > end.n && memcmp(host.p + host.n - end.n, end.p, end.n) == 0;
}

bool subscription_is_at(const struct subscription *subscription, const char *list, bool *ret_exact)
{
    struct cq_span rest = span_str(list), item;
    bool found = false;

    *ret_exact = false;
    while (span_next_item(&rest, &item)) {
        bool at_default = subscription->port == PORT_DEFAULT;

        if (span_eq(item, subscription->origin) ||
            (at_default && item.n && span_eq(item, subscription->host))) {
            *ret_exact = true;
            return true;
        }
        found |= at_default && is_wildcard(item) &&
                 ends_with(subscription->host, span_of(item.p + 1, item.n - 1));
    }
    return found;
}
