/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/slots.h"
#include "tests/unit/test.h"

static void read_one(struct slots *slots, int32_t i, int64_t offset)
{
    uint64_t ticket;

    if (window_add(&slots->slot[i].window, offset, &ticket) == CQ_OK)
        window_close(&slots->slot[i].window, ticket);
}

TEST(slots_are_packed_first_and_then_levelled)
{
    struct slots slots;
    bool same;

    CHECK_EQ(slots_init(&slots, 4), CQ_OK);
    CHECK_EQ(slots_pick(&slots), -1);
    slots_assigned(&slots, 1, -1, &same);
    slots_assigned(&slots, 3, -1, &same);
    CHECK_EQ(slots.ours_n, 2);
    CHECK_EQ(slots_pick(&slots), 1);
    slots.slot[3].sessions_n = 2;
    CHECK_EQ(slots_pick(&slots), 3); /* the fuller one */
    slots.slot[3].sessions_n = SLOT_PACK;
    CHECK_EQ(slots_pick(&slots), 1); /* until it is packed */
    slots.slot[1].sessions_n = SLOT_PACK + 5;
    CHECK_EQ(slots_pick(&slots), 3); /* then the one with the fewest */
    slots.slot[3].sessions_n = SLOT_PACK + 6;
    CHECK_EQ(slots_pick(&slots), 1);
    slots_park(&slots, 3, 0);
    CHECK_EQ(slots_pick(&slots), 1);
    CHECK_EQ(slots.ours_n, 1);
    slots_release(&slots);
}

TEST(slots_begin_at_the_commit_or_the_logs_start)
{
    struct slots slots;
    int64_t position;
    bool same;

    CHECK_EQ(slots_init(&slots, 2), CQ_OK);
    CHECK_EQ(slots_assigned(&slots, 0, -1, &same), -1);
    CHECK_EQ(slots_assigned(&slots, 1, 57, &same), 57);
    CHECK(!slots_dirty(&slots, 0, &position));
    CHECK(!slots_dirty(&slots, 1, &position));
    read_one(&slots, 1, 57);
    CHECK(slots_dirty(&slots, 1, &position));
    CHECK_EQ(position, 58);
    slots_release(&slots);
}

/* What a rebalance does to a slot with sessions on it. */
TEST(slots_that_come_back_go_on)
{
    static const struct {
        const char *name;
        bool read;         /* offset 57 was read and is done with */
        bool parked;       /* else it went away */
        int64_t committed; /* at the new assignment */
        int64_t from;
        bool same;
    } rows[] = {
        { "back with our commit", true, true, 58, 58, true },
        { "back, our last commit was lost", true, true, 57, 58, true },
        { "somebody else committed on", true, true, 60, 60, false },
        { "nothing was read", false, true, 57, 57, true },
        { "went away and came back", true, false, 58, 58, false },
    };
    for (size_t row = 0; row < ARRAY_LEN(rows); row++) {
        struct slots slots;
        bool same;

        CHECK_EQ(slots_init(&slots, 1), CQ_OK);
        slots_assigned(&slots, 0, 57, &same);
        if (rows[row].read)
            read_one(&slots, 0, 57);
        slots.slot[0].sessions_n = 1;
        if (rows[row].parked)
            slots_park(&slots, 0, 0);
        else
            slots_away(&slots, 0);
        CHECK_EQ_ROW(rows[row].name, slots_assigned(&slots, 0, rows[row].committed, &same),
                     rows[row].from);
        CHECK_EQ_ROW(rows[row].name, same, rows[row].same);
        slots_release(&slots);
    }
}

TEST(slots_keep_open_records_over_a_parking)
{
    struct slots slots;
    uint64_t ticket;
    int64_t position;
    bool same;

    CHECK_EQ(slots_init(&slots, 1), CQ_OK);
    slots_assigned(&slots, 0, 10, &same);
    CHECK_EQ(window_add(&slots.slot[0].window, 10, &ticket), CQ_OK);
    read_one(&slots, 0, 11);
    slots_park(&slots, 0, 0);
    CHECK(!slots_dirty(&slots, 0, &position)); /* not ours to commit now */
    window_close(&slots.slot[0].window, ticket);
    CHECK_EQ(slots_assigned(&slots, 0, 10, &same), 12);
    CHECK(same);
    CHECK(slots_dirty(&slots, 0, &position));
    CHECK_EQ(position, 12);
    slots_release(&slots);
}
