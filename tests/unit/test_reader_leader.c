/* SPDX-License-Identifier: MIT */
/*
 * A partition that changes its leader is asked again.
 */
#include "lib/bus/bus.h"
#include "tests/unit/bus_world.h"
#include "tests/unit/test.h"

enum { API_LIST_OFFSETS = 2, ERRORS = 9 };

TEST(ends_are_asked_again_while_the_leader_changes)
{
    struct bus_world world;
    struct reader *reader;
    int64_t first = -1, next = -1;

    world_open(&world);
    CHECK(world_put(&world, "one"));
    CHECK_EQ(reader_new(world.brokers, &reader), CQ_OK);
    for (int i = 0; i < ERRORS; i++)
        rd_kafka_mock_push_request_errors(world.cluster, API_LIST_OFFSETS, 1,
                                          RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    CHECK_EQ(reader_watermarks(reader, "in", 0, &first, &next), CQ_OK);
    CHECK_EQ(first, 0);
    CHECK_EQ(next, 1);
    reader_free(reader);
    world_close(&world);
}
