/* SPDX-License-Identifier: MIT */
#include "lib/base/proxy_header.h"

enum { V1_MAX = 107, V2_HEAD = 16, V2_SIGNATURE = 12 };

static const uint8_t v2_signature[V2_SIGNATURE] = "\r\n\r\n\0\r\nQUIT\n";
static const char v1_start[] = "PROXY ";

static bool begins(struct cq_span raw, const void *with, size_t n)
{
    return memcmp(raw.p, with, raw.n < n ? raw.n : n) == 0;
}

/* ---- version 1: one line of text ------------------------------------------------------ */

/* Cut one word off `line` at its single space. */
static struct cq_span take_word(struct cq_span *line)
{
    const uint8_t *space = line->n ? memchr(line->p, ' ', line->n) : NULL;
    struct cq_span word = span_of(line->p, space ? (size_t)(space - line->p) : line->n);

    *line = space ? span_of(space + 1, line->n - word.n - 1) : span_of(NULL, 0);
    return word;
}

static bool is_port(struct cq_span word)
{
    unsigned value = 0;

    if (!word.n || word.n > 5)
        return false;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] < '0' || word.p[i] > '9')
            return false;
        value = value * 10 + (word.p[i] - '0');
    }
    return value <= 65535;
}

/* `line`: what follows the first word, without the line's end. */
static bool read_line(struct cq_span line, bool *ret_known, struct cq_address *ret)
{
    struct cq_span family = take_word(&line), source = take_word(&line), target = take_word(&line);
    struct cq_span source_port = take_word(&line), target_port = take_word(&line);
    struct cq_address ignored;
    bool colons;

    *ret_known = false;
    if (span_eq_str(family, "UNKNOWN"))
        return true;
    colons = span_eq_str(family, "TCP6");
    if ((!colons && !span_eq_str(family, "TCP4")) || !source.n ||
        (memchr(source.p, ':', source.n) != NULL) != colons)
        return false;
    *ret_known = true;
    return !line.p && is_port(source_port) && is_port(target_port) &&
           address_parse(target, &ignored) && address_parse(source, ret);
}

static enum proxy_read read_v1(struct cq_span raw, size_t *ret_n, bool *ret_known,
                               struct cq_address *ret)
{
    const size_t start = sizeof v1_start - 1;
    const uint8_t *end = memchr(raw.p, '\n', raw.n < V1_MAX ? raw.n : V1_MAX);
    size_t n = end ? (size_t)(end - raw.p) : 0;

    if (!end)
        return raw.n < V1_MAX ? PROXY_MORE : PROXY_BAD;
    if (n <= start || raw.p[n - 1] != '\r')
        return PROXY_BAD;
    *ret_n = n + 1;
    return read_line(span_of(raw.p + start, n - 1 - start), ret_known, ret) ? PROXY_DONE
                                                                            : PROXY_BAD;
}

/* ---- version 2: binary ---------------------------------------------------------------- */

static enum proxy_read read_v2(struct cq_span raw, size_t *ret_n, bool *ret_known,
                               struct cq_address *ret)
{
    enum { LOCAL = 0x20, PROXY = 0x21, V4 = 1, V6 = 2, V4_BYTES = 12, V6_BYTES = 36 };
    size_t n;

    if (raw.n < V2_HEAD)
        return PROXY_MORE;
    n = (size_t)raw.p[14] << 8 | raw.p[15];
    if ((raw.p[12] != LOCAL && raw.p[12] != PROXY) || V2_HEAD + n > PROXY_HEADER_MAX)
        return PROXY_BAD;
    if (raw.n < V2_HEAD + n)
        return PROXY_MORE;
    *ret_n = V2_HEAD + n;
    *ret_known = false;
    if (raw.p[12] == LOCAL)
        return PROXY_DONE;
    if (raw.p[13] >> 4 == V4) {
        if (n < V4_BYTES)
            return PROXY_BAD;
        *ret = address_of_v4(raw.p + V2_HEAD);
        *ret_known = true;
    } else if (raw.p[13] >> 4 == V6) {
        if (n < V6_BYTES)
            return PROXY_BAD;
        memcpy(ret->b, raw.p + V2_HEAD, sizeof ret->b);
        *ret_known = true;
    }
    return PROXY_DONE;
}

enum proxy_read proxy_header_read(struct cq_span raw, size_t *ret_n, bool *ret_known,
                                  struct cq_address *ret)
{
    if (!raw.n)
        return PROXY_MORE;
    if (begins(raw, v2_signature, V2_SIGNATURE))
        return read_v2(raw, ret_n, ret_known, ret);
    if (begins(raw, v1_start, sizeof v1_start - 1))
        return read_v1(raw, ret_n, ret_known, ret);
    return PROXY_BAD;
}
