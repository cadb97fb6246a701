/* SPDX-License-Identifier: MIT */
#include "tests/bench/scan.h"

static const uint8_t *spaces_end(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p == ' ')
        p++;
    return p;
}

/* The byte after the string whose opening quote is at `p`, or `end`. */
static const uint8_t *string_end(const uint8_t *p, const uint8_t *end)
{
    for (p++; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '"')
            return p + 1;
    }
    return end;
}

/* The byte after the object or array that opens at `p`. */
static const uint8_t *nested_end(const uint8_t *p, const uint8_t *end)
{
    int depth = 0;

    while (p < end) {
        if (*p == '"') {
            p = string_end(p, end);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if ((*p == '}' || *p == ']') && --depth == 0)
            return p + 1;
        p++;
    }
    return end;
}

static const uint8_t *scalar_end(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p != ',' && *p != '}')
        p++;
    return p;
}

static int64_t number(const uint8_t *p, const uint8_t *end)
{
    int64_t v = 0;

    for (; p < end && *p >= '0' && *p <= '9'; p++)
        v = v * 10 + (*p - '0');
    return v;
}

static void keep(struct scan *scan, struct cq_span key, const uint8_t *p, const uint8_t *end)
{
    static const struct {
        const char *key;
        size_t at;
        bool text;
    } fields[] = {
        { "t", offsetof(struct scan, t), true },
        { "n", offsetof(struct scan, n), false },
        { "id", offsetof(struct scan, id), true },
        { "seq", offsetof(struct scan, seq), false },
        { "from", offsetof(struct scan, from), true },
        { "code", offsetof(struct scan, code), true },
        { "read", offsetof(struct scan, read), false },
        { "chatId", offsetof(struct scan, chat_id), true },
        { "content", offsetof(struct scan, content), true },
        { "clientId", offsetof(struct scan, client_id), true },
        { "delivered", offsetof(struct scan, delivered), false },
        { "retryAfter", offsetof(struct scan, retry_after_ms), false },
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (key.p[0] != (uint8_t)fields[i].key[0] || !span_eq_str(key, fields[i].key))
            continue;
        if (fields[i].text && *p == '"')
            *(struct cq_span *)((char *)scan + fields[i].at) =
                span_of(p + 1, (size_t)(end - p) - 2);
        else if (!fields[i].text)
            *(int64_t *)((char *)scan + fields[i].at) = number(p, end);
        return;
    }
}

bool scan_frame(struct cq_span text, struct scan *ret)
{
    const uint8_t *p = text.p, *end = text.p + text.n;

    *ret = (struct scan){ 0 };
    if (text.n < 2 || *p != '{' || end[-1] != '}')
        return false;
    for (p = spaces_end(p + 1, end); p < end && *p == '"';) {
        struct cq_span key = { p + 1, 0 };
        const uint8_t *value;

        p = string_end(p, end);
        key.n = (size_t)(p - key.p) - 1;
        if (p >= end || *p != ':' || key.n == 0)
            return false;
        value = p = spaces_end(p + 1, end);
        if (p < end && *p == '"')
            p = string_end(p, end);
        else if (p < end && (*p == '{' || *p == '['))
            p = nested_end(p, end);
        else
            p = scalar_end(p, end);
        keep(ret, key, value, p);
        if (p >= end)
            return false;
        if (*p == '}')
            return p + 1 == end;
        p = spaces_end(p + 1, end);
    }
    return p < end && *p == '}';
}
