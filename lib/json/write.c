/* SPDX-License-Identifier: MIT */
#include "lib/json/write.h"

/* ---- values --------------------------------------------------------------------------- */

#define ONES 0x0101010101010101ull
#define HIGHS 0x8080808080808080ull

/* Nonzero when some byte of x equals c; exact while no byte of x has its high bit. */
static inline uint64_t has_byte(uint64_t x, uint8_t c)
{
    uint64_t y = x ^ (ONES * c);

    return (y - ONES) & ~y & HIGHS;
}

/* Whether eight bytes are ASCII that stands for itself. A '<' does not, since "</" is escaped. */
static inline bool eight_plain(const uint8_t *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
    return !((x & HIGHS) | ((x - ONES * 0x20) & ~x & HIGHS) | has_byte(x, '"') | has_byte(x, '\\') |
             has_byte(x, '<'));
}

static uint8_t *put_escape(uint8_t *to, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "btn.fr"; /* 0x08 to 0x0d; 0x0b has none */

    *to++ = '\\';
    if (byte >= 0x20) {
        *to++ = byte;
    } else if (byte >= 0x08 && byte <= 0x0d && byte != 0x0b) {
        *to++ = (uint8_t)letters[byte - 0x08];
    } else {
        memcpy(to, "u00", 3);
        to[3] = (uint8_t)hex[byte >> 4];
        to[4] = (uint8_t)hex[byte & 15];
        to += 5;
    }
    return to;
}

/* Length of the valid UTF-8 sequence that begins at s.p[0] >= 0x80, 0 when there is none. */
static size_t sequence(struct cq_span span)
{
    for (size_t n = 2; n <= 4 && n <= span.n; n++)
        if (span_is_utf8(span_of(span.p, n)))
            return n;
    return 0;
}

/* One character of `*s`, escaped, to `to` (JSON_ESCAPED_MAX bytes of room). */
static uint8_t *put_char(uint8_t *to, struct cq_span *span, uint8_t before)
{
    uint8_t byte = span->p[0];
    size_t n = 1;

    if (byte >= 0x80) {
        n = sequence(*span);
        if (n) {
            memcpy(to, span->p, n);
            to += n;
        } else {
            memcpy(to, "\xEF\xBF\xBD", 3); /* U+FFFD: never put bad bytes on a socket */
            to += 3;
            n = 1;
        }
    } else if (byte < 0x20 || byte == '"' || byte == '\\' || (byte == '/' && before == '<')) {
        to = put_escape(to, byte);
    } else {
        *to++ = byte;
    }
    span->p += n;
    span->n -= n;
    return to;
}

void json_put_text(struct cq_buf *out, struct cq_span span)
{
    enum { STRETCH = 256 }; /* bytes of input a reservation: plain text must not reserve sixfold */
    uint8_t before = 0;

    buf_add_byte(out, '"');
    while (span.n) {
        size_t stop =
            span.n > STRETCH ? span.n - STRETCH : 0; /* bytes left when this stretch is done */
        uint8_t *to = buf_reserve(out, (span.n - stop) * JSON_ESCAPED_MAX + 8);

        if (!to)
            return;
        while (span.n > stop) {
            if (span.n - stop >= 8 && before != '<' && eight_plain(span.p)) {
                memcpy(to, span.p, 8);
                before = span.p[7];
                span.p += 8;
                span.n -= 8;
                to += 8;
                continue;
            }
            uint8_t byte = span.p[0];

            to = put_char(to, &span, before);
            before = byte;
        }
        out->n = (size_t)(to - out->p);
    }
    buf_add_byte(out, '"');
}

/* ---- members -------------------------------------------------------------------------- */

void out_key(struct cq_buf *out, const char *name)
{
    uint8_t last = out->n ? out->p[out->n - 1] : '{';

    if (last != '{' && last != '[' && last != ',')
        buf_add_byte(out, ',');
    buf_add_byte(out, '"');
    buf_add_str(out, name);
    buf_add(out, "\":", 2);
}

void out_text(struct cq_buf *out, const char *name, struct cq_span value)
{
    out_key(out, name);
    json_put_text(out, value);
}

void out_word(struct cq_buf *out, const char *name, const char *value)
{
    out_key(out, name);
    buf_add_byte(out, '"');
    buf_add_str(out, value);
    buf_add_byte(out, '"');
}

void out_id(struct cq_buf *out, const char *name, struct cq_id value)
{
    uint8_t *to;

    out_key(out, name);
    to = buf_reserve(out, CQ_ID_TEXT_LEN + 3); /* two quotes, and the NUL of id_format() */
    if (!to)
        return;
    to[0] = '"';
    id_format(value, (char *)to + 1);
    to[CQ_ID_TEXT_LEN + 1] = '"';
    out->n += CQ_ID_TEXT_LEN + 2;
}

void out_words(struct cq_buf *out, const char *name, const char *const *v, size_t n)
{
    out_key(out, name);
    buf_add_byte(out, '[');
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s\"%s\"", i ? "," : "", v[i]);
    buf_add_byte(out, ']');
}

void out_ids(struct cq_buf *out, const char *name, const struct cq_id *ids, size_t n)
{
    out_key(out, name);
    buf_add_byte(out, '[');
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s\"%s\"", i ? "," : "", id_text(ids[i]).s);
    buf_add_byte(out, ']');
}

void out_i64(struct cq_buf *out, const char *name, int64_t value)
{
    out_key(out, name);
    buf_add_i64(out, value);
}

void out_bool(struct cq_buf *out, const char *name, bool value)
{
    out_key(out, name);
    buf_add_str(out, value ? "true" : "false");
}

void out_time(struct cq_buf *out, const char *name, int64_t value)
{
    out_key(out, name);
    if (value)
        buf_add_i64(out, value);
    else
        buf_add_str(out, "null");
}
