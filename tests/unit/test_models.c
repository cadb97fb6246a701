/* SPDX-License-Identifier: MIT */
/*
 * Pure cores, each walked at random beside a model that is too simple to be wrong. (The window, the
 * table of ids and the dedupe window have theirs in test_window.c, test_idmap.c, test_dedupe.c.)
 */
#include "tests/unit/test.h"

#include "edge/rest/server/limits.h"
#include "edge/ws/sends.h"
#include "lib/base/bucket.h"
#include "lib/base/clock.h"
#include "lib/bus/frontier.h"
#include "processors/chat/group.h"
#include "schemas/topics.h"
#include "sinks/websocket/slots.h"
#include "tests/unit/walk.h"

static struct cq_id id_of(uint64_t n)
{
    struct cq_id id = { { 0 } };

    memcpy(id.b, &n, sizeof n);
    id.b[15] = 1;
    return id;
}

/* ---- frontier: a vector that only grows, and its text ----------------------------------- */

TEST(frontier_is_a_vector_of_maxima)
{
    enum { PARTS = 7 };
    struct walk walk = walk_begin("frontier", 1);
    struct frontier left, right, read;
    int64_t naive[2][PARTS] = { { 0 } };
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf text = { 0 };

    frontier_init(&left, 3, PARTS);
    frontier_init(&right, 3, PARTS);
    buf_init(&text, 4096);
    for (int step = 0; step < WALK_STEPS; step++) {
        int which = (int)walk_below(&walk, 2);
        int32_t p = (int32_t)walk_below(&walk, PARTS + 2) - 1; /* -1 and PARTS: none of ours */
        int64_t next = (int64_t)walk_below(&walk, 20 + (uint64_t)step / 50);
        bool covers = true;

        frontier_advance(which ? &right : &left, p, next);
        if (p >= 0 && p < PARTS && next > naive[which][p])
            naive[which][p] = next;
        for (int i = 0; i < PARTS; i++)
            covers &= naive[0][i] >= naive[1][i];
        CHECK_EQ(frontier_covers(&left, &right), covers);
        if (step % 16)
            continue;
        buf_clear(&text);
        frontier_format(&left, &text);
        CHECK(frontier_parse(buf_span(&text), 3, PARTS, &read));
        for (int i = 0; i < PARTS; i++)
            CHECK_EQ(read.next[i], naive[0][i]);
        CHECK(!frontier_parse(buf_span(&text), 4, PARTS, &read));
        CHECK(!frontier_parse(buf_span(&text), 3, PARTS + 1, &read));
    }
}

/* ---- the pending table: each send one answer, in order, none after a failure -------------- */

enum { SOCKETS = 5, PENDING = 512 };

struct pending_model {
    struct sends s;
    struct sender sender[SOCKETS];
    struct {
        uint64_t opaque, id;
        int socket;
        int64_t at_ms;
        bool open;
    } sent[PENDING]; /* in order of sending */
    int sent_n;
    uint64_t answered[PENDING]; /* ids in the order of their answers, this step */
    bool stored[PENDING];
    int answered_n;
};

static void on_answer(void *arg, struct sender *sender, bool stored, struct cq_span client_id,
                      struct cq_id id)
{
    struct pending_model *model = arg;

    (void)sender;
    (void)client_id;
    memcpy(&model->answered[model->answered_n], id.b, sizeof(uint64_t));
    model->stored[model->answered_n++] = stored;
}

/* Expect that the open ones of `socket` from position `from` on were answered "unknown", in order,
 * beginning with answer `at`; close them in the model. Returns the answers used, -1: not so. */
static int fail_in_model(struct pending_model *model, int socket, int from, int at)
{
    int n = 0;

    for (int i = from; i < model->sent_n; i++) {
        if (!model->sent[i].open || model->sent[i].socket != socket)
            continue;
        if (at + n >= model->answered_n || model->answered[at + n] != model->sent[i].id ||
            model->stored[at + n])
            return -1;
        model->sent[i].open = false;
        n++;
    }
    return n;
}

static void drop_answered(struct pending_model *model)
{
    int kept = 0;

    for (int i = 0; i < model->sent_n; i++)
        if (model->sent[i].open)
            model->sent[kept++] = model->sent[i];
    model->sent_n = kept;
}

