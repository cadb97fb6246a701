/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"

#include "lib/base/idmap.h"

#include <stdlib.h>

enum { KEYS = 300, STEPS = 100000 };

static struct cq_id key_of(uint32_t n)
{
    /* few distinct hashes, so that probing and shifting back are exercised */
    struct cq_id id = { { 0 } };

    id.b[15] = (uint8_t)n;
    id.b[14] = (uint8_t)(n >> 8);
    return id;
}

TEST(idmap_agrees_with_an_array)
{
    static uint64_t values[KEYS];
    static bool there[KEYS];
    struct idmap map;
    size_t n = 0;
    unsigned seed = 7;

    idmap_init(&map, KEYS);
    for (int step = 0; step < STEPS; step++) {
        uint32_t key = (uint32_t)rand_r(&seed) % KEYS;

        if (rand_r(&seed) % 3) {
            CHECK(idmap_put(&map, key_of(key), (uint64_t)step));
            n += !there[key];
            there[key] = true;
            values[key] = (uint64_t)step;
        } else {
            CHECK_EQ(idmap_remove(&map, key_of(key)), there[key]);
            n -= there[key];
            there[key] = false;
        }
        key = (uint32_t)rand_r(&seed) % KEYS;
        const uint64_t *got = idmap_get(&map, key_of(key));
        CHECK_EQ(got != NULL, there[key]);
        if (got)
            CHECK_EQ(*got, values[key]);
        CHECK_EQ(map.n, n);
    }
    idmap_release(&map);
}

TEST(idmap_keeps_its_maximum)
{
    struct idmap map;

    idmap_init(&map, 2);
    CHECK(idmap_put(&map, key_of(1), 1));
    CHECK(idmap_put(&map, key_of(2), 2));
    CHECK(!idmap_put(&map, key_of(3), 3));
    CHECK(idmap_put(&map, key_of(2), 4)); /* replacing is no growth */
    CHECK_EQ(*idmap_get(&map, key_of(2)), 4u);
    CHECK(idmap_get(&map, key_of(3)) == NULL);
    idmap_release(&map);
}

TEST(idmap_walk_sees_each_once)
{
    struct idmap map;
    struct cq_id id;
    uint64_t value, sum = 0;
    size_t n = 0;

    idmap_init(&map, 1000);
    for (uint32_t k = 0; k < 100; k++)
        CHECK(idmap_put(&map, key_of(k), k));
    for (size_t at = 0; idmap_next(&map, &at, &id, &value); n++)
        sum += value;
    CHECK_EQ(n, 100u);
    CHECK_EQ(sum, 4950u);
    idmap_release(&map);
}
