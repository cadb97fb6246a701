/* SPDX-License-Identifier: MIT */
#include "schemas/topics.h"
#include "sinks/status/ticks.h"
#include "tests/unit/test.h"

#include <stdlib.h>

#define ID(n) ((struct cq_id){ { (n) } })
#define SEQ(n) (((int64_t)1 << 48) + (n))
enum { A = 1, B, C, D, CHAT = 100 };

static struct ticks *fresh_ticks(struct cq_arena **ret_arena)
{
    static struct ticks *ticks;
    static struct cq_arena *arena;

    if (!ticks) {
        ticks = ticks_new();
        arena = arena_new(16 * 1024 * 1024);
    }
    ticks_clear(ticks);
    arena_reset(arena);
    *ret_arena = arena;
    return ticks;
}

static struct delivery_status status_of(uint8_t user, uint8_t peer, enum receipt_kind kind,
                                        int64_t seq, int64_t source)
{
    return (struct delivery_status){
        .chat_id = ID(CHAT),
        .source = { 1, 3, source },
        .at_ms = 1000 + source,
        .user_id = ID(user),
        .has_peer = peer != 0,
        .peer = ID(peer),
        .kind = kind,
        .seq = SEQ(seq),
    };
}

/* Users 1 to n of a group, all there since `joined`. */
static void fill_members(struct tick_chat *chat, uint8_t n, int64_t joined, struct cq_arena *arena)
{
    chat->users = ARENA_ARRAY(arena, struct tick_user, n);
    chat->stays = ARENA_ARRAY(arena, struct tick_stay, n);
    for (uint8_t i = 0; i < n; i++) {
        chat->users[i].id = ID((uint8_t)(i + 1));
        chat->stays[i] = (struct tick_stay){ i, SEQ(joined), INT64_MAX };
    }
    chat->users_n = chat->stays_n = n;
}

#define ADD(t, a, offset, quiet, ...)                                                \
    do {                                                                             \
        struct delivery_status s_ = status_of(__VA_ARGS__);                          \
        CHECK_EQ(ticks_add((t), &s_, /* part= */ 3, (offset), (quiet), (a)), CQ_OK); \
    } while (0)

TEST(what_was_read_is_told_once_for_each_device_in_a_row)
{
    struct cq_arena *arena;
    struct ticks *ticks = fresh_ticks(&arena);
    struct delivery_status other = status_of(A, B, RECEIPT_KIND_READ, 7, 14);

    other.device_id = ID(9);
    ADD(ticks, arena, 0, true, A, B, RECEIPT_KIND_READ, 2, 9); /* quiet: a rebuild tells nobody */
    ADD(ticks, arena, 1, false, A, B, RECEIPT_KIND_DELIVERED, 6, 10);
    ADD(ticks, arena, 2, false, A, B, RECEIPT_KIND_READ, 3, 11);
    ADD(ticks, arena, 3, false, A, B, RECEIPT_KIND_READ, 6, 12);
    ADD(ticks, arena, 4, false, A, B, RECEIPT_KIND_READ, 5, 13); /* nothing new */
    CHECK_EQ(ticks_add(ticks, &other, 3, 5, false, arena), CQ_OK);
    ticks_apply(ticks);
    CHECK_EQ(ticks->readings_n, 2);
    CHECK(id_eq(ticks->readings[0].user, ID(A)) && id_is_zero(ticks->readings[0].device));
    CHECK_EQ(ticks->readings[0].from, SEQ(2));
    CHECK_EQ(ticks->readings[0].to, SEQ(6));
    CHECK_EQ(ticks->readings[0].offset, 3);
    CHECK(id_eq(ticks->readings[1].device, ID(9)));
    CHECK_EQ(ticks->readings[1].from, SEQ(6));
    CHECK_EQ(ticks->readings[1].to, SEQ(7));
    ticks_clear(ticks);
    CHECK_EQ(ticks->readings_n, 0);
}

