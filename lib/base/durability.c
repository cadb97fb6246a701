/* SPDX-License-Identifier: MIT */
#include "lib/base/durability.h"

#include <string.h>

enum durability durability_parse(const char *word)
{
    if (strcmp(word, "replicated") == 0)
        return DURABILITY_REPLICATED;
    return strcmp(word, "synced") == 0 ? DURABILITY_SYNCED : DURABILITY_CACHED;
}
