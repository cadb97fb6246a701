/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/evidence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

bool evidence_foreign(struct evidence *evidence, struct cq_id user)
{
    bool known = false;

    if (evidence->proven)
        return false;
    for (int i = 0; i < evidence->n; i++)
        known |= id_eq(evidence->users[i], user);
    if (!known && evidence->n < EVIDENCE_USERS)
        evidence->users[evidence->n++] = user;
    return evidence->n == EVIDENCE_USERS;
}

void evidence_taken(struct evidence *evidence)
{
    *evidence = (struct evidence){ .proven = true };
}

void evidence_format(const struct evidence *evidence, int64_t said, uint32_t fingerprint,
                     char out[EVIDENCE_TEXT_MAX])
{
    int n = snprintf(out, EVIDENCE_TEXT_MAX, "o%" PRId64, said);

    if (evidence->proven)
        snprintf(out + n, (size_t)(EVIDENCE_TEXT_MAX - n), "p%08" PRIx32, fingerprint);
}

int64_t evidence_parse(struct evidence *evidence, const char *text, uint32_t fingerprint)
{
    char *end;
    int64_t said;

    if (text[0] != 'o' || text[1] < '0' || text[1] > '9')
        return -1;
    said = strtoll(text + 1, &end, 10);
    if (*end == 'p') {
        unsigned long print = strtoul(end + 1, &end, 16);

        if (!*end && print == fingerprint)
            evidence_taken(evidence);
    }
    return *end ? -1 : said;
}