static bool add_one(struct pending_model *model, struct walk *walk, uint64_t id, int64_t now_ms)
{
    int socket = (int)walk_below(walk, SOCKETS);
    struct sender *sender = &model->sender[socket];
    /* sometimes the one that was nacked, which opens the gate */
    struct cq_id mid = sender->shut && walk_below(walk, 2) ? sender->refused[0] : id_of(id);
    bool passes = !sender->shut || id_eq(sender->refused[0], mid); /* each other id is a new one */
    enum sends_verdict verdict = sends_admit(&model->s, sender, mid);

    memcpy(&id, mid.b, sizeof id);
    if (verdict == SENDS_FULL) {
        sends_shut(sender, mid, 0);
        return passes && sender->n == SENDS_SOCKET_MAX;
    }
    if ((verdict == SENDS_ADMITTED) != passes)
        return false;
    if (verdict != SENDS_ADMITTED)
        return true;
    model->sent[model->sent_n].opaque = sends_add(&model->s, sender, mid, span_str("c"), now_ms);
    model->sent[model->sent_n].id = id;
    model->sent[model->sent_n].socket = socket;
    model->sent[model->sent_n].at_ms = now_ms;
    model->sent[model->sent_n++].open = true;
    return true;
}

static bool report_one(struct pending_model *model, struct walk *walk)
{
    int i = (int)walk_below(walk, (uint64_t)model->sent_n);
    bool good = walk_below(walk, 20) != 0;

    sends_report(&model->s, model->sent[i].opaque, good ? CQ_OK : CQ_AGAIN);
    if (good) {
        model->sent[i].open = false;
        return model->answered_n == 1 && model->answered[0] == model->sent[i].id &&
               model->stored[0];
    }
    return fail_in_model(model, model->sent[i].socket, i, 0) == model->answered_n &&
           model->sender[model->sent[i].socket].shut;
}

static bool expire(struct pending_model *model, int64_t now_ms)
{
    int at = 0;

    sends_expire(&model->s, now_ms);
    for (int i = 0; i < model->sent_n && now_ms - model->sent[i].at_ms > SENDS_WITHIN_MS; i++)
        if (model->sent[i].open) {
            int n = fail_in_model(model, model->sent[i].socket, i, at);

            if (n < 0)
                return false;
            at += n;
        }
    return at == model->answered_n;
}

static bool forget(struct pending_model *model, int socket)
{
    sends_forget(&model->s, &model->sender[socket]);
    for (int i = 0; i < model->sent_n; i++)
        model->sent[i].open &= model->sent[i].socket != socket;
    return model->answered_n == 0 && !model->sender[socket].shut;
}

TEST(every_send_has_one_answer_and_nothing_passes_a_failed_one)
{
    static struct pending_model model;
    struct walk walk = walk_begin("sends", 2);
    int64_t now_ms = 0;
    uint64_t stale = 0;

    sends_init(&model.s, on_answer, &model);
    for (int step = 0; step < WALK_STEPS; step++) {
        uint64_t dice = walk_below(&walk, 100);

        model.answered_n = 0;
        now_ms += (int64_t)walk_below(&walk, 30);
        if ((dice < 60 || !model.sent_n) && model.sent_n < PENDING)
            CHECK(add_one(&model, &walk, (uint64_t)step + 1, now_ms));
        else if (dice < 96) {
            stale = model.sent[0].opaque;
            CHECK(report_one(&model, &walk));
        } else if (dice == 96) {
            sends_undo(&model.s, model.sent[model.sent_n - 1].opaque);
            model.sent[model.sent_n - 1].open = false;
            CHECK_EQ(model.answered_n, 0);
        } else if (dice == 97)
            CHECK(forget(&model, (int)walk_below(&walk, SOCKETS)));
        else
            CHECK(expire(&model, now_ms));
        drop_answered(&model);
        CHECK_EQ(model.s.n, model.sent_n);
        if (stale && (!model.sent_n || model.sent[0].opaque != stale)) {
            model.answered_n = 0;
            for (int i = 0; i < model.sent_n; i++)
                if (model.sent[i].opaque == stale)
                    stale = 0;
            if (stale)
                sends_report(&model.s, stale, CQ_OK); /* late: of one that was answered */
            CHECK_EQ(model.answered_n, 0);
            stale = 0;
        }
    }
    for (int i = 0; i < SOCKETS; i++)
        sends_forget(&model.s, &model.sender[i]);
    sends_release(&model.s);
}

