/* SPDX-License-Identifier: MIT */
#include "sinks/media/works.h"

#include "test.h"

static struct works works;

static struct work *add(int32_t partition, int64_t offset, int who)
{
    struct work *work = works_add(&works);
    struct cq_id owner = { { (uint8_t)who, (uint8_t)(who >> 8) } };

    work->partition = partition;
    work->offset = offset;
    if (line_join(&works.line, owner, 0, &work->place) != LINE_TAKEN)
        work->place = -1;
    return work;
}

static void begin(void)
{
    works = (struct works){ 0 };
    line_init(&works.line, 30000, 8);
}

/* The commit stands before the oldest that is not done, whatever the order of the ends. */
TEST(the_commit_follows_the_oldest)
{
    struct work *older, *newer;

    begin();
    CHECK_EQ(works_undone(&works, 0, 100), 100);
    older = add(0, 10, 1);
    newer = add(0, 20, 2);
    add(1, 5, 3);
    CHECK_EQ(works_undone(&works, 0, 21), 10);
    works_remove(&works, newer);
    CHECK_EQ(works_undone(&works, 0, 21), 10);
    older->state = WORK_TOLD; /* not yet stored, as far as is known */
    CHECK_EQ(works_undone(&works, 0, 21), 10);
    works_remove(&works, older);
    CHECK_EQ(works_undone(&works, 0, 21), 21);
    CHECK_EQ(works_undone(&works, 1, 6), 5);
}

TEST(a_partition_that_goes)
{
    struct work *waits, *works_now, *told, *other;
    int32_t place;

    begin();
    works_now = add(0, 1, 1);
    place = line_next(&works.line, 0);
    CHECK_EQ(place, works_now->place);
    waits = add(0, 2, 2);
    told = add(0, 3, 3);
    line_leave(&works.line, told->place);
    told->place = -1;
    told->state = WORK_TOLD;
    other = add(1, 4, 4);
    works_drop(&works, 0);
    CHECK_EQ(waits->state, WORK_FREE);
    CHECK(works_now->dropped && told->dropped && !other->dropped);
    CHECK_EQ(works_undone(&works, 0, 50), 50);
    CHECK(works_at(&works, place) == works_now);
    works_remove(&works, works_now);
    works_remove(&works, told);
    CHECK_EQ(works.n, 1);
    CHECK_EQ(works.line.n, 1);
}

TEST(bounds)
{
    begin();
    for (int i = 0; i < LINE_MAX; i++) {
        CHECK(works_room(&works));
        add(0, i, i);
    }
    CHECK(!works_room(&works)); /* the line is full */
    for (int i = 0; i < LINE_MAX; i++) {
        line_leave(&works.line, works.v[i].place);
        works.v[i].place = -1;
        works.v[i].state = WORK_TELL;
    }
    for (int i = LINE_MAX; i < WORKS_MAX; i++) {
        CHECK(works_room(&works));
        add(0, i, i)->state = WORK_TELL;
    }
    CHECK(!works_room(&works));
    CHECK_EQ(works.n, WORKS_MAX);
}

/* A client that asks again before the view knows makes the fact many times: they are one file, or
 * the bound of its owner would refuse it. */
TEST(a_file_is_at_hand_once)
{
    const struct cq_id media = { { 7 } }, other = { { 8 } };
    struct work *work;

    begin();
    CHECK(!works_has(&works, media));
    work = add(0, 1, 1);
    work->media = media;
    CHECK(works_has(&works, media));
    CHECK(!works_has(&works, other));
    work->state = WORK_TOLD;
    CHECK(works_has(&works, media));
    work->dropped = true; /* its partition went, and came back: it is to be done again */
    CHECK(!works_has(&works, media));
    works_remove(&works, work);
    CHECK(!works_has(&works, media));
}
