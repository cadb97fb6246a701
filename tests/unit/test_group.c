/* SPDX-License-Identifier: MIT */
/*
 * Membership intervals against a naive history: who was in at each seq, in any order of replays.
 */
#include "tests/unit/test.h"

#include "processors/chat/group.h"
#include "schemas/topics.h"

#include <stdlib.h>

enum { USERS = 6, CHANGES = 400 };

static struct cq_id user_of(int n)
{
    struct cq_id id = { { 0 } };

    id.b[0] = (uint8_t)(n + 1);
    return id;
}

struct change {
    int user;
    bool join;
};

static void apply(struct group *g, const struct change *c, int64_t seq)
{
    if (c->join)
        CHECK_EQ(group_join(g, user_of(c->user), MEMBER_ROLE_MEMBER, seq), CQ_OK);
    else
        group_leave(g, user_of(c->user), seq);
}

TEST(membership_is_exact_at_every_seq_and_under_replay)
{
    static struct change history[CHANGES + 1];
    static bool in[CHANGES + 2][USERS]; /* in[q]: members just before seq q */
    struct groups groups;
    struct group *g;
    unsigned seed = 3;

    groups_init(&groups);
    g = groups_add(&groups, user_of(99));
    CHECK(g != NULL);
    for (int seq = 1; seq <= CHANGES; seq++) {
        int u = rand_r(&seed) % USERS;

        memcpy(in[seq + 1], in[seq], sizeof in[seq]);
        history[seq] = (struct change){ u, !in[seq][u] };
        in[seq + 1][u] = !in[seq][u];
        apply(g, &history[seq], seq);
    }
    for (int round = 0; round < 50; round++) { /* a crash: a stretch is applied again */
        int from = 1 + rand_r(&seed) % CHANGES;

        for (int seq = from; seq <= CHANGES && seq < from + 20; seq++)
            apply(g, &history[seq], seq);
        for (int seq = 1; seq <= CHANGES + 1; seq++)
            for (int u = 0; u < USERS; u++)
                CHECK_EQ(group_stay(g, user_of(u), seq) != NULL, in[seq][u]);
    }
    groups_release(&groups);
}

TEST(an_older_value_never_overwrites_a_newer)
{
    struct member_interval one = { .user_id = { { 1 } }, .joined_seq = 5 };
    struct member_interval two[] = { one, { .user_id = { { 2 } }, .joined_seq = 9 } };
    struct chat_members older = { .chat_id = { { 7 } },
                                  .source = { 1, 0, 5 },
                                  .name = span_str("old"),
                                  .members = &one,
                                  .members_n = 1 };
    struct chat_members newer = { .chat_id = { { 7 } },
                                  .source = { 1, 0, 9 },
                                  .name = span_str("new"),
                                  .members = two,
                                  .members_n = 2 };
    struct groups groups;

    groups_init(&groups);
    CHECK_EQ(groups_restore(&groups, &newer), CQ_OK);
    CHECK_EQ(groups_restore(&groups, &older), CQ_OK); /* a zombie's late write */
    struct group *g = groups_find(&groups, older.chat_id);
    CHECK(g != NULL);
    CHECK_STR(g->name, "new");
    CHECK_EQ(g->stays_n, 2u);
    groups_release(&groups);
}

TEST(ended_stays_are_bounded_and_present_ones_kept)
{
    struct groups groups;
    struct group *g;

    groups_init(&groups);
    g = groups_add(&groups, user_of(99));
    CHECK_EQ(group_join(g, user_of(0), MEMBER_ROLE_OWNER, 1), CQ_OK);
    for (int64_t seq = 2; seq < 3 * GROUP_STAYS_MAX; seq += 2) {
        CHECK_EQ(group_join(g, user_of(1), MEMBER_ROLE_MEMBER, seq), CQ_OK);
        group_leave(g, user_of(1), seq + 1);
    }
    CHECK(g->stays_n <= GROUP_STAYS_MAX);
    CHECK(group_stay(g, user_of(0), 3 * GROUP_STAYS_MAX) != NULL);
    groups_release(&groups);
}