/* ---- token buckets -------------------------------------------------------------------- */

/* Level in 1/60000 of a token, refilled by `per_minute` each ms: whole numbers, nothing is lost. */
TEST(a_bucket_gives_its_rate_and_its_burst_and_no_more)
{
    struct walk walk = walk_begin("bucket", 3);
    const int64_t per_minute = 700, burst = 30, unit = 60000;
    struct bucket bucket = bucket_full(burst, 0);
    int64_t now_ms = 0, level = burst * unit;

    CHECK_EQ(BUCKET_UNITS, unit);
    for (int step = 0; step < WALK_STEPS; step++) {
        int64_t pause_ms = walk_below(&walk, 50) ? (int64_t)walk_below(&walk, 150) : 20000, wait_ms;

        now_ms += pause_ms;
        level += pause_ms * per_minute;
        if (level > burst * unit)
            level = burst * unit;
        wait_ms = bucket_take(&bucket, per_minute, burst, now_ms);
        CHECK_EQ(wait_ms == 0, level >= unit);
        if (!wait_ms) {
            level -= unit;
            continue;
        }
        /* the wait that it told is enough, and not a ms too long */
        CHECK(level + wait_ms * per_minute >= unit);
        CHECK(level + (wait_ms - 1) * per_minute < unit);
    }
}

/* However long nobody came: no level is lost, and none wraps. */
TEST(a_bucket_is_full_again_after_any_time)
{
    static const int64_t pauses_ms[] = { 20 * 60000, 24 * 3600000, INT64_MAX / 2 };
    static const int64_t rates[] = { 1, 700, 1000000 };

    for (size_t i = 0; i < ARRAY_LEN(rates); i++)
        for (size_t row = 0; row < ARRAY_LEN(pauses_ms); row++) {
            int64_t burst = bucket_burst(rates[i], 3), taken = 0;
            struct bucket bucket = bucket_full(burst, 0);

            while (!bucket_take(&bucket, rates[i], burst, 0))
                taken++;
            CHECK_EQ(taken, burst);
            CHECK(!bucket_is_full(&bucket, rates[i], burst, 0));
            CHECK(bucket_is_full(&bucket, rates[i], burst, pauses_ms[row]));
            while (!bucket_take(&bucket, rates[i], burst, pauses_ms[row]))
                taken++;
            CHECK_EQ(taken, 2 * burst);
        }
}

/* A token of this rate takes no whole number of microseconds. */
TEST(limits_do_not_round_the_rate)
{
    static const int64_t rates[] = { 7000000, 45000000, 100000000 };

    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        struct limits limits;
        int64_t taken = 0, most = 2000 + rates[i] / 1000; /* the burst, and what 60 ms give */

        CHECK_EQ(limits_init(&limits, rates[i], 2000), CQ_OK);
        for (int64_t now_ms = 0; now_ms <= 60; now_ms++)
            while (taken <= most && !limits_take(&limits, id_of(1), now_ms))
                taken++;
        CHECK_EQ(taken, most);
        limits_release(&limits);
    }
}

TEST(limits_are_a_bucket_for_each_key)
{
    enum { KEYS = 20 };
    struct walk walk = walk_begin("limits", 4);
    const int64_t per_minute = 6000, token_us = 10000, burst = 1000;
    struct limits limits;
    int64_t full_us[KEYS] = { 0 }, now_ms = 1000000; /* when each is full again */

    CHECK_EQ(limits_init(&limits, per_minute, bucket_burst(per_minute, 10)), CQ_OK);
    for (int step = 0; step < WALK_STEPS; step++) {
        uint64_t key =
            walk_below(&walk, walk_below(&walk, 4) ? 2 : KEYS); /* two of them are greedy */
        int64_t now_us, at_us, wait_s;

        now_ms += (int64_t)walk_below(&walk, 8);
        now_us = now_ms * 1000;
        at_us = full_us[key] > now_us ? full_us[key] : now_us;
        wait_s = limits_take(&limits, id_of(key), now_ms);
        CHECK_EQ(wait_s == 0, at_us + token_us - now_us <= burst * token_us);
        if (!wait_s)
            full_us[key] = at_us + token_us;
        else /* told in whole seconds, never too early */
            CHECK(at_us + token_us - (now_us + wait_s * 1000000) <= burst * token_us);
    }
    limits_release(&limits);
}