TEST(read_implies_delivered)
{
    struct cq_arena *arena;
    struct ticks *ticks = fresh_ticks(&arena);

    ADD(ticks, arena, 0, false, B, A, RECEIPT_KIND_READ, 5, 9);
    ticks_apply(ticks);
    CHECK_EQ(ticks->receipts_n, 2);
    CHECK_EQ(ticks->receipts[0].kind, TICK_DELIVERED);
    CHECK_EQ(ticks->receipts[1].kind, TICK_READ);
    CHECK_EQ(ticks->chats[0].mark[TICK_READ].low, 0);
    CHECK(id_eq(ticks->chats[0].mark[TICK_READ].low_user, ID(A)));
    CHECK_EQ(ticks->chats[0].mark[TICK_READ].next, SEQ(5));
    /* all but A have it; nothing changes for B */
    CHECK_EQ(ticks->ranges_n, 2);
    CHECK(id_eq(ticks->ranges[0].who, ID(A)));
    CHECK_EQ(ticks->ranges[0].lo, 0);
    CHECK_EQ(ticks->ranges[0].hi, SEQ(5));
}

TEST(a_hidden_read_is_the_readers_own)
{
    struct cq_arena *arena;
    struct ticks *ticks = fresh_ticks(&arena);

    ADD(ticks, arena, 0, false, B, A, RECEIPT_KIND_READ, 2, 9);
    ADD(ticks, arena, 1, false, B, A, RECEIPT_KIND_READ_HIDDEN, 5, 10);
    ticks_apply(ticks);
    CHECK_EQ(ticks->chats[0].users[0].own_read, SEQ(5));
    CHECK_EQ(ticks->chats[0].users[0].cursor[TICK_READ], SEQ(2));
    CHECK_EQ(ticks->chats[0].users[0].cursor[TICK_DELIVERED], SEQ(5));
    CHECK_EQ(ticks->chats[0].mark[TICK_READ].next, SEQ(2)); /* what was told stays so */
    CHECK_EQ(ticks->chats[0].mark[TICK_DELIVERED].next, SEQ(5));
    CHECK_EQ(ticks->readings_n, 1); /* his other devices are told of both */
    CHECK_EQ(ticks->readings[0].to, SEQ(5));
    for (size_t i = 0; i < ticks->receipts_n; i++)
        CHECK(ticks->receipts[i].kind == TICK_DELIVERED || ticks->receipts[i].seq == SEQ(2));

    /* with receipts on again: nothing by that, and all up to where he reads on */
    ticks = fresh_ticks(&arena);
    ADD(ticks, arena, 0, false, B, A, RECEIPT_KIND_READ_HIDDEN, 5, 9);
    ADD(ticks, arena, 1, false, B, A, RECEIPT_KIND_DELIVERED, 6, 10);
    ADD(ticks, arena, 2, false, B, A, RECEIPT_KIND_READ, 7, 11);
    ticks_apply(ticks);
    CHECK_EQ(ticks->chats[0].mark[TICK_READ].next, SEQ(7));
    CHECK_EQ(ticks->chats[0].users[0].own_read, SEQ(7));
    CHECK_EQ(ticks->advances[ticks->advances_n - 1].mark.next, SEQ(7));
}

TEST(an_older_receipt_moves_nothing)
{
    struct cq_arena *arena;
    struct ticks *ticks = fresh_ticks(&arena);

    ADD(ticks, arena, 0, false, B, A, RECEIPT_KIND_DELIVERED, 5, 9);
    ADD(ticks, arena, 1, false, B, A, RECEIPT_KIND_DELIVERED, 4, 10);
    ADD(ticks, arena, 2, false, B, A, RECEIPT_KIND_DELIVERED, 5, 11);
    ticks_apply(ticks);
    CHECK_EQ(ticks->receipts_n, 1);
    CHECK_EQ(ticks->advances_n, 1);
    CHECK_EQ(ticks->chats[0].offset[TICK_DELIVERED], 0);
    CHECK_EQ(ticks->chats[0].at_ms[TICK_DELIVERED], 1009);
}

