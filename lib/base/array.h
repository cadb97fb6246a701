/* SPDX-License-Identifier: MIT */
/*
 * lib/base/array.h - an array on the heap that grows by doubling. Who grows it knows its maximum.
 */
#pragma once

#include "lib/base/status.h"

#include <stdbool.h>
#include <stddef.h>

/** Make room for `n` items of `size` bytes in the array that `items`, the address of a pointer,
 * points to: `*cap` is doubled until they fit, from `first` on. False without memory, and nothing
 * has changed. */
CQ_MUST_CHECK bool array_room(void *items, size_t *cap, size_t n, size_t size, size_t first);
