/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/query.h"

#include "lib/base/hash.h"

enum { NUMBER_DIGITS = 16 };

static struct cq_span decode(struct cq_arena *arena, struct cq_span span)
{
    uint8_t *out = arena_alloc(arena, span.n + 1);
    size_t n = 0;

    for (size_t i = 0; out && i < span.n; i++) {
        int high = i + 2 < span.n && span.p[i] == '%' ? hex_digit(span.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(span.p[i + 2]) : -1;

        if (low >= 0) {
            out[n++] = (uint8_t)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = span.p[i] == '+' ? ' ' : span.p[i];
        }
    }
    return out ? span_of(out, n) : span_of(NULL, 0);
}

/* The value of a query parameter, not decoded; false: it is absent. */
static bool find_param(const struct call *call, const char *name, struct cq_span *ret)
{
    struct cq_span rest = call->request.query;
    size_t name_n = strlen(name);

    while (rest.n) {
        const uint8_t *amp = memchr(rest.p, '&', rest.n);
        size_t n = amp ? (size_t)(amp - rest.p) : rest.n;

        if (n > name_n && rest.p[name_n] == '=' && memcmp(rest.p, name, name_n) == 0) {
            *ret = span_of(rest.p + name_n + 1, n - name_n - 1);
            return true;
        }
        rest = amp ? span_of(amp + 1, rest.n - n - 1) : span_of(NULL, 0);
    }
    return false;
}

struct cq_span call_param(struct call *call, const char *name)
{
    struct cq_span raw;

    return find_param(call, name, &raw) ? decode(call->arena, raw) : span_of(NULL, 0);
}

bool call_param_i64(struct call *call, const char *name, int64_t *ret)
{
    struct cq_span text;

    if (!find_param(call, name, &text))
        return true;
    return span_digits(decode(call->arena, text), NUMBER_DIGITS, ret);
}
