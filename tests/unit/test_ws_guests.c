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
    struct guest x[PER_ADDRESS + 1] = { 0 }, other = { 0 };
    struct guests gs;

    guests_init(&gs, &nobody, PER_ADDRESS, MAX);
    for (int i = 0; i < PER_ADDRESS; i++)
        CHECK(guests_enter(&gs, &x[i], address(1), i));
    CHECK(!guests_enter(&gs, &x[PER_ADDRESS], address(1), 9));
    CHECK(!x[PER_ADDRESS].listed);
    CHECK(guests_enter(&gs, &other, address(2), 9));
    guests_leave(&gs, &x[1]); /* known now */
    guests_leave(&gs, &x[1]); /* closed later */
    CHECK(guests_enter(&gs, &x[PER_ADDRESS], address(1), 10));
    CHECK(gs.first == &x[0] && gs.last == &x[PER_ADDRESS]);
    guests_leave(&gs, &x[0]);
    CHECK(gs.first == &x[2]); /* the longest one */
    guests_leave(&gs, &x[2]);
    guests_leave(&gs, &x[3]);
    guests_leave(&gs, &other);
    CHECK(!gs.first && !gs.last);
    CHECK_EQ(gs.by_address.n, 0);
    guests_release(&gs);
}

TEST(guests_of_a_proxy_count_to_their_own_address)
{
    struct guest x[PER_ADDRESS + 2] = { 0 };
    struct address_ranges proxies;
    struct guests gs;

    CHECK(address_ranges_parse("10.0.0.1", &proxies));
    guests_init(&gs, &proxies, PER_ADDRESS, MAX);
    for (size_t i = 0; i < ARRAY_LEN(x); i++)
        CHECK(guests_enter(&gs, &x[i], address(1), 0));
    CHECK_EQ(gs.by_address.n, 0);
    for (int i = 0; i < PER_ADDRESS; i++)
        CHECK(guests_rename(&gs, &x[i], address(7)));
    CHECK(!guests_rename(&gs, &x[PER_ADDRESS], address(7)));
    CHECK(guests_rename(&gs, &x[PER_ADDRESS + 1], address(8)));
    CHECK(guests_rename(&gs, &x[0], address(8))); /* counts once */
    CHECK(guests_rename(&gs, &x[PER_ADDRESS], address(7)));
    for (size_t i = 0; i < ARRAY_LEN(x); i++)
        guests_leave(&gs, &x[i]);
    CHECK_EQ(gs.by_address.n, 0);
    guests_release(&gs);
}