/* ---- backoff -------------------------------------------------------------------------- */

TEST(backoff_stays_in_its_bounds_and_uses_them)
{
    struct walk walk = walk_begin("backoff", 5);
    int64_t most = 0;

    for (int step = 0; step < WALK_STEPS; step++) {
        int attempt = (int)walk_below(&walk, 80);
        int64_t base_ms = 1 + (int64_t)walk_below(&walk, 200),
                cap_ms = (int64_t)walk_below(&walk, 5000);
        int64_t limit = base_ms, got = backoff_ms(attempt, base_ms, cap_ms);

        for (int i = 0; i < attempt && limit < cap_ms; i++)
            limit *= 2;
        if (limit > cap_ms)
            limit = cap_ms;
        CHECK(got >= 1 && got <= (limit > 1 ? limit : 1));
        if (got > most)
            most = got;
    }
    CHECK(most > 4000);
}

/* ---- slots ---------------------------------------------------------------------------- */

enum { SLOTS = 6 };

struct slot_model {
    enum slot_state state;
    uint32_t sessions;
    int64_t open, next, committed; /* first open, one past the last read; -1: nothing known */
};

static int naive_pick(const struct slot_model *model)
{
    int best = -1;

    for (int pass = 0; pass < 2 && best < 0; pass++)
        for (int i = 0; i < SLOTS; i++) {
            if (model[i].state != SLOT_OURS || (pass == 0 && model[i].sessions >= SLOT_PACK))
                continue;
            if (best < 0 || (pass == 0 ? model[i].sessions > model[best].sessions
                                       : model[i].sessions < model[best].sessions))
                best = i;
        }
    return best;
}

TEST(slots_agree_with_a_table)
{
    struct walk walk = walk_begin("slots", 6);
    struct slot_model model[SLOTS] = { { 0 } };
    struct slots slots;

    CHECK_EQ(slots_init(&slots, SLOTS), CQ_OK);
    for (int i = 0; i < SLOTS; i++)
        model[i] = (struct slot_model){ SLOT_AWAY, 0, -1, -1, -1 };
    for (int step = 0; step < WALK_STEPS; step++) {
        int32_t i = (int32_t)walk_below(&walk, SLOTS), ours = 0;
        int64_t position, committed;
        bool same, dirty;
        uint64_t ticket;

        switch (walk_below(&walk, 8)) {
        case 0: /* assigned: mostly what we committed, sometimes somebody else's word */
            committed = walk_below(&walk, 3) ? model[i].committed
                                             : model[i].next + (int64_t)walk_below(&walk, 9);
            position = slots_assigned(&slots, i, committed, &same);
            if (model[i].state != SLOT_AWAY && model[i].next >= 0 && committed <= model[i].open) {
                CHECK_EQ(position, model[i].next); /* we read on; what is open stays open */
                CHECK(same);
            } else {
                CHECK_EQ(position, committed);
                CHECK(same || model[i].sessions);
                model[i].open = model[i].next = model[i].committed = committed;
                CHECK_EQ(window_n(&slots.slot[i].window), 0);
            }
            if (!same)
                slots.slot[i].sessions_n = model[i].sessions = 0; /* the sink moves them */
            model[i].state = SLOT_OURS;
            break;
        case 1:
            slots_park(&slots, i, step);
            if (model[i].state == SLOT_OURS)
                model[i].state = SLOT_PARKED;
            break;
        case 2:
            slots_away(&slots, i);
            model[i] = (struct slot_model){ SLOT_AWAY, 0, -1, -1, -1 };
            slots.slot[i].sessions_n = 0;
            break;
        case 3: /* a commit, as the sink does it */
            if (slots_dirty(&slots, i, &position))
                slots.slot[i].committed = model[i].committed = position;
            break;
        case 4:
        case 5: /* a record that stays open is the last one of this slot until it moves */
            position = model[i].next < 0 ? 0 : model[i].next;
            if (model[i].state != SLOT_OURS)
                break;
            CHECK_EQ(window_add(&slots.slot[i].window, position, &ticket), CQ_OK);
            if (walk_below(&walk, 4)) {
                window_close(&slots.slot[i].window, ticket);
                if (model[i].open == model[i].next)
                    model[i].open = position + 1;
            } else if (model[i].open == model[i].next) {
                model[i].open = position;
            }
            model[i].next = position + 1;
            break;
        default: /* a session comes */
            CHECK_EQ(slots_pick(&slots), naive_pick(model));
            if ((i = slots_pick(&slots)) >= 0)
                model[i].sessions = slots.slot[i].sessions_n +=
                    1 + (uint32_t)walk_below(&walk, 700);
            break;
        }
        for (int slot = 0; slot < SLOTS; slot++) {
            ours += model[slot].state == SLOT_OURS;
            dirty = model[slot].state == SLOT_OURS && model[slot].open >= 0 &&
                    model[slot].open != model[slot].committed;
            CHECK_EQ(slots_dirty(&slots, slot, &position), dirty);
            CHECK_EQ(position, model[slot].open);
        }
        CHECK_EQ(slots.ours_n, ours);
    }
    slots_release(&slots);
}

