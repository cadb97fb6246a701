/* SPDX-License-Identifier: MIT */
/*
 * A stage that is killed again and again, as a process of its own on a broker made of paper. Two
 * worlds side by side, because each death costs the seconds in which the group finds out.
 */
#include "tests/unit/test.h"

#include "lib/base/count.h"
#include "lib/bus/suspect.h"
#include "tests/unit/bus_world.h"

/* A start whose note could not be stored, which a busy machine can bring about, counts for nothing:
 * then there are a few more. */
enum { DEATHS = SUSPECT_STARTS + SUSPECT_KILLS, DEATHS_MORE = 2 };

/* How often a stage still dies of the record before that is a dead letter; -1: too often, or of
 * something else. */
static int die_until_dead_letter(struct bus_world *world)
{
    for (int deaths = 0; deaths <= DEATHS_MORE; deaths++) {
        pid_t pid = paper_spawn(world, false);
        int status = 0;

        if (!EVENTUALLY(waitpid(pid, &status, WNOHANG) == pid || world_committed(world) == 3))
            return -1;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
            continue;
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        return deaths;
    }
    return -1;
}

TEST(who_is_accused_of_a_death)
{
    struct bus_world guilty, innocent;
    struct paper_stage guilty_stage = { 0 }, innocent_stage = { 0 };

    world_open(&guilty);
    world_open(&innocent);
    CHECK(world_put(&guilty, "good before"));
    CHECK(world_put(&guilty, "killer"));
    CHECK(world_put(&guilty, "good after"));
    CHECK(world_put(&innocent, "one"));
    for (int n = 0; n < DEATHS; n++) {
        pid_t guilty_pid = paper_spawn(&guilty, false), innocent_pid = paper_spawn(&innocent, true);

        CHECK_EQ(paper_await(guilty_pid), SIGKILL);
        CHECK_EQ(paper_await(innocent_pid), SIGKILL); /* every report was in, the commit was not */
        CHECK_EQ(world_count(&innocent, "out", 0), n + 1);
        CHECK_EQ(world_count(&innocent, "out", 1), n + 1);
        CHECK_EQ(world_committed(&innocent), 0);
    }
    CHECK_EQ(world_count(&guilty, "in.dlq", 0), 0);
    CHECK(die_until_dead_letter(&guilty) >= 0);
    CHECK(paper_start(&guilty_stage, &guilty));
    CHECK(paper_start(&innocent_stage, &innocent));

    CHECK(EVENTUALLY(world_committed(&guilty) == 3));
    CHECK_EQ(world_count(&guilty, "in.dlq", 0), 1);
    /* what went before it may be done more than once, it never less than once */
    CHECK(world_count(&guilty, "out", 0) >= 2);
    CHECK_EQ(world_count(&guilty, "out", 0), world_count(&guilty, "out", 1));

    CHECK(EVENTUALLY(world_committed(&innocent) == 1));
    CHECK_EQ(world_count(&innocent, "out", 0), DEATHS + 1);
    CHECK_EQ(world_count(&innocent, "in.dlq", 0), 0);
    paper_end(&guilty_stage);
    paper_end(&innocent_stage);
    world_close(&guilty);
    world_close(&innocent);
}

TEST(the_front_of_a_commits_text)
{
    struct suspect suspect = { .starts = 2, .at = 12345678901, .kills = 3 }, got;
    char text[SUSPECT_TEXT_MAX + 16];
    size_t n = suspect_format(&suspect, text);

    memcpy(text + n, "f1.2,3|f1.", 11);
    CHECK_STR(suspect_parse(text, &got), "f1.2,3|f1.");
    CHECK_EQ(got.starts, 2);
    CHECK_EQ(got.at, 12345678901);
    CHECK_EQ(got.kills, 3);
    CHECK_EQ(suspect_format(&SUSPECT_NONE, text), 0);
    static const char *const others[] = { "",         "f1.2,3|",       "!",       "!1",
                                          "!1,2",     "!1,2,3",        "!x,2,3;", "!-1,2,3;",
                                          "!1,-2,3;", "!1,2,99999999;" };
    for (size_t row = 0; row < sizeof others / sizeof *others; row++) {
        CHECK_STR(suspect_parse(others[row], &got), others[row]);
        CHECK_EQ(got.starts, 0);
        CHECK_EQ(got.at, -1);
    }
}

/* A record before the suspect is stepped again at each start where the commit does not move: the
 * suspect keeps its notes meanwhile. */
TEST(two_records_have_notes)
{
    struct suspect suspect = SUSPECT_NONE, got;
    char text[SUSPECT_TEXT_MAX];

    suspect.starts = 3;
    suspect_enter(&suspect, 7);
    suspect_format(&suspect, text);
    CHECK_STR(text, "!3,7,1;");
    suspect_found(&suspect); /* it died in that step */
    suspect_format(&suspect, text);
    CHECK_STR(text, "!3,7,1;");
    suspect_enter(&suspect, 5);
    suspect_format(&suspect, text);
    CHECK_STR(text, "!3,5,1,7,1;");
    CHECK_STR(suspect_parse(text, &got), "");
    CHECK_EQ(got.at, 5);
    CHECK_EQ(got.worst_at, 7);
    suspect_leave(&suspect, true);
    suspect_enter(&suspect, 7);
    suspect_format(&suspect, text);
    CHECK_STR(text, "!3,7,2;");
    suspect_found(&suspect);
    CHECK_EQ(suspect.worst_kills, 2);
    suspect_found(&got); /* died in the step of the earlier one: that is reached first */
    CHECK_EQ(got.worst_at, 5);
    CHECK_EQ(got.worst_kills, 1);
    suspect_enter(&suspect, 7);
    suspect_leave(&suspect, false); /* it lived through one of its steps */
    suspect_format(&suspect, text);
    CHECK_STR(text, "!3,7,2;");
    suspect_passed(&suspect, 7); /* what is before it is done */
    suspect_enter(&suspect, 7);
    suspect_leave(&suspect, true); /* it lived */
    suspect_format(&suspect, text);
    CHECK_STR(text, "!3,-1,0;");
    suspect_passed(&got, 6);
    CHECK_EQ(got.worst_kills, 0);
}
