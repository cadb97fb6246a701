/* SPDX-License-Identifier: MIT */
#include "sinks/media/line.h"

#include "test.h"

static struct line line;

static struct cq_id user(int i)
{
    return (struct cq_id){ { (uint8_t)i, (uint8_t)(i >> 8), 1 } };
}

static int32_t join(int who, int64_t now_ms)
{
    int32_t place = -1;

    return line_join(&line, user(who), now_ms, &place) == LINE_TAKEN ? place : -1;
}

/* One user's five large pictures are in line, two processes are at work: a stranger's is next. */
TEST(a_stranger_does_not_wait)
{
    int32_t first, stranger;

    line_init(&line, 30000, 1);
    for (int i = 0; i < 5; i++)
        CHECK(join(1, 0) >= 0);
    first = line_next(&line, 0);
    CHECK(first >= 0);
    CHECK_EQ(line_next(&line, 0), -1); /* the other process stays for others */
    stranger = join(2, 10);
    CHECK_EQ(line_next(&line, 10), stranger);
    line_charge(&line, first, 8000, 8000);
    line_leave(&line, first);
    CHECK(line_next(&line, 8000) >= 0);
    CHECK_EQ(line.n, 5);
    CHECK_EQ(line.working, 2);
}

TEST(owners_take_turns)
{
    int32_t order[6];

    line_init(&line, 30000, 1);
    for (int i = 0; i < 3; i++)
        order[i] = join(1, 0);
    for (int i = 3; i < 6; i++)
        order[i] = join(2, 0);
    for (int i = 0; i < 3; i++) { /* one process */
        int32_t first = line_next(&line, 0), second;

        CHECK_EQ(first, order[i]);
        line_leave(&line, first);
        second = line_next(&line, 0);
        CHECK_EQ(second, order[3 + i]);
        line_leave(&line, second);
    }
    CHECK_EQ(line.n, 0);
}

/* At the bound of the budget: what is left may be overdrawn once, then it has to grow again. */
TEST(a_budget_a_minute)
{
    int32_t place;

    line_init(&line, 30000, 2);
    place = join(1, 0);
    CHECK_EQ(line_next(&line, 0), place);
    line_charge(&line, place, 29999, 0);
    line_leave(&line, place);
    place = join(1, 0);
    CHECK_EQ(line_next(&line, 0), place); /* 1 ms is left */
    line_charge(&line, place, 15001, 0);  /* 15 s too much: half a minute */
    line_leave(&line, place);
    place = join(1, 0);
    CHECK_EQ(line_next(&line, 30000), -1);
    CHECK_EQ(line_next(&line, 30002), place);
    line_leave(&line, place);
    place = join(1, 1000000); /* long rest: no more than one minute's budget is saved up */
    line_charge(&line, place, 30000, 1000000);
    CHECK_EQ(line_next(&line, 1000000), -1);
    line_leave(&line, place);
}

/* A clock that steps back gives nothing and takes nothing. */
TEST(time_does_not_run_back)
{
    int32_t place;

    line_init(&line, 30000, 1);
    place = join(1, 50000);
    line_charge(&line, place, 10000, 50000);
    line_charge(&line, place, 0, 40000);
    CHECK_EQ(line.owners[line.places[place].owner].left_ms, 20000);
    CHECK_EQ(line_next(&line, 0), place);
}

TEST(bounds)
{
    int32_t place;

    line_init(&line, 30000, 1);
    for (int i = 0; i < LINE_OWNER_MAX; i++)
        CHECK(join(1, 0) >= 0);
    CHECK_EQ(line_join(&line, user(1), 0, &place), LINE_TOO_MANY);
    for (int i = LINE_OWNER_MAX; i < LINE_MAX; i++)
        CHECK(join(2 + i, 0) >= 0);
    CHECK(line_is_full(&line));
    CHECK_EQ(line_join(&line, user(1), 0, &place), LINE_FULL);
    CHECK_EQ(line_join(&line, user(9999), 0, &place), LINE_FULL);
    for (int i = 0; i < LINE_MAX; i++)
        line_leave(&line, i);
    CHECK_EQ(line.n, 0);
}

/* More owners than are remembered: whoever owes most is remembered longest. */
TEST(debts_are_remembered)
{
    int32_t place = -1;

    line_init(&line, 30000, 1);
    place = join(1, 0);
    line_charge(&line, place, 60000, 0);
    line_leave(&line, place);
    for (int i = 0; i < 3 * LINE_OWNERS; i++) {
        place = join(2 + i, 0);
        line_charge(&line, place, 1, 0);
        line_leave(&line, place);
    }
    place = join(1, 1);
    CHECK(place >= 0);
    CHECK_EQ(line_next(&line, 1), -1);
}

TEST(what_waits_or_rests_is_not_next)
{
    int32_t place;

    line_init(&line, 30000, 1);
    place = join(1, 0);
    CHECK_EQ(line_next(&line, 0), place);
    line_wait(&line, place, 1000);
    CHECK_EQ(line_next(&line, 999), -1);
    CHECK_EQ(line_next(&line, 1000), place);
    line_rest(&line, place);
    CHECK_EQ(line_next(&line, 1000000), -1);
    CHECK_EQ(line.working, 0);
    CHECK_EQ(line.n, 1);
    line_leave(&line, place);
    CHECK_EQ(line.n, 0);
}