/* ---- groups: members and roles at every seq, whatever is replayed ------------------------ */

enum { USERS = 8, CHANGES = 1000, NOBODY = -1 };

struct group_change {
    int user, kind; /* 0 join, 1 leave, 2 role */
    enum member_role role;
};

static void change_group(struct group *group, const struct group_change *group_change, int64_t seq)
{
    static const enum member_change_kind roles[] = {
        [MEMBER_ROLE_MEMBER] = MEMBER_CHANGE_KIND_DEMOTE,
        [MEMBER_ROLE_ADMIN] = MEMBER_CHANGE_KIND_PROMOTE,
        [MEMBER_ROLE_OWNER] = MEMBER_CHANGE_KIND_MAKE_OWNER,
    };
    _Static_assert(ARRAY_LEN(roles) == MEMBER_ROLE_N, "a change for each MemberRole");
    struct member_change change = { id_of((uint64_t)group_change->user),
                                    group_change->kind == 1 ? MEMBER_CHANGE_KIND_REMOVE
                                                            : roles[group_change->role] };

    if ((group_change->kind ? group_apply(group, &change, 1, seq)
                            : group_join(group, change.user_id, group_change->role, seq)) != CQ_OK)
        abort();
}

TEST(roles_and_members_are_exact_at_every_seq)
{
    static struct group_change history[CHANGES + 1];
    static int8_t role[CHANGES + 2][USERS]; /* just before each seq; NOBODY: not a member */
    struct walk walk = walk_begin("groups", 7);
    struct groups groups;
    struct group *group;

    groups_init(&groups);
    group = groups_add(&groups, id_of(99));
    CHECK(group != NULL);
    memset(role[1], NOBODY, sizeof role[1]);
    for (int seq = 1; seq <= CHANGES; seq++) {
        int user = (int)walk_below(&walk, USERS);
        struct group_change change = { user, 0, (enum member_role)walk_below(&walk, 3) };

        memcpy(role[seq + 1], role[seq], sizeof role[seq]);
        if (role[seq][user] != NOBODY)
            change.kind = walk_below(&walk, 2) ? 1 : 2;
        role[seq + 1][user] = change.kind == 1 ? NOBODY : (int8_t)change.role;
        history[seq] = change;
        change_group(group, &change, seq);
    }
    for (int step = 0; step < WALK_STEPS; step++) {
        int seq = 1 + (int)walk_below(&walk, CHANGES + 1), user = (int)walk_below(&walk, USERS);
        const struct member_interval *stay;

        if (step % 500 == 0) /* a crash: a stretch is applied again */
            for (int n = 0, from = 1 + (int)walk_below(&walk, CHANGES); n < 30; n++)
                if (from + n <= CHANGES)
                    change_group(group, &history[from + n], from + n);
        stay = group_stay(group, id_of((uint64_t)user), seq);
        CHECK_EQ(stay ? (int)stay->role : NOBODY, role[seq][user]);
    }
    groups_release(&groups);
}
