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
    static struct ticks *t;
    static struct cq_arena *a;

    if (!t) {
        t = ticks_new();
        a = arena_new(16 * 1024 * 1024);
    }
    ticks_clear(t);
    arena_reset(a);
    *ret_arena = a;
    return t;
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
static void fill_members(struct tick_chat *c, uint8_t n, int64_t joined, struct cq_arena *a)
{
    c->users = ARENA_ARRAY(a, struct tick_user, n);
    c->stays = ARENA_ARRAY(a, struct tick_stay, n);
    for (uint8_t i = 0; i < n; i++) {
        c->users[i].id = ID((uint8_t)(i + 1));
        c->stays[i] = (struct tick_stay){ i, SEQ(joined), INT64_MAX };
    }
    c->users_n = c->stays_n = n;
}

#define ADD(t, a, offset, quiet, ...)                                                \
    do {                                                                             \
        struct delivery_status s_ = status_of(__VA_ARGS__);                          \
        CHECK_EQ(ticks_add((t), &s_, /* part= */ 3, (offset), (quiet), (a)), CQ_OK); \
    } while (0)

TEST(what_was_read_is_told_once_for_each_device_in_a_row)
{
    struct cq_arena *a;
    struct ticks *t = fresh_ticks(&a);
    struct delivery_status other = status_of(A, B, RECEIPT_KIND_READ, 7, 14);

    other.device_id = ID(9);
    ADD(t, a, 0, true, A, B, RECEIPT_KIND_READ, 2, 9); /* quiet: a rebuild tells nobody */
    ADD(t, a, 1, false, A, B, RECEIPT_KIND_DELIVERED, 6, 10);
    ADD(t, a, 2, false, A, B, RECEIPT_KIND_READ, 3, 11);
    ADD(t, a, 3, false, A, B, RECEIPT_KIND_READ, 6, 12);
    ADD(t, a, 4, false, A, B, RECEIPT_KIND_READ, 5, 13); /* nothing new */
    CHECK_EQ(ticks_add(t, &other, 3, 5, false, a), CQ_OK);
    ticks_apply(t);
    CHECK_EQ(t->readings_n, 2);
    CHECK(id_eq(t->readings[0].user, ID(A)) && id_is_zero(t->readings[0].device));
    CHECK_EQ(t->readings[0].from, SEQ(2));
    CHECK_EQ(t->readings[0].to, SEQ(6));
    CHECK_EQ(t->readings[0].offset, 3);
    CHECK(id_eq(t->readings[1].device, ID(9)));
    CHECK_EQ(t->readings[1].from, SEQ(6));
    CHECK_EQ(t->readings[1].to, SEQ(7));
    ticks_clear(t);
    CHECK_EQ(t->readings_n, 0);
}

TEST(read_implies_delivered)
{
    struct cq_arena *a;
    struct ticks *t = fresh_ticks(&a);

    ADD(t, a, 0, false, B, A, RECEIPT_KIND_READ, 5, 9);
    ticks_apply(t);
    CHECK_EQ(t->receipts_n, 2);
    CHECK_EQ(t->receipts[0].kind, TICK_DELIVERED);
    CHECK_EQ(t->receipts[1].kind, TICK_READ);
    CHECK_EQ(t->chats[0].mark[TICK_READ].low, 0);
    CHECK(id_eq(t->chats[0].mark[TICK_READ].low_user, ID(A)));
    CHECK_EQ(t->chats[0].mark[TICK_READ].next, SEQ(5));
    /* all but A have it; nothing changes for B */
    CHECK_EQ(t->ranges_n, 2);
    CHECK(id_eq(t->ranges[0].who, ID(A)));
    CHECK_EQ(t->ranges[0].lo, 0);
    CHECK_EQ(t->ranges[0].hi, SEQ(5));
}

