/* SPDX-License-Identifier: MIT */
#include "lib/bus/suspect.h"

#include <stdio.h>
#include <stdlib.h>

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

static bool is_count(int64_t n)
{
    return n >= 0 && n <= COUNT_MOST;
}

const char *suspect_parse(const char *text, struct suspect *ret)
{
    const char *p = text, *end;
    int64_t starts, at, kills, worst_at = -1, worst_kills = 0;

    *ret = SUSPECT_NONE;
    if (*p != '!' || !(p = take_number(p + 1, ',', &starts)) || !(p = take_number(p, ',', &at)))
        return text;
    end = take_number(p, ';', &kills);
    if (!end && (!(p = take_number(p, ',', &kills)) || !(p = take_number(p, ',', &worst_at)) ||
                 !(end = take_number(p, ';', &worst_kills))))
        return text;
    if (!is_count(starts) || !is_count(kills) || !is_count(worst_kills) || at < -1 || worst_at < -1)
        return text;
    *ret = (struct suspect){ (int32_t)starts, at, (int32_t)kills, worst_at, (int32_t)worst_kills };
    return end;
}

size_t suspect_format(const struct suspect *suspect, char out[SUSPECT_TEXT_MAX])
{
    bool stepping = suspect->at >= 0, suspects = suspect->worst_kills > 0;

    *out = '\0';
    if (!suspect->starts && !stepping && !suspects)
        return 0;
    if (stepping && suspects && suspect->worst_at != suspect->at)
        return (size_t)snprintf(out, SUSPECT_TEXT_MAX, "!%d,%lld,%d,%lld,%d;", suspect->starts,
                                (long long)suspect->at, suspect->kills,
                                (long long)suspect->worst_at, suspect->worst_kills);
    return (size_t)snprintf(out, SUSPECT_TEXT_MAX, "!%d,%lld,%d;", suspect->starts,
                            (long long)(stepping   ? suspect->at
                                        : suspects ? suspect->worst_at
                                                   : -1),
                            stepping ? suspect->kills : suspect->worst_kills);
}

void suspect_found(struct suspect *suspect)
{
    bool more = suspect->kills > suspect->worst_kills,
         earlier = suspect->kills == suspect->worst_kills && suspect->at < suspect->worst_at;

    if (suspect->at >= 0 && suspect->kills > 0 &&
        (more || earlier || suspect->at == suspect->worst_at)) {
        suspect->worst_at = suspect->at;
        suspect->worst_kills = suspect->kills;
    }
    suspect->at = -1;
    suspect->kills = 0;
}

void suspect_enter(struct suspect *suspect, int64_t at)
{
    suspect->kills =
        (suspect->worst_kills && suspect->worst_at == at ? suspect->worst_kills : 0) + 1;
    suspect->at = at;
}

static void forget_worst(struct suspect *suspect)
{
    suspect->worst_at = -1;
    suspect->worst_kills = 0;
}

void suspect_passed(struct suspect *suspect, int64_t next)
{
    if (suspect->worst_at < next)
        forget_worst(suspect);
}

void suspect_leave(struct suspect *suspect, bool lived)
{
    if (lived && suspect->worst_at == suspect->at)
        forget_worst(suspect);
    suspect->at = -1;
    suspect->kills = 0;
}
