/* SPDX-License-Identifier: MIT */
#include "edge/rest/server/route.h"

#include <stdio.h>

/* Compare part by part. Where the pattern has {}, a part that is no id does not match. */
static bool matches(const char *pattern, struct cq_span path, struct cq_id ids[2])
{
    size_t ids_n = 0;

    while (*pattern) {
        if (pattern[0] == '{') {
            const uint8_t *slash = memchr(path.p, '/', path.n);
            size_t n = slash ? (size_t)(slash - path.p) : path.n;

            if (!id_parse(span_of(path.p, n), &ids[ids_n++]))
                return false;
            path = span_of(path.p + n, path.n - n);
            pattern += 2;
            continue;
        }
        if (!path.n || *path.p != (uint8_t)*pattern)
            return false;
        path = span_of(path.p + 1, path.n - 1);
        pattern++;
    }
    return path.n == 0;
}

const struct route *route_find(const struct routes *const *tables, struct cq_span method,
                               struct cq_span path, struct cq_id ids[2])
{
    for (; *tables; tables++)
        for (size_t i = 0; i < (*tables)->n; i++) {
            const struct route *row = &(*tables)->v[i];

            if (span_eq_str(method, row->method) && matches(row->pattern, path, ids))
                return row;
        }
    return NULL;
}

void route_methods(const struct routes *const *tables, struct cq_span path, char *out, size_t cap)
{
    struct cq_id ids[2];
    size_t n = 0;

    *out = '\0';
    for (; *tables; tables++)
        for (size_t i = 0; i < (*tables)->n; i++)
            if (matches((*tables)->v[i].pattern, path, ids))
                n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? ", " : "",
                                      (*tables)->v[i].method);
    if (n)
        snprintf(out + n, cap - n, ", OPTIONS");
}