TEST(an_older_receipt_moves_nothing)
{
    struct cq_arena *a;
    struct ticks *t = fresh_ticks(&a);

    ADD(t, a, 0, false, B, A, RECEIPT_KIND_DELIVERED, 5, 9);
    ADD(t, a, 1, false, B, A, RECEIPT_KIND_DELIVERED, 4, 10);
    ADD(t, a, 2, false, B, A, RECEIPT_KIND_DELIVERED, 5, 11);
    ticks_apply(t);
    CHECK_EQ(t->receipts_n, 1);
    CHECK_EQ(t->advances_n, 1);
    CHECK_EQ(t->chats[0].offset[TICK_DELIVERED], 0);
    CHECK_EQ(t->chats[0].at_ms[TICK_DELIVERED], 1009);
}

TEST(a_group_waits_for_its_slowest)
{
    struct cq_arena *a;
    struct ticks *t = fresh_ticks(&a);
    struct tick_chat *c = &t->chats[0];

    ADD(t, a, 0, false, A, 0, RECEIPT_KIND_DELIVERED, 8, 20);
    ADD(t, a, 1, false, B, 0, RECEIPT_KIND_DELIVERED, 7, 21);
    fill_members(c, 3, 2, a);
    ticks_apply(t);
    CHECK_EQ(c->mark[0].low, SEQ(2)); /* C, who has said nothing, joined there */
    CHECK(id_eq(c->mark[0].low_user, ID(C)));
    CHECK_EQ(c->mark[0].next, SEQ(7));
    CHECK_EQ(tick_mark_for(&c->mark[0], ID(A)), SEQ(2));
    CHECK_EQ(tick_mark_for(&c->mark[0], ID(C)), SEQ(7));
}

TEST(who_leaves_is_waited_for_no_longer)
{
    struct cq_arena *a;
    struct ticks *t = fresh_ticks(&a);
    struct tick_chat *c = &t->chats[0];

    ADD(t, a, 0, false, A, 0, RECEIPT_KIND_DELIVERED, 8, 20);
    ADD(t, a, 1, false, B, 0, RECEIPT_KIND_DELIVERED, 7, 21);
    ADD(t, a, 2, false, A, 0, RECEIPT_KIND_MEMBERS, 30, 30);
    ADD(t, a, 3, false, C, 0, RECEIPT_KIND_READ, 9, 31);
    fill_members(c, 3, 2, a);
    c->stays[2].left = SEQ(30);
    ticks_apply(t);
    CHECK_EQ(c->mark[0].low, SEQ(7));
    CHECK_EQ(c->mark[0].next, SEQ(8));
    CHECK_EQ(c->at_ms[0], 1030);
    CHECK(!c->users[2].dirty); /* its receipt came after it left */
    /* generic (2,7], C once lowest (its own), B now lowest (2,8]; read: nobody read */
    for (size_t i = 0; i < t->ranges_n; i++)
        CHECK(t->ranges[i].hi > t->ranges[i].lo);
}

TEST(who_joins_need_not_have_what_was_before)
{
    struct cq_arena *a;
    struct ticks *t = fresh_ticks(&a);
    struct tick_chat *c = &t->chats[0];

    ADD(t, a, 0, false, A, 0, RECEIPT_KIND_MEMBERS, 30, 30);
    ADD(t, a, 1, false, C, 0, RECEIPT_KIND_DELIVERED, 25, 31); /* before its time: no advance */
    fill_members(c, 3, 2, a);
    c->stays[2].joined = SEQ(30);
    c->users[0].cursor[0] = SEQ(20);
    c->users[1].cursor[0] = SEQ(21);
    c->mark[0] = (struct tick_mark){ SEQ(20), ID(A), SEQ(21) };
    ticks_apply(t);
    CHECK_EQ(c->mark[0].low, SEQ(20));
    CHECK_EQ(c->mark[0].next, SEQ(21));
    CHECK(!c->moved[0]);
    CHECK_EQ(t->receipts_n, 0);
}

