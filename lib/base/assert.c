/* SPDX-License-Identifier: MIT */
#include "lib/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE_MAX = 256, VALUES_MAX = 4 };

/* From the root of the tree: where it was built is nobody's business. */
static const char *from_root(const char *file)
{
    static const char own[] = __FILE__, own_from_root[] = "lib/base/assert.c";
    size_t root = sizeof own - sizeof own_from_root;

    return strlen(file) > root && strncmp(file, own, root) == 0 ? file + root : file;
}

void assert_failed(const char *file, int line, const char *expression,
                   const struct log_field *values, size_t values_n)
{
    struct log_field fields[2 + VALUES_MAX];
    char place[PLACE_MAX];
    size_t n = 0;

    snprintf(place, sizeof place, "%s:%d", from_root(file), line);
    fields[n++] = LOG_S("at", place);
    fields[n++] = LOG_S("expression", expression);
    for (size_t i = 0; i < values_n && i < VALUES_MAX; i++)
        fields[n++] = values[i];
    log_write(LOG_ERROR, "assertion_failed", fields, n);
    abort();
}
