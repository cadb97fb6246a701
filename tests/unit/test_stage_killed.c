/* SPDX-License-Identifier: MIT */
/*
 * A stage that is killed, as a process of its own on a broker made of paper.
 */
#include "tests/unit/test.h"

#include "tests/unit/bus_world.h"

TEST(killed_between_report_and_commit_it_repeats)
{
    struct bus_world w;
    struct paper_stage p = { 0 };

    world_open(&w);
    CHECK(world_put(&w, "one"));
    CHECK_EQ(paper_killed(&w, true), SIGKILL);
    CHECK_EQ(world_count(&w, "out", 0), 1);
    CHECK_EQ(world_count(&w, "out", 1), 1);
    CHECK_EQ(world_committed(&w), -1);
    CHECK(paper_start(&p, &w));
    CHECK(EVENTUALLY(world_committed(&w) == 1));
    CHECK_EQ(world_count(&w, "out", 0), 2);
    CHECK_EQ(world_count(&w, "out", 1), 2);
    paper_end(&p);
    world_close(&w);
}