TEST(alone_nobody_waits)
{
    struct cq_arena *a;
    struct ticks *t = fresh_ticks(&a);
    struct tick_chat *c = &t->chats[0];

    ADD(t, a, 0, false, B, 0, RECEIPT_KIND_MEMBERS, 30, 30);
    fill_members(c, 2, 2, a);
    c->stays[1].left = SEQ(30);
    c->mark[0] = (struct tick_mark){ SEQ(5), ID(A), SEQ(6) };
    ticks_apply(t);
    CHECK(!c->moved[0]);
    CHECK_EQ(c->mark[0].low, SEQ(5));
}

TEST(a_tie_is_decided_by_id_not_by_who_came_first)
{
    for (uint8_t first = A; first <= B; first++) {
        struct cq_arena *a;
        struct ticks *t = fresh_ticks(&a);

        ADD(t, a, 0, false, first, (uint8_t)(A + B - first), RECEIPT_KIND_READ, 5, 9);
        ADD(t, a, 1, false, (uint8_t)(A + B - first), first, RECEIPT_KIND_READ, 5, 10);
        ticks_apply(t);
        CHECK(id_eq(t->chats[0].mark[TICK_READ].low_user, ID(A)));
        CHECK_EQ(t->chats[0].mark[TICK_READ].next, SEQ(5));
    }
}

TEST(marks_do_not_go_back_whatever_the_log_says)
{
    struct cq_arena *a;
    struct ticks *t = fresh_ticks(&a);
    struct tick_chat *c = &t->chats[0];

    ADD(t, a, 0, false, A, 0, RECEIPT_KIND_MEMBERS, 30, 30);
    fill_members(c, 3, 2, a);
    c->mark[TICK_READ] = (struct tick_mark){ SEQ(20), ID(A), SEQ(21) };
    ticks_apply(t);
    CHECK(!c->moved[TICK_READ]);
    CHECK_EQ(c->mark[TICK_READ].low, SEQ(20));
    CHECK(c->moved[TICK_DELIVERED]);
}

TEST(a_replay_of_a_rebuild_tells_nobody)
{
    struct cq_arena *a;
    struct ticks *t = fresh_ticks(&a);

    ADD(t, a, 0, true, B, A, RECEIPT_KIND_DELIVERED, 5, 9);
    ticks_apply(t);
    CHECK_EQ(t->advances_n, 1);
    CHECK_EQ(t->ranges_n, 0);

    t = fresh_ticks(&a); /* and only what is new is told when both stand in one turn */
    ADD(t, a, 0, true, B, A, RECEIPT_KIND_DELIVERED, 5, 9);
    ADD(t, a, 1, false, B, A, RECEIPT_KIND_DELIVERED, 6, 10);
    ticks_apply(t);
    CHECK_EQ(t->ranges_n, 1);
    CHECK_EQ(t->ranges[0].lo, SEQ(5));
    CHECK_EQ(t->ranges[0].hi, SEQ(6));
}

TEST(what_speaks_of_the_future_is_poison)
{
    struct cq_arena *a;
    struct ticks *t = fresh_ticks(&a);
    struct delivery_status s = status_of(B, A, RECEIPT_KIND_READ, 10, 9);

    CHECK_EQ(ticks_add(t, &s, 3, 0, false, a), CQ_POISON);
    CHECK_EQ(t->recs_n, 0);
}

