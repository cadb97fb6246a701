/* SPDX-License-Identifier: MIT */
#include "lib/base/origin.h"

static bool is_printable(struct cq_span span)
{
    for (size_t i = 0; i < span.n; i++)
        if (span.p[i] <= ' ' || span.p[i] == 0x7f)
            return false;
    return true;
}

bool origin_is_good(struct cq_span item)
{
    static const char mark[] = "://";
    const uint8_t *at = item.n ? memmem(item.p, item.n, mark, sizeof mark - 1) : NULL;
    size_t before = at ? (size_t)(at - item.p) + sizeof mark - 1 : 0;

    if (span_eq_str(item, "*") || span_eq_str(item, "null"))
        return true;
    return at && before < item.n && is_printable(item) &&
           !memchr(item.p + before, '/', item.n - before);
}

bool origin_is_allowed(const char *list, struct cq_span origin)
{
    struct cq_span rest = span_str(list), item;

    while (span_next_item(&rest, &item))
        if (span_eq_str(item, "*") || (item.n && span_eq(item, origin)))
            return true;
    return false;
}
