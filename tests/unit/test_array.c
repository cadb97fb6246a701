/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"

#include "lib/base/array.h"

#include <stdlib.h>

TEST(an_array_doubles_and_keeps_what_it_holds)
{
    int *items = NULL;
    size_t cap = 0;

    for (size_t i = 0; i < 100; i++) {
        CHECK(array_room(&items, &cap, i + 1, sizeof *items, 3));
        items[i] = (int)i;
    }
    CHECK_EQ(cap, 192);
    for (size_t i = 0; i < 100; i++)
        CHECK_EQ(items[i], (int)i);
    CHECK(array_room(&items, &cap, 500, sizeof *items, 3)); /* many at once */
    CHECK_EQ(cap, 768);
    CHECK_EQ(items[99], 99);
    free(items);
}

TEST(room_that_is_there_moves_nothing)
{
    int *items = NULL;
    size_t cap = 0;
    int *before;

    CHECK(array_room(&items, &cap, 0, sizeof *items, 4));
    CHECK(!items && cap == 0);
    CHECK(array_room(&items, &cap, 1, sizeof *items, 4));
    before = items;
    CHECK(array_room(&items, &cap, 4, sizeof *items, 4));
    CHECK(items == before && cap == 4);
    free(items);
}

TEST(what_no_memory_can_hold_changes_nothing)
{
    int *items = NULL;
    size_t cap = 0;
    int *before;

    CHECK(array_room(&items, &cap, 1, sizeof *items, 4));
    before = items;
    CHECK(!array_room(&items, &cap, SIZE_MAX, sizeof *items, 4));
    CHECK(!array_room(&items, &cap, SIZE_MAX / 4, sizeof *items, 4));
    CHECK(!array_room(&items, &cap, SIZE_MAX / 16, sizeof *items, 4));
    CHECK(items == before && cap == 4);
    free(items);
}