TEST(a_turn_has_a_maximum)
{
    struct cq_arena *a;
    struct ticks *t = fresh_ticks(&a);
    struct delivery_status s = status_of(B, A, RECEIPT_KIND_READ, 1, 9);

    for (int i = 0; i < TICKS_RECORDS_MAX; i++)
        CHECK_EQ(ticks_add(t, &s, 3, i, false, a), CQ_OK);
    CHECK_EQ(ticks_add(t, &s, 3, TICKS_RECORDS_MAX, false, a), CQ_AGAIN);

    t = fresh_ticks(&a);
    s = status_of(B, 0, RECEIPT_KIND_READ, 1, 9);
    for (int i = 0; i < TICKS_GROUPS_MAX; i++) {
        s.chat_id.b[14] = (uint8_t)(i >> 8);
        s.chat_id.b[15] = (uint8_t)i;
        CHECK_EQ(ticks_add(t, &s, 3, i, false, a), CQ_OK);
    }
    s.chat_id.b[13] = 1;
    CHECK_EQ(ticks_add(t, &s, 3, 9999, false, a), CQ_AGAIN);
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

static void load(struct tick_chat *c, struct world *w)
{
    c->users = w->users;
    c->users_n = USERS;
    c->stays = w->stays;
    c->stays_n = w->stays_n;
    memcpy(c->mark, w->mark, sizeof w->mark);
}

static bool save(struct ticks *t, struct world *w)
{
    const struct tick_chat *c = &t->chats[0];

    for (size_t i = 0; i < t->receipts_n; i++)
        w->receipts_hash = mix(mix(w->receipts_hash, t->receipts[i].seq), t->receipts[i].kind);
    for (size_t i = 0; i < t->advances_n; i++) {
        const struct tick_advance *v = &t->advances[i];

        w->advances_hash = mix(mix(w->advances_hash, v->mark.low), v->mark.next);
        w->advances_hash = mix(mix(w->advances_hash, v->mark.low_user.b[0]), v->at_ms);
        /* for nobody it ever goes back */
        for (int u = 0; u < USERS; u++) {
            if (tick_mark_for(&v->mark, w->users[u].id) <
                tick_mark_for(&w->seen[u][v->kind], w->users[u].id))
                return false;
            w->seen[u][v->kind] = v->mark;
        }
    }
    memcpy(w->mark, c->mark, sizeof w->mark);
    return true;
}

static struct delivery_status random_status(int i)
{
    uint8_t user = (uint8_t)(1 + rand() % USERS);
    int64_t source = 10 + i;

    if (rand() % 20 == 0)
        return status_of(user, 0, RECEIPT_KIND_MEMBERS, source, source);
    return status_of(user, 0, rand() % 2 ? RECEIPT_KIND_READ : RECEIPT_KIND_DELIVERED,
                     3 + rand() % (7 + i), source);
}

static bool play(struct world *w, unsigned seed, int turn)
{
    *w = (struct world){ .receipts_hash = 1, .advances_hash = 1 };
    srand(seed);
    for (uint8_t u = 0; u < USERS; u++) {
        int64_t left = rand() % 2 ? INT64_MAX : SEQ(10 + rand() % STEPS);

        w->users[u].id = ID((uint8_t)(u + 1));
        w->stays[w->stays_n++] = (struct tick_stay){ u, SEQ(2), left };
        if (left != INT64_MAX && rand() % 2)
            w->stays[w->stays_n++] = (struct tick_stay){ u, left + 1 + rand() % 50, INT64_MAX };
    }
    for (int i = 0; i < STEPS;) {
        struct cq_arena *a;
        struct ticks *t = fresh_ticks(&a);

        for (int k = 0; k < turn && i < STEPS; k++, i++) {
            struct delivery_status s = random_status(i);

            if (ticks_add(t, &s, 3, i, false, a) != CQ_OK)
                return false;
        }
        load(&t->chats[0], w);
        ticks_apply(t);
        if (!save(t, w))
            return false;
    }
    return true;
}

TEST(the_cut_into_turns_does_not_matter)
{
    static const int turns[] = { 1, 2, 7, 50, STEPS };
    static struct world first, other;

    for (unsigned seed = 1; seed <= 200; seed++)
        for (size_t k = 0; k < ARRAY_LEN(turns); k++) {
            struct world *w = k ? &other : &first;

            CHECK(play(w, seed, turns[k]));
            if (!k)
                continue;
            CHECK(other.receipts_hash != 1 && other.advances_hash != 1);
            CHECK_EQ(other.receipts_hash, first.receipts_hash);
            CHECK_EQ(other.advances_hash, first.advances_hash);
            CHECK_EQ(memcmp(other.mark, first.mark, sizeof first.mark), 0);
            CHECK_EQ(
                memcmp(other.users[0].cursor, first.users[0].cursor, sizeof first.users[0].cursor),
                0);
        }
}
