/* SPDX-License-Identifier: MIT */
/*
 * Membership intervals against a naive history: who was in at each seq, in any order of replays.
 */
#include "tests/unit/test.h"

#include "processors/chat/group.h"
#include "processors/chat/requests.h"
#include "schemas/codec.h"
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

static void change_one(struct group *group, struct cq_id user, enum member_change_kind kind,
                       int64_t seq)
{
    CHECK_EQ(group_apply(group, &(struct member_change){ user, kind }, 1, seq), CQ_OK);
}

static void apply(struct group *group, const struct change *change, int64_t seq)
{
    if (change->join)
        CHECK_EQ(group_join(group, user_of(change->user), MEMBER_ROLE_MEMBER, seq), CQ_OK);
    else
        change_one(group, user_of(change->user), MEMBER_CHANGE_KIND_REMOVE, seq);
}

TEST(membership_is_exact_at_every_seq_and_under_replay)
{
    static struct change history[CHANGES + 1];
    static bool in[CHANGES + 2][USERS]; /* in[q]: members just before seq q */
    struct groups groups;
    struct group *group;
    unsigned seed = 3;

    groups_init(&groups);
    group = groups_add(&groups, user_of(99));
    CHECK(group != NULL);
    for (int seq = 1; seq <= CHANGES; seq++) {
        int user = rand_r(&seed) % USERS;

        memcpy(in[seq + 1], in[seq], sizeof in[seq]);
        history[seq] = (struct change){ user, !in[seq][user] };
        in[seq + 1][user] = !in[seq][user];
        apply(group, &history[seq], seq);
    }
    for (int round = 0; round < 50; round++) { /* a crash: a stretch is applied again */
        int from = 1 + rand_r(&seed) % CHANGES;

        for (int seq = from; seq <= CHANGES && seq < from + 20; seq++)
            apply(group, &history[seq], seq);
        for (int seq = 1; seq <= CHANGES + 1; seq++)
            for (int user = 0; user < USERS; user++)
                CHECK_EQ(group_stay(group, user_of(user), seq) != NULL, in[seq][user]);
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
    struct group *group = groups_find(&groups, older.chat_id);
    CHECK(group != NULL);
    CHECK_STR(group->name, "new");
    CHECK_EQ(group->stays_n, 2u);
    groups_release(&groups);
}

TEST(ended_stays_are_bounded_and_present_ones_kept)
{
    struct groups groups;
    struct group *group;

    groups_init(&groups);
    group = groups_add(&groups, user_of(99));
    CHECK_EQ(group_join(group, user_of(0), MEMBER_ROLE_OWNER, 1), CQ_OK);
    for (int64_t seq = 2; seq < 3 * GROUP_STAYS_MAX; seq += 2) {
        CHECK_EQ(group_join(group, user_of(1), MEMBER_ROLE_MEMBER, seq), CQ_OK);
        change_one(group, user_of(1), MEMBER_CHANGE_KIND_REMOVE, seq + 1);
    }
    CHECK(group->stays_n <= GROUP_STAYS_MAX);
    CHECK(group_stay(group, user_of(0), 3 * GROUP_STAYS_MAX) != NULL);
    groups_release(&groups);
}

enum { CROWD = 40, TOGETHER = 12 };

static bool same_stays(const struct group *a, const struct group *b)
{
    if (a->stays_n != b->stays_n || a->source_offset != b->source_offset)
        return false;
    for (size_t i = 0; i < a->stays_n; i++) {
        const struct member_interval *s = &a->stays[i], *t = &b->stays[i];

        if (!id_eq(s->user_id, t->user_id) || s->role != t->role ||
            s->joined_seq != t->joined_seq || s->left_seq != t->left_seq)
            return false;
    }
    return true;
}

/* Some changes of users who are named once each. */
static size_t draw_changes(unsigned *seed, struct member_change *change)
{
    bool named[CROWD] = { false };
    size_t n = 0;

    for (int i = 0; i < TOGETHER; i++) {
        int user = rand_r(seed) % CROWD;

        if (!named[user])
            change[n++] = (struct member_change){
                user_of(user), (enum member_change_kind)(rand_r(seed) % MEMBER_CHANGE_KIND_N)
            };
        named[user] = true;
    }
    return n;
}

TEST(changes_together_are_as_one_after_the_other)
{
    static struct member_change history[CHANGES + 1][TOGETHER];
    static size_t history_n[CHANGES + 1];
    struct groups groups;
    struct group *one, *all;
    unsigned seed = 11;

    groups_init(&groups);
    one = groups_add(&groups, user_of(98));
    all = groups_add(&groups, user_of(99));
    for (int64_t seq = 1; seq <= CHANGES; seq++) {
        int64_t at = seq > 20 && rand_r(&seed) % 4 == 0 ? seq - 1 - rand_r(&seed) % 20 : seq;

        if (at == seq)
            history_n[seq] = draw_changes(&seed, history[seq]);
        for (size_t i = 0; i < history_n[at]; i++) /* a replay now and then */
            change_one(one, history[at][i].user_id, history[at][i].change, at);
        CHECK_EQ(group_apply(all, history[at], history_n[at], at), CQ_OK);
        CHECK(same_stays(one, all));
    }
    CHECK(one->stays_n > CHANGES);
    groups_release(&groups);
}

/* The largest change of the largest group with the longest past, again and again. */
TEST(the_largest_changes_keep_the_bound_and_everybody_present)
{
    static struct member_change changes[LIMIT_GROUP_MEMBERS];
    struct groups groups;
    struct group *group;

    groups_init(&groups);
    group = groups_add(&groups, user_of(99));
    for (int64_t seq = 1; seq < 40; seq++) {
        for (int i = 0; i < LIMIT_GROUP_MEMBERS; i++) {
            changes[i].user_id = user_of(0);
            memcpy(changes[i].user_id.b + 8, &i, sizeof i);
            changes[i].change = seq == 1  ? MEMBER_CHANGE_KIND_ADD
                                : seq % 2 ? MEMBER_CHANGE_KIND_PROMOTE
                                          : MEMBER_CHANGE_KIND_DEMOTE;
        }
        CHECK_EQ(group_apply(group, changes, LIMIT_GROUP_MEMBERS, seq), CQ_OK);
        CHECK(group->stays_n <= GROUP_STAYS_MAX);
        CHECK_EQ(group_count(group, seq + 1), LIMIT_GROUP_MEMBERS);
        CHECK_EQ(group_count(group, seq), seq == 1 ? 0 : LIMIT_GROUP_MEMBERS);
    }
    groups_release(&groups);
}

/* As many as a turn has records, and more: what a replay since the commit asks for is there. */
TEST(timers_are_those_of_then_and_bounded)
{
    enum { TURN = 1000, ALL = 3 * GROUP_TIMERS_MAX };
    struct groups groups;
    struct group *group;

    groups_init(&groups);
    group = groups_add(&groups, user_of(99));
    CHECK_EQ(group_timer(NULL, 5), 0);
    CHECK_EQ(group_timer(group, 5), 0);
    for (int64_t seq = 1; seq <= ALL; seq++)
        CHECK_EQ(group_set_timer(group, 10 * seq, seq), CQ_OK);
    CHECK_EQ(group->timers_n, GROUP_TIMERS_MAX);
    CHECK_EQ(group_timer(group, ALL + 1), 10 * ALL);
    for (int64_t seq = ALL - TURN; seq <= ALL; seq++) { /* a replay */
        CHECK_EQ(group_timer(group, seq), 10 * (seq - 1));
        CHECK_EQ(group_set_timer(group, 10 * seq, seq), CQ_OK);
    }
    CHECK_EQ(group->timers_n, GROUP_TIMERS_MAX);
    CHECK_EQ(group_timer(group, ALL + 1), 10 * ALL);
    groups_release(&groups);
}

/* Of each right as many as of timers, and one that is set often leaves the others as they are. */
TEST(rights_are_those_of_then_and_bounded)
{
    enum { TURN = 1000, ALL = 3 * GROUP_RIGHTS_MAX };
    struct groups groups;
    struct group *group;

    groups_init(&groups);
    group = groups_add(&groups, user_of(99));
    CHECK_EQ(group_holders(group, RIGHT_SEND, 5), RIGHT_HOLDERS_EVERYONE);
    CHECK_EQ(group_holders(group, RIGHT_INFO, 5), RIGHT_HOLDERS_ADMINS);
    CHECK_EQ(group_holders(group, RIGHT_ADD, 5), RIGHT_HOLDERS_ADMINS);
    CHECK_EQ(group_set_holders(group, RIGHT_SEND, RIGHT_HOLDERS_ADMINS, 1), CQ_OK);
    for (int64_t seq = 1; seq <= ALL; seq++)
        CHECK_EQ(group_set_holders(group, RIGHT_INFO, (enum right_holders)(seq % 2), seq), CQ_OK);
    CHECK_EQ(group->rights_n, GROUP_RIGHTS_MAX + 1);
    CHECK_EQ(group_holders(group, RIGHT_SEND, 1), RIGHT_HOLDERS_EVERYONE);
    CHECK_EQ(group_holders(group, RIGHT_SEND, ALL + 1), RIGHT_HOLDERS_ADMINS);
    CHECK_EQ(group_holders(group, RIGHT_INFO, ALL + 1), ALL % 2);
    for (int64_t seq = ALL - TURN; seq <= ALL; seq++) { /* a replay */
        CHECK_EQ(group_holders(group, RIGHT_INFO, seq), (seq - 1) % 2);
        CHECK_EQ(group_set_holders(group, RIGHT_INFO, (enum right_holders)(seq % 2), seq), CQ_OK);
    }
    CHECK_EQ(group->rights_n, GROUP_RIGHTS_MAX + 1);
    groups_release(&groups);
}

/* A group that makes and ends links as fast as it can keeps as many as a replay can ask for, and no more. */
TEST(links_are_those_of_then_and_bounded)
{
    enum { ALL = 4 * INVITES_WINDOW };
    struct groups groups;
    struct group *group;
    struct invite_kept *first;
    int made = 0;

    groups_init(&groups);
    group = groups_add(&groups, user_of(99));
    for (int64_t seq = 1; seq <= ALL; seq += 2) {
        struct invite_kept invite = { .made_seq = seq, .most = 1, .by = user_of((int)seq) };

        invite.invite_id = invite.hash = user_of((int)seq);
        if (!invites_have_room(group, invite.by, seq, 0))
            continue;
        made++;
        CHECK_EQ(invite_make(group, &invite), CQ_OK);
        CHECK_EQ(invite_make(group, &invite), CQ_OK); /* a replay */
        invite_end(group, invite_find(group, invite.invite_id, seq + 1), seq + 1);
        CHECK(group->invites_n <= 3 * INVITES_LATELY);
    }
    CHECK(made >= 4 * INVITES_LATELY && made <= 5 * INVITES_LATELY);
    first =
        &group->invites[0]; /* used by one below its end: never by another, whenever it is asked */
    CHECK(invite_open(group, first->hash, first->made_seq + 1, 0) == first);
    CHECK(!invite_open(group, first->hash, first->made_seq, 0));
    CHECK(!invite_open(group, first->hash, first->ended_seq + 1, 0));
    CHECK_EQ(invite_use(group, first, first->made_seq + 1), CQ_OK);
    CHECK_EQ(invite_use(group, first, first->made_seq + 1), CQ_OK);
    CHECK_EQ(first->uses_n, 1);
    CHECK(invite_open(group, first->hash, first->made_seq + 1, 0) == first);
    CHECK(!invite_open(group, first->hash, first->made_seq + 2, 0));
    groups_release(&groups);
}

TEST(ten_links_hold_and_a_hundred_ask)
{
    struct groups groups;
    struct group *group;
    int64_t seq = 1;

    groups_init(&groups);
    group = groups_add(&groups, user_of(99));
    for (; seq <= LIMIT_INVITES; seq++) {
        struct invite_kept invite = { .made_seq = seq, .expires_at_ms = seq == 1 ? 5000 : 0 };

        invite.invite_id = invite.hash = user_of((int)seq);
        CHECK(invites_have_room(group, user_of(0), seq, 4999));
        CHECK_EQ(invite_make(group, &invite), CQ_OK);
    }
    CHECK(!invites_have_room(group, user_of(0), seq, 4999));
    CHECK(invites_have_room(group, user_of(0), seq, 5000)); /* one is over */
    for (int i = 0; i < LIMIT_REQUESTS; i++, seq++) {
        CHECK(requests_have_room(group, user_of(i), seq, 0));
        CHECK_EQ(request_make(group, &(struct request_kept){ .user_id = user_of(i),
                                                             .invite_id = user_of(1),
                                                             .seq = seq,
                                                             .expires_at_ms = REQUEST_MS }),
                 CQ_OK);
    }
    CHECK(!requests_have_room(group, user_of(200), seq, REQUEST_MS - 1));
    CHECK(requests_have_room(group, user_of(200), seq, REQUEST_MS));
    CHECK(request_find(group, user_of(7), seq, REQUEST_MS - 1) != NULL);
    CHECK(!request_find(group, user_of(7), seq, REQUEST_MS));
    requests_end_by(group, user_of(1), seq);
    CHECK(request_find(group, user_of(7), seq, 0) != NULL); /* as it was then */
    CHECK(!request_find(group, user_of(7), seq + 1, 0));
    groups_release(&groups);
}

/* Whoever makes and ends links, or asks and takes it back, as fast as he can takes the places of nobody else. */
TEST(one_user_leaves_room_for_others)
{
    struct groups groups;
    struct group *group;
    int made = 0, asked = 0;
    int64_t seq = 1;

    groups_init(&groups);
    group = groups_add(&groups, user_of(99));
    for (; seq < INVITES_WINDOW; seq += 2) {
        const struct invite_kept invite = { .by = user_of(1), .made_seq = seq };
        const struct request_kept request = { .user_id = user_of(2),
                                              .seq = seq,
                                              .expires_at_ms = REQUEST_MS };

        if (invites_have_room(group, user_of(1), seq, 0)) {
            CHECK_EQ(invite_make(group, &invite), CQ_OK);
            invite_end(group, &group->invites[made++], seq + 1);
        }
        if (requests_have_room(group, user_of(2), seq, 0)) {
            CHECK_EQ(request_make(group, &request), CQ_OK);
            request_end(group, &group->requests[asked++], seq + 1);
        }
    }
    CHECK(invites_have_room(group, user_of(2), seq, 0));
    CHECK(requests_have_room(group, user_of(1), seq, 0));
    CHECK_EQ(made, INVITES_OF_ONE);
    CHECK_EQ(asked, REQUESTS_OF_ONE);
    seq += INVITES_WINDOW; /* and then he may again */
    CHECK(invites_have_room(group, user_of(1), seq, 0));
    CHECK(requests_have_room(group, user_of(2), seq, 0));
    groups_release(&groups);
}

TEST(who_comes_and_goes_is_known)
{
    struct groups groups;
    struct group *group;
    int64_t seq = 1;

    groups_init(&groups);
    group = groups_add(&groups, user_of(99));
    for (int i = 0; i < GROUP_RETURNS_MAX; i++, seq += 2) {
        CHECK(!group_left_often(group, user_of(1), seq));
        CHECK_EQ(group_join(group, user_of(1), MEMBER_ROLE_MEMBER, seq), CQ_OK);
        change_one(group, user_of(1), MEMBER_CHANGE_KIND_REMOVE, seq + 1);
    }
    CHECK(group_left_often(group, user_of(1), seq) && !group_left_often(group, user_of(2), seq));
    CHECK(!group_left_often(group, user_of(1), seq - 1)); /* as it was then */
    groups_release(&groups);
}

TEST(who_came_often_comes_no_more)
{
    struct member_change adds[] = { { user_of(2), MEMBER_CHANGE_KIND_ADD },
                                    { user_of(1), MEMBER_CHANGE_KIND_ADD } };
    struct groups groups;
    struct group *group;
    bool often = true;
    int64_t seq = 1;

    groups_init(&groups);
    group = groups_add(&groups, user_of(99));
    for (int i = 0; i < GROUP_COMES_MAX; i++, seq += 4) {
        CHECK_EQ(group_came_often(group, adds, 2, seq, &often), CQ_OK);
        CHECK(!often);
        CHECK_EQ(group_join(group, user_of(1), MEMBER_ROLE_MEMBER, seq), CQ_OK);
        change_one(group, user_of(1), MEMBER_CHANGE_KIND_PROMOTE, seq + 1); /* is no coming */
        change_one(group, user_of(1), MEMBER_CHANGE_KIND_REMOVE, seq + 2);
    }
    CHECK_EQ(group_came_often(group, adds, 2, seq, &often), CQ_OK);
    CHECK(often);
    CHECK_EQ(group_came_often(group, adds, 1, seq, &often), CQ_OK);
    CHECK(!often);
    CHECK_EQ(group_came_often(group, adds, 2, seq - 4, &often), CQ_OK); /* as it was then */
    CHECK(!often);
    groups_release(&groups);
}

static struct cq_id many_of(int n)
{
    struct cq_id id = user_of(n % 100);

    id.b[1] = (uint8_t)(n / 100);
    return id;
}

/* Of who was removed the newest are known, and who returned is not among them. */
TEST(who_was_removed_is_known_and_bounded)
{
    struct groups groups;
    struct group *group;
    struct idmap named;

    groups_init(&groups);
    group = groups_add(&groups, many_of(99));
    idmap_init(&named, 1);
    for (int i = 0; i <= REMOVED_MAX; i++) {
        const struct member_change out = { many_of(i), MEMBER_CHANGE_KIND_REMOVE };

        CHECK_EQ(group_note_removals(group, many_of(5000), &out, 1, &named, 10 + i), CQ_OK);
        CHECK_EQ(group_note_removals(group, many_of(5000), &out, 1, &named, 10 + i), CQ_OK);
    }
    CHECK_EQ(group->removed_n, REMOVED_MAX + 1);
    CHECK(!group_was_removed(group, many_of(0), 5000)); /* forgotten … */
    CHECK(
        group_was_removed(group, many_of(0), 10 + REMOVED_MAX)); /* … as of then, and not before */
    CHECK(group_was_removed(group, many_of(1), 5000) && !group_was_removed(group, many_of(1), 11));
    CHECK(idmap_put(&named, many_of(1), MEMBER_CHANGE_KIND_ADD));
    CHECK_EQ(group_note_removals(group, many_of(5000), NULL, 0, &named, 6000), CQ_OK);
    CHECK(group_was_removed(group, many_of(1), 6000) &&
          !group_was_removed(group, many_of(1), 6001));
    idmap_release(&named);
    groups_release(&groups);
}

/* Of who was removed no more are kept, however many are at once; and what ended long ago is not. */
TEST(removals_that_ended_are_kept_for_a_replay_and_no_longer)
{
    struct member_change out = { .change = MEMBER_CHANGE_KIND_REMOVE };
    struct groups groups;
    struct group *group;
    struct idmap named;

    groups_init(&groups);
    group = groups_add(&groups, many_of(99));
    idmap_init(&named, 1);
    for (int i = 0; i <= REMOVED_KEPT; i++) {
        out.user_id = many_of(i);
        CHECK_EQ(group_note_removals(group, many_of(5000), &out, 1, &named, 10 + i), CQ_OK);
    }
    CHECK_EQ(group->removed_n, REMOVED_KEPT);
    CHECK(!group_was_removed(group, many_of(REMOVED_KEPT), 9000)); /* there was no room */
    out.user_id = many_of(REMOVED_KEPT);
    CHECK_EQ(group_note_removals(group, many_of(5000), &out, 1, &named,
                                 10 + REMOVED_KEPT + 2 * INVITES_WINDOW),
             CQ_OK);
    CHECK_EQ(group->removed_n, REMOVED_MAX + 1);
    CHECK(group_was_removed(group, many_of(REMOVED_KEPT), 20000));
    idmap_release(&named);
    groups_release(&groups);
}

/* ---- a value of topic members ------------------------------------------------------------ */

static struct cq_id id_at(int64_t seq)
{
    struct cq_id id = { { 0 } };

    memcpy(id.b, &seq, sizeof seq);
    return id;
}

/* As many stays, timers, rights and removals as are kept, before `seq`. */
static void fill_others(struct group *group, int64_t seq)
{
    struct idmap named;

    idmap_init(&named, 1);
    for (int64_t i = GROUP_STAYS_MAX; i > 0; i--) {
        const struct member_change out = { id_at(i), MEMBER_CHANGE_KIND_REMOVE };

        CHECK_EQ(group_join(group, id_at(i), MEMBER_ROLE_MEMBER, seq - 2 * i), CQ_OK);
        CHECK_EQ(group_apply(group, &out, 1, seq - 2 * i + 1), CQ_OK);
        CHECK_EQ(group_note_removals(group, id_at(0), &out, 1, &named, seq - 2 * i + 1), CQ_OK);
        CHECK_EQ(group_set_timer(group, LIMIT_TIMER_SET_SECONDS_MAX, seq - 2 * i), CQ_OK);
        for (int right = 0; right < RIGHT_N; right++)
            CHECK_EQ(group_set_holders(group, (enum right)right, RIGHT_HOLDERS_ADMINS, seq - 2 * i),
                     CQ_OK);
    }
    idmap_release(&named);
}

static size_t value_bytes(const struct group *group)
{
    const struct chat_members value = {
        .chat_id = group->id,
        .source = { TOPIC_GENERATION, 0, group->source_offset },
        .name = span_str("a group"),
        .members = group->stays,
        .members_n = group->stays_n,
        .timers = group->timers,
        .timers_n = group->timers_n,
        .rights = group->rights,
        .rights_n = group->rights_n,
        .invites = group->invites,
        .invites_n = group->invites_n,
        .removed = group->removed,
        .removed_n = group->removed_n,
        .requests = group->requests,
        .requests_n = group->requests_n,
    };
    struct cq_buf buf;
    size_t n;

    buf_init(&buf, 16 * TOPIC_RECORD_MAX);
    n = codec_encode(&chat_members_codec, &value, &buf) == CQ_OK ? buf.n : SIZE_MAX;
    buf_release(&buf);
    return n;
}

/* A link, if there is room; as rules do, those that are over end before. */
static bool make_link(struct group *group, struct cq_arena *arena, int64_t seq, int64_t most)
{
    const struct invite_kept invite = { .invite_id = id_at(seq),
                                        .hash = id_at(seq),
                                        .by = id_at(seq),
                                        .made_seq = seq,
                                        .expires_at_ms = REQUEST_MS,
                                        .most = most };
    size_t n;

    if (!invites_have_room(group, invite.by, seq, 0))
        return false;
    arena_reset(arena);
    return invites_end_over(group, seq, 0, arena, &n) && invite_make(group, &invite) == CQ_OK;
}

static void ask_by(struct group *group, int64_t seq, struct cq_id invite)
{
    const struct request_kept request = {
        .user_id = id_at(seq), .invite_id = invite, .seq = seq, .expires_at_ms = REQUEST_MS
    };

    if (requests_have_room(group, request.user_id, seq, 0))
        CHECK_EQ(request_make(group, &request), CQ_OK);
}

static void end_links(struct group *group, int64_t seq)
{
    for (size_t i = 0; i < group->invites_n; i++)
        if (!group->invites[i].ended_seq) {
            invite_end(group, &group->invites[i], seq);
            requests_end_by(group, group->invites[i].invite_id, seq);
        }
}

/* Links that are used up, by each of which somebody asks, so that none gives way; then those are revoked, and the same again;
 * then links and requests as many as there may be. */
TEST(what_is_kept_of_a_group_fits_a_record)
{
    enum { ROUNDS = 110 };
    struct cq_arena *arena = arena_new(1 << 20);
    struct groups groups;
    struct group *group;
    int64_t seq = ((int64_t)TOPIC_GENERATION << 48) + (1 << 20);
    size_t most = 0;

    groups_init(&groups);
    group = groups_add(&groups, user_of(99));
    fill_others(group, seq);
    for (int round = 0, held = 0; round < ROUNDS; round++, seq += 2) {
        if (!make_link(group, arena, seq, LIMIT_INVITE_ASKED_USES_MAX)) {
            CHECK_EQ(held, LIMIT_INVITES);
            held = 0;
            end_links(group, seq);
            continue;
        }
        held++;
        for (int i = 0; i < LIMIT_INVITE_ASKED_USES_MAX; i++)
            CHECK_EQ(invite_use(group, &group->invites[group->invites_n - 1], ++seq), CQ_OK);
        ask_by(group, ++seq, group->invites[group->invites_n - 1].invite_id);
        most = value_bytes(group) > most ? value_bytes(group) : most;
    }
    for (int i = 0; i < 2 * INVITES_WINDOW; i++, seq += 2) {
        make_link(group, arena, seq, 1);
        ask_by(group, seq + 1, id_at(seq));
        end_links(group, seq + 1);
        requests_end_by(group, id_at(seq), seq + 2);
        most = i % 64 || value_bytes(group) < most ? most : value_bytes(group);
    }
    CHECK_EQ(group->stays_n, GROUP_STAYS_MAX);
    CHECK_EQ(group->removed_n, REMOVED_KEPT);
    CHECK(group->invites_n <= INVITES_KEPT && group->requests_n <= REQUESTS_KEPT);
    printf("members %zu bytes, at most %d\n", most, MEMBERS_BYTES_MAX);
    CHECK(most > MEMBERS_BYTES_MAX / 2 && most <= MEMBERS_BYTES_MAX);
    groups_release(&groups);
    arena_free(arena);
}
