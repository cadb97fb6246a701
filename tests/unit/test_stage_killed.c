/* SPDX-License-Identifier: MIT */
/*
 * A stage that is killed again and again, as a process of its own on a broker made of paper. Two
 * worlds side by side, because each death costs the seconds in which the group finds out.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "lib/bus/suspect.h"
#include "tests/unit/bus_world.h"

enum { DEATHS = SUSPECT_STARTS + SUSPECT_KILLS };

TEST(who_is_accused_of_a_death)
{
    struct bus_world guilty, innocent;
    struct paper_stage g = { 0 }, i = { 0 };
    int64_t killers = count_get(COUNT_KILLERS);

    world_open(&guilty);
    world_open(&innocent);
    CHECK(world_put(&guilty, "good before"));
    CHECK(world_put(&guilty, "killer"));
    CHECK(world_put(&guilty, "good after"));
    CHECK(world_put(&innocent, "one"));
    for (int n = 0; n < DEATHS; n++) {
        pid_t a = paper_spawn(&guilty, false), b = paper_spawn(&innocent, true);

        CHECK_EQ(paper_await(a), SIGKILL);
        CHECK_EQ(paper_await(b), SIGKILL); /* every report was in, the commit was not */
        CHECK_EQ(world_count(&innocent, "out", 0), n + 1);
        CHECK_EQ(world_count(&innocent, "out", 1), n + 1);
        CHECK_EQ(world_committed(&innocent), 0);
    }
    CHECK_EQ(world_count(&guilty, "in.dlq", 0), 0);
    CHECK(paper_start(&g, &guilty));
    CHECK(paper_start(&i, &innocent));

    CHECK(EVENTUALLY(world_committed(&guilty) == 3));
    CHECK_EQ(world_count(&guilty, "in.dlq", 0), 1);
    CHECK_EQ(count_get(COUNT_KILLERS), killers + 1);
    /* what went before it may be done more than once, it never less than once */
    CHECK(world_count(&guilty, "out", 0) >= 2);
    CHECK_EQ(world_count(&guilty, "out", 0), world_count(&guilty, "out", 1));

    CHECK(EVENTUALLY(world_committed(&innocent) == 1));
    CHECK_EQ(world_count(&innocent, "out", 0), DEATHS + 1);
    CHECK_EQ(world_count(&innocent, "in.dlq", 0), 0);
    paper_end(&g);
    paper_end(&i);
    world_close(&guilty);
    world_close(&innocent);
}

TEST(the_front_of_a_commits_text)
{
    struct suspect s = { 2, 12345678901, 3 }, got;
    char text[SUSPECT_TEXT_MAX + 16];
    size_t n = suspect_format(&s, text);

    memcpy(text + n, "f1.2,3|f1.", 11);
    CHECK_STR(suspect_parse(text, &got), "f1.2,3|f1.");
    CHECK_EQ(got.starts, 2);
    CHECK_EQ(got.at, 12345678901);
    CHECK_EQ(got.kills, 3);
    CHECK_EQ(suspect_format(&(struct suspect){ 0, -1, 0 }, text), 0);
    static const char *const others[] = { "",         "f1.2,3|",       "!",       "!1",
                                          "!1,2",     "!1,2,3",        "!x,2,3;", "!-1,2,3;",
                                          "!1,-2,3;", "!1,2,99999999;" };
    for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
        CHECK_STR(suspect_parse(others[k], &got), others[k]);
        CHECK_EQ(got.starts, 0);
        CHECK_EQ(got.at, -1);
    }
}