TEST(a_group_waits_for_its_slowest)
{
    struct cq_arena *arena;
    struct ticks *ticks = fresh_ticks(&arena);
    struct tick_chat *chat = &ticks->chats[0];

    ADD(ticks, arena, 0, false, A, 0, RECEIPT_KIND_DELIVERED, 8, 20);
    ADD(ticks, arena, 1, false, B, 0, RECEIPT_KIND_DELIVERED, 7, 21);
    fill_members(chat, 3, 2, arena);
    ticks_apply(ticks);
    CHECK_EQ(chat->mark[0].low, SEQ(2)); /* C, who has said nothing, joined there */
    CHECK(id_eq(chat->mark[0].low_user, ID(C)));
    CHECK_EQ(chat->mark[0].next, SEQ(7));
    CHECK_EQ(tick_mark_for(&chat->mark[0], ID(A)), SEQ(2));
    CHECK_EQ(tick_mark_for(&chat->mark[0], ID(C)), SEQ(7));
}

TEST(who_leaves_is_waited_for_no_longer)
{
    struct cq_arena *arena;
    struct ticks *ticks = fresh_ticks(&arena);
    struct tick_chat *chat = &ticks->chats[0];

    ADD(ticks, arena, 0, false, A, 0, RECEIPT_KIND_DELIVERED, 8, 20);
    ADD(ticks, arena, 1, false, B, 0, RECEIPT_KIND_DELIVERED, 7, 21);
    ADD(ticks, arena, 2, false, A, 0, RECEIPT_KIND_MEMBERS, 30, 30);
    ADD(ticks, arena, 3, false, C, 0, RECEIPT_KIND_READ, 9, 31);
    fill_members(chat, 3, 2, arena);
    chat->stays[2].left = SEQ(30);
    ticks_apply(ticks);
    CHECK_EQ(chat->mark[0].low, SEQ(7));
    CHECK_EQ(chat->mark[0].next, SEQ(8));
    CHECK_EQ(chat->at_ms[0], 1030);
    CHECK(!chat->users[2].dirty); /* its receipt came after it left */
    /* generic (2,7], C once lowest (its own), B now lowest (2,8]; read: nobody read */
    for (size_t i = 0; i < ticks->ranges_n; i++)
        CHECK(ticks->ranges[i].hi > ticks->ranges[i].lo);
}

TEST(who_joins_need_not_have_what_was_before)
{
    struct cq_arena *arena;
    struct ticks *ticks = fresh_ticks(&arena);
    struct tick_chat *chat = &ticks->chats[0];

    ADD(ticks, arena, 0, false, A, 0, RECEIPT_KIND_MEMBERS, 30, 30);
    ADD(ticks, arena, 1, false, C, 0, RECEIPT_KIND_DELIVERED, 25,
        31); /* before its time: no advance */
    fill_members(chat, 3, 2, arena);
    chat->stays[2].joined = SEQ(30);
    chat->users[0].cursor[0] = SEQ(20);
    chat->users[1].cursor[0] = SEQ(21);
    chat->mark[0] = (struct tick_mark){ SEQ(20), ID(A), SEQ(21) };
    ticks_apply(ticks);
    CHECK_EQ(chat->mark[0].low, SEQ(20));
    CHECK_EQ(chat->mark[0].next, SEQ(21));
    CHECK(!chat->moved[0]);
    CHECK_EQ(ticks->receipts_n, 0);
}

TEST(alone_nobody_waits)
{
    struct cq_arena *arena;
    struct ticks *ticks = fresh_ticks(&arena);
    struct tick_chat *chat = &ticks->chats[0];

    ADD(ticks, arena, 0, false, B, 0, RECEIPT_KIND_MEMBERS, 30, 30);
    fill_members(chat, 2, 2, arena);
    chat->stays[1].left = SEQ(30);
    chat->mark[0] = (struct tick_mark){ SEQ(5), ID(A), SEQ(6) };
    ticks_apply(ticks);
    CHECK(!chat->moved[0]);
    CHECK_EQ(chat->mark[0].low, SEQ(5));
}

TEST(a_tie_is_decided_by_id_not_by_who_came_first)
{
    for (uint8_t first = A; first <= B; first++) {
        struct cq_arena *arena;
        struct ticks *ticks = fresh_ticks(&arena);

        ADD(ticks, arena, 0, false, first, (uint8_t)(A + B - first), RECEIPT_KIND_READ, 5, 9);
        ADD(ticks, arena, 1, false, (uint8_t)(A + B - first), first, RECEIPT_KIND_READ, 5, 10);
        ticks_apply(ticks);
        CHECK(id_eq(ticks->chats[0].mark[TICK_READ].low_user, ID(A)));
        CHECK_EQ(ticks->chats[0].mark[TICK_READ].next, SEQ(5));
    }
}

