/* SPDX-License-Identifier: MIT */
#include "lib/base/array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool array_room(void *items, size_t *cap, size_t n, size_t size, size_t first)
{
    size_t more = *cap ? *cap : first;
    void *held, *bigger;

    if (n <= *cap)
        return true;
    while (more < n && more <= SIZE_MAX / 2)
        more *= 2;
    if (more < n || more > SIZE_MAX / size)
        return false;
    memcpy(&held, items, sizeof held); /* whatever type of pointer it is */
    bigger = realloc(held, more * size);
    if (!bigger)
        return false;
    memcpy(items, &bigger, sizeof bigger);
    *cap = more;
    return true;
}
