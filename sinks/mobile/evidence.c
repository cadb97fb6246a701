/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/evidence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

bool evidence_foreign(struct evidence *e, struct cq_id user)
{
    bool known = false;

    if (e->proven)
        return false;
    for (int i = 0; i < e->n; i++)
        known |= id_eq(e->users[i], user);
    if (!known && e->n < EVIDENCE_USERS)
        e->users[e->n++] = user;
    return e->n == EVIDENCE_USERS;
}

void evidence_taken(struct evidence *e)
{
    *e = (struct evidence){ .proven = true };
}

void evidence_format(const struct evidence *e, int64_t said, uint32_t fingerprint,
                     char out[EVIDENCE_TEXT_MAX])
{
    int n = snprintf(out, EVIDENCE_TEXT_MAX, "o%" PRId64, said);

    if (e->proven)
        snprintf(out + n, (size_t)(EVIDENCE_TEXT_MAX - n), "p%08" PRIx32, fingerprint);
}

int64_t evidence_parse(struct evidence *e, const char *text, uint32_t fingerprint)
{
    char *end;
    int64_t said;

    if (text[0] != 'o' || text[1] < '0' || text[1] > '9')
        return -1;
    said = strtoll(text + 1, &end, 10);
    if (*end == 'p') {
        unsigned long print = strtoul(end + 1, &end, 16);

        if (!*end && print == fingerprint)
            evidence_taken(e);
    }
    return *end ? -1 : said;
}
