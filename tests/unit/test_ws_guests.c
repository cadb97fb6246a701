/* SPDX-License-Identifier: MIT */
#include "edge/ws/guests.h"
#include "tests/unit/test.h"

enum { PER_ADDRESS = 3, MAX = 16 };

static const struct address_ranges nobody;

static struct cq_address address(uint8_t last)
{
    const uint8_t bytes[4] = { 10, 0, 0, last };

    return address_of_v4(bytes);
}

TEST(guests_of_one_address_are_bounded)
{
    struct guest guest[PER_ADDRESS + 1] = { 0 }, other = { 0 };
    struct guests guests;

    guests_init(&guests, &nobody, PER_ADDRESS, MAX);
    for (int i = 0; i < PER_ADDRESS; i++)
        CHECK(guests_enter(&guests, &guest[i], address(1), i));
    CHECK(!guests_enter(&guests, &guest[PER_ADDRESS], address(1), 9));
    CHECK(!guest[PER_ADDRESS].listed);
    CHECK(guests_enter(&guests, &other, address(2), 9));
    guests_leave(&guests, &guest[1]); /* known now */
    guests_leave(&guests, &guest[1]); /* closed later */
    CHECK(guests_enter(&guests, &guest[PER_ADDRESS], address(1), 10));
    CHECK(guests.first == &guest[0] && guests.last == &guest[PER_ADDRESS]);
    guests_leave(&guests, &guest[0]);
    CHECK(guests.first == &guest[2]); /* the longest one */
    guests_leave(&guests, &guest[2]);
    guests_leave(&guests, &guest[3]);
    guests_leave(&guests, &other);
    CHECK(!guests.first && !guests.last);
    CHECK_EQ(guests.by_address.n, 0);
    guests_release(&guests);
}

TEST(guests_of_a_proxy_count_to_their_own_address)
{
    struct guest guest[PER_ADDRESS + 2] = { 0 };
    struct address_ranges proxies;
    struct guests guests;

    CHECK(address_ranges_parse("10.0.0.1", &proxies));
    guests_init(&guests, &proxies, PER_ADDRESS, MAX);
    for (size_t i = 0; i < ARRAY_LEN(guest); i++)
        CHECK(guests_enter(&guests, &guest[i], address(1), 0));
    CHECK_EQ(guests.by_address.n, 0);
    for (int i = 0; i < PER_ADDRESS; i++)
        CHECK(guests_rename(&guests, &guest[i], address(7)));
    CHECK(!guests_rename(&guests, &guest[PER_ADDRESS], address(7)));
    CHECK(guests_rename(&guests, &guest[PER_ADDRESS + 1], address(8)));
    CHECK(guests_rename(&guests, &guest[0], address(8))); /* counts once */
    CHECK(guests_rename(&guests, &guest[PER_ADDRESS], address(7)));
    for (size_t i = 0; i < ARRAY_LEN(guest); i++)
        guests_leave(&guests, &guest[i]);
    CHECK_EQ(guests.by_address.n, 0);
    guests_release(&guests);
}