TEST(marks_do_not_go_back_whatever_the_log_says)
{
    struct cq_arena *arena;
    struct ticks *ticks = fresh_ticks(&arena);
    struct tick_chat *chat = &ticks->chats[0];

    ADD(ticks, arena, 0, false, A, 0, RECEIPT_KIND_MEMBERS, 30, 30);
    fill_members(chat, 3, 2, arena);
    chat->mark[TICK_READ] = (struct tick_mark){ SEQ(20), ID(A), SEQ(21) };
    ticks_apply(ticks);
    CHECK(!chat->moved[TICK_READ]);
    CHECK_EQ(chat->mark[TICK_READ].low, SEQ(20));
    CHECK(chat->moved[TICK_DELIVERED]);
}

TEST(a_replay_of_a_rebuild_tells_nobody)
{
    struct cq_arena *arena;
    struct ticks *ticks = fresh_ticks(&arena);

    ADD(ticks, arena, 0, true, B, A, RECEIPT_KIND_DELIVERED, 5, 9);
    ticks_apply(ticks);
    CHECK_EQ(ticks->advances_n, 1);
    CHECK_EQ(ticks->ranges_n, 0);

    ticks = fresh_ticks(&arena); /* and only what is new is told when both stand in one turn */
    ADD(ticks, arena, 0, true, B, A, RECEIPT_KIND_DELIVERED, 5, 9);
    ADD(ticks, arena, 1, false, B, A, RECEIPT_KIND_DELIVERED, 6, 10);
    ticks_apply(ticks);
    CHECK_EQ(ticks->ranges_n, 1);
    CHECK_EQ(ticks->ranges[0].lo, SEQ(5));
    CHECK_EQ(ticks->ranges[0].hi, SEQ(6));
}

TEST(what_speaks_of_the_future_is_poison)
{
    struct cq_arena *arena;
    struct ticks *ticks = fresh_ticks(&arena);
    struct delivery_status status = status_of(B, A, RECEIPT_KIND_READ, 10, 9);

    CHECK_EQ(ticks_add(ticks, &status, 3, 0, false, arena), CQ_POISON);
    CHECK_EQ(ticks->recs_n, 0);
}

TEST(a_turn_has_a_maximum)
{
    struct cq_arena *arena;
    struct ticks *ticks = fresh_ticks(&arena);
    struct delivery_status status = status_of(B, A, RECEIPT_KIND_READ, 1, 9);

    for (int i = 0; i < TICKS_RECORDS_MAX; i++)
        CHECK_EQ(ticks_add(ticks, &status, 3, i, false, arena), CQ_OK);
    CHECK_EQ(ticks_add(ticks, &status, 3, TICKS_RECORDS_MAX, false, arena), CQ_AGAIN);

    ticks = fresh_ticks(&arena);
    status = status_of(B, 0, RECEIPT_KIND_READ, 1, 9);
    for (int i = 0; i < TICKS_GROUPS_MAX; i++) {
        status.chat_id.b[14] = (uint8_t)(i >> 8);
        status.chat_id.b[15] = (uint8_t)i;
        CHECK_EQ(ticks_add(ticks, &status, 3, i, false, arena), CQ_OK);
    }
    status.chat_id.b[13] = 1;
    CHECK_EQ(ticks_add(ticks, &status, 3, 9999, false, arena), CQ_AGAIN);
}

/* ---- any cut of the log into turns gives the same rows -------------------------------- */

enum { STEPS = 400, USERS = 5 };

struct world {
    struct tick_user users[USERS];
    struct tick_mark mark[TICK_KINDS];
    struct tick_stay stays[2 * USERS];
    size_t stays_n;
    uint64_t receipts_hash, advances_hash; /* of all of them, in order */
    struct tick_mark seen[USERS][TICK_KINDS];
};

static uint64_t mix(uint64_t h, int64_t v)
{
    return (h ^ (uint64_t)v) * 0x9E3779B97F4A7C15ull;
}

