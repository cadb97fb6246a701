/* SPDX-License-Identifier: MIT */
#include "lib/bus/suspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_MOST = 1000 };

/* One number of `text` that ends with `end`; NULL: not there. */
static const char *take_number(const char *text, char end, int64_t *ret)
{
    char *after;
    long long v = strtoll(text, &after, 10);

    if (after == text || *after != end)
        return NULL;
    *ret = v;
    return after + 1;
}

const char *suspect_parse(const char *text, struct suspect *ret)
{
    const char *p = text;
    int64_t starts, at, kills;

    *ret = (struct suspect){ 0, -1, 0 };
    if (*p != '!' || !(p = take_number(p + 1, ',', &starts)) || !(p = take_number(p, ',', &at)) ||
        !(p = take_number(p, ';', &kills)) || starts < 0 || starts > COUNT_MOST || kills < 0 ||
        kills > COUNT_MOST || at < -1)
        return text;
    *ret = (struct suspect){ (int32_t)starts, at, (int32_t)kills };
    return p;
}

size_t suspect_format(const struct suspect *s, char out[SUSPECT_TEXT_MAX])
{
    *out = '\0';
    if (!s->starts && s->at < 0)
        return 0;
    return (size_t)snprintf(out, SUSPECT_TEXT_MAX, "!%d,%lld,%d;", s->starts, (long long)s->at,
                            s->kills);
}