static void load(struct tick_chat *chat, struct world *world)
{
    chat->users = world->users;
    chat->users_n = USERS;
    chat->stays = world->stays;
    chat->stays_n = world->stays_n;
    memcpy(chat->mark, world->mark, sizeof world->mark);
}

static bool save(struct ticks *ticks, struct world *world)
{
    const struct tick_chat *chat = &ticks->chats[0];

    for (size_t i = 0; i < ticks->receipts_n; i++)
        world->receipts_hash =
            mix(mix(world->receipts_hash, ticks->receipts[i].seq), ticks->receipts[i].kind);
    for (size_t i = 0; i < ticks->advances_n; i++) {
        const struct tick_advance *advance = &ticks->advances[i];

        world->advances_hash =
            mix(mix(world->advances_hash, advance->mark.low), advance->mark.next);
        world->advances_hash =
            mix(mix(world->advances_hash, advance->mark.low_user.b[0]), advance->at_ms);
        /* for nobody it ever goes back */
        for (int user = 0; user < USERS; user++) {
            if (tick_mark_for(&advance->mark, world->users[user].id) <
                tick_mark_for(&world->seen[user][advance->kind], world->users[user].id))
                return false;
            world->seen[user][advance->kind] = advance->mark;
        }
    }
    memcpy(world->mark, chat->mark, sizeof world->mark);
    return true;
}

static struct delivery_status random_status(int i)
{
    uint8_t user = (uint8_t)(1 + rand() % USERS);
    int64_t source = 10 + i;

    if (rand() % 20 == 0)
        return status_of(user, 0, RECEIPT_KIND_MEMBERS, source, source);
    static const enum receipt_kind kinds[] = { RECEIPT_KIND_READ, RECEIPT_KIND_READ,
                                               RECEIPT_KIND_DELIVERED, RECEIPT_KIND_DELIVERED,
                                               RECEIPT_KIND_READ_HIDDEN };

    return status_of(user, 0, kinds[(size_t)rand() % ARRAY_LEN(kinds)], 3 + rand() % (7 + i),
                     source);
}

static bool play(struct world *world, unsigned seed, int turn)
{
    *world = (struct world){ .receipts_hash = 1, .advances_hash = 1 };
    srand(seed);
    for (uint8_t user = 0; user < USERS; user++) {
        int64_t left = rand() % 2 ? INT64_MAX : SEQ(10 + rand() % STEPS);

        world->users[user].id = ID((uint8_t)(user + 1));
        world->stays[world->stays_n++] = (struct tick_stay){ user, SEQ(2), left };
        if (left != INT64_MAX && rand() % 2)
            world->stays[world->stays_n++] =
                (struct tick_stay){ user, left + 1 + rand() % 50, INT64_MAX };
    }
    for (int i = 0; i < STEPS;) {
        struct cq_arena *arena;
        struct ticks *ticks = fresh_ticks(&arena);

        for (int step = 0; step < turn && i < STEPS; step++, i++) {
            struct delivery_status status = random_status(i);

            if (ticks_add(ticks, &status, 3, i, false, arena) != CQ_OK)
                return false;
        }
        load(&ticks->chats[0], world);
        ticks_apply(ticks);
        if (!save(ticks, world))
            return false;
    }
    return true;
}

TEST(the_cut_into_turns_does_not_matter)
{
    static const int turns[] = { 1, 2, 7, 50, STEPS };
    static struct world first, other;

    for (unsigned seed = 1; seed <= 200; seed++)
        for (size_t cut = 0; cut < ARRAY_LEN(turns); cut++) {
            struct world *world = cut ? &other : &first;

            CHECK(play(world, seed, turns[cut]));
            if (!cut)
                continue;
            CHECK(other.receipts_hash != 1 && other.advances_hash != 1);
            CHECK_EQ(other.receipts_hash, first.receipts_hash);
            CHECK_EQ(other.advances_hash, first.advances_hash);
            CHECK_EQ(memcmp(other.mark, first.mark, sizeof first.mark), 0);
            CHECK_EQ(
                memcmp(other.users[0].cursor, first.users[0].cursor, sizeof first.users[0].cursor),
                0);
            CHECK_EQ(other.users[0].own_read, first.users[0].own_read);
        }
}
