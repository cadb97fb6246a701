/* SPDX-License-Identifier: MIT */
/*
 * Pure cores, each walked at random beside a model that is too simple to be wrong. (The window, the
 * table of ids and the dedupe window have theirs in test_window.c, test_idmap.c, test_dedupe.c.)
 */
#include "tests/unit/test.h"

#include "edge/rest/limits.h"
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
    struct walk w = walk_begin("frontier", 1);
    struct frontier a, b, read;
    int64_t naive[2][PARTS] = { { 0 } };
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf text;

    frontier_init(&a, 3, PARTS);
    frontier_init(&b, 3, PARTS);
    buf_init(&text, 4096);
    for (int step = 0; step < WALK_STEPS; step++) {
        int which = (int)walk_below(&w, 2);
        int32_t p = (int32_t)walk_below(&w, PARTS + 2) - 1; /* -1 and PARTS: none of ours */
        int64_t next = (int64_t)walk_below(&w, 20 + (uint64_t)step / 50);
        bool covers = true;

        frontier_advance(which ? &b : &a, p, next);
        if (p >= 0 && p < PARTS && next > naive[which][p])
            naive[which][p] = next;
        for (int i = 0; i < PARTS; i++)
            covers &= naive[0][i] >= naive[1][i];
        CHECK_EQ(frontier_covers(&a, &b), covers);
        if (step % 16)
            continue;
        buf_clear(&text);
        frontier_format(&a, &text);
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
    struct pending_model *m = arg;

    (void)sender;
    (void)client_id;
    memcpy(&m->answered[m->answered_n], id.b, sizeof(uint64_t));
    m->stored[m->answered_n++] = stored;
}

/* Expect that the open ones of `socket` from position `from` on were answered "unknown", in order,
 * beginning with answer `at`; close them in the model. Returns the answers used, -1: not so. */
static int fail_in_model(struct pending_model *m, int socket, int from, int at)
{
    int n = 0;

    for (int i = from; i < m->sent_n; i++) {
        if (!m->sent[i].open || m->sent[i].socket != socket)
            continue;
        if (at + n >= m->answered_n || m->answered[at + n] != m->sent[i].id || m->stored[at + n])
            return -1;
        m->sent[i].open = false;
        n++;
    }
    return n;
}

static void drop_answered(struct pending_model *m)
{
    int kept = 0;

    for (int i = 0; i < m->sent_n; i++)
        if (m->sent[i].open)
            m->sent[kept++] = m->sent[i];
    m->sent_n = kept;
}

static bool add_one(struct pending_model *m, struct walk *w, uint64_t id, int64_t now_ms)
{
    int socket = (int)walk_below(w, SOCKETS);
    struct sender *sender = &m->sender[socket];
    /* sometimes the one that was nacked, which opens the gate */
    struct cq_id mid = sender->shut && walk_below(w, 2) ? sender->refused[0] : id_of(id);
    bool passes = !sender->shut || id_eq(sender->refused[0], mid); /* each other id is a new one */
    enum sends_verdict v = sends_admit(&m->s, sender, mid);

    memcpy(&id, mid.b, sizeof id);
    if (v == SENDS_FULL)
        return passes && sender->n == SENDS_SOCKET_MAX && sender->shut;
    if ((v == SENDS_ADMITTED) != passes)
        return false;
    if (v != SENDS_ADMITTED)
        return true;
    m->sent[m->sent_n].opaque = sends_add(&m->s, sender, mid, span_str("c"), now_ms);
    m->sent[m->sent_n].id = id;
    m->sent[m->sent_n].socket = socket;
    m->sent[m->sent_n].at_ms = now_ms;
    m->sent[m->sent_n++].open = true;
    return true;
}

static bool report_one(struct pending_model *m, struct walk *w)
{
    int i = (int)walk_below(w, (uint64_t)m->sent_n);
    bool good = walk_below(w, 20) != 0;

    sends_report(&m->s, m->sent[i].opaque, good ? CQ_OK : CQ_AGAIN);
    if (good) {
        m->sent[i].open = false;
        return m->answered_n == 1 && m->answered[0] == m->sent[i].id && m->stored[0];
    }
    return fail_in_model(m, m->sent[i].socket, i, 0) == m->answered_n &&
           m->sender[m->sent[i].socket].shut;
}

static bool expire(struct pending_model *m, int64_t now_ms)
{
    int at = 0;

    sends_expire(&m->s, now_ms);
    for (int i = 0; i < m->sent_n && now_ms - m->sent[i].at_ms > SENDS_WITHIN_MS; i++)
        if (m->sent[i].open) {
            int n = fail_in_model(m, m->sent[i].socket, i, at);

            if (n < 0)
                return false;
            at += n;
        }
    return at == m->answered_n;
}

static bool forget(struct pending_model *m, int socket)
{
    sends_forget(&m->s, &m->sender[socket]);
    for (int i = 0; i < m->sent_n; i++)
        m->sent[i].open &= m->sent[i].socket != socket;
    return m->answered_n == 0 && !m->sender[socket].shut;
}

TEST(every_send_has_one_answer_and_nothing_passes_a_failed_one)
{
    static struct pending_model m;
    struct walk w = walk_begin("sends", 2);
    int64_t now_ms = 0;
    uint64_t stale = 0;

    sends_init(&m.s, on_answer, &m);
    for (int step = 0; step < WALK_STEPS; step++) {
        uint64_t dice = walk_below(&w, 100);

        m.answered_n = 0;
        now_ms += (int64_t)walk_below(&w, 30);
        if ((dice < 60 || !m.sent_n) && m.sent_n < PENDING)
            CHECK(add_one(&m, &w, (uint64_t)step + 1, now_ms));
        else if (dice < 96) {
            stale = m.sent[0].opaque;
            CHECK(report_one(&m, &w));
        } else if (dice == 96) {
            sends_undo(&m.s, m.sent[m.sent_n - 1].opaque);
            m.sent[m.sent_n - 1].open = false;
            CHECK_EQ(m.answered_n, 0);
        } else if (dice == 97)
            CHECK(forget(&m, (int)walk_below(&w, SOCKETS)));
        else
            CHECK(expire(&m, now_ms));
        drop_answered(&m);
        CHECK_EQ(m.s.n, m.sent_n);
        if (stale && (!m.sent_n || m.sent[0].opaque != stale)) {
            m.answered_n = 0;
            for (int i = 0; i < m.sent_n; i++)
                if (m.sent[i].opaque == stale)
                    stale = 0;
            if (stale)
                sends_report(&m.s, stale, CQ_OK); /* late: of one that was answered */
            CHECK_EQ(m.answered_n, 0);
            stale = 0;
        }
    }
    for (int i = 0; i < SOCKETS; i++)
        sends_forget(&m.s, &m.sender[i]);
    sends_release(&m.s);
}

/* ---- token buckets -------------------------------------------------------------------- */

/* Level in 1/60000 of a token, refilled by `per_minute` each ms: whole numbers, nothing is lost. */
TEST(a_bucket_gives_its_rate_and_its_burst_and_no_more)
{
    struct walk w = walk_begin("bucket", 3);
    const int64_t per_minute = 700, burst = 30, unit = 60000;
    struct bucket b = bucket_full(burst, 0);
    int64_t now_ms = 0, level = burst * unit;

    CHECK_EQ(BUCKET_UNITS, unit);
    for (int step = 0; step < WALK_STEPS; step++) {
        int64_t pause_ms = walk_below(&w, 50) ? (int64_t)walk_below(&w, 150) : 20000, wait_ms;

        now_ms += pause_ms;
        level += pause_ms * per_minute;
        if (level > burst * unit)
            level = burst * unit;
        wait_ms = bucket_take(&b, per_minute, burst, now_ms);
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
        for (size_t k = 0; k < ARRAY_LEN(pauses_ms); k++) {
            int64_t burst = bucket_burst(rates[i], 3), taken = 0;
            struct bucket b = bucket_full(burst, 0);

            while (!bucket_take(&b, rates[i], burst, 0))
                taken++;
            CHECK_EQ(taken, burst);
            CHECK(!bucket_is_full(&b, rates[i], burst, 0));
            CHECK(bucket_is_full(&b, rates[i], burst, pauses_ms[k]));
            while (!bucket_take(&b, rates[i], burst, pauses_ms[k]))
                taken++;
            CHECK_EQ(taken, 2 * burst);
        }
}

/* A token of this rate takes no whole number of microseconds. */
TEST(limits_do_not_round_the_rate)
{
    static const int64_t rates[] = { 7000000, 45000000, 100000000 };

    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        struct limits l;
        int64_t taken = 0, most = 2000 + rates[i] / 1000; /* the burst, and what 60 ms give */

        CHECK_EQ(limits_init(&l, rates[i], 2000), CQ_OK);
        for (int64_t now_ms = 0; now_ms <= 60; now_ms++)
            while (taken <= most && !limits_take(&l, id_of(1), now_ms))
                taken++;
        CHECK_EQ(taken, most);
        limits_release(&l);
    }
}

TEST(limits_are_a_bucket_for_each_key)
{
    enum { KEYS = 20 };
    struct walk w = walk_begin("limits", 4);
    const int64_t per_minute = 6000, token_us = 10000, burst = 1000;
    struct limits l;
    int64_t full_us[KEYS] = { 0 }, now_ms = 1000000; /* when each is full again */

    CHECK_EQ(limits_init(&l, per_minute, bucket_burst(per_minute, 10)), CQ_OK);
    for (int step = 0; step < WALK_STEPS; step++) {
        uint64_t k = walk_below(&w, walk_below(&w, 4) ? 2 : KEYS); /* two of them are greedy */
        int64_t now_us, at_us, wait_s;

        now_ms += (int64_t)walk_below(&w, 8);
        now_us = now_ms * 1000;
        at_us = full_us[k] > now_us ? full_us[k] : now_us;
        wait_s = limits_take(&l, id_of(k), now_ms);
        CHECK_EQ(wait_s == 0, at_us + token_us - now_us <= burst * token_us);
        if (!wait_s)
            full_us[k] = at_us + token_us;
        else /* told in whole seconds, never too early */
            CHECK(at_us + token_us - (now_us + wait_s * 1000000) <= burst * token_us);
    }
    limits_release(&l);
}

/* ---- backoff -------------------------------------------------------------------------- */

TEST(backoff_stays_in_its_bounds_and_uses_them)
{
    struct walk w = walk_begin("backoff", 5);
    int64_t most = 0;

    for (int step = 0; step < WALK_STEPS; step++) {
        int attempt = (int)walk_below(&w, 80);
        int64_t base_ms = 1 + (int64_t)walk_below(&w, 200), cap_ms = (int64_t)walk_below(&w, 5000);
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

static int naive_pick(const struct slot_model *m)
{
    int best = -1;

    for (int pass = 0; pass < 2 && best < 0; pass++)
        for (int i = 0; i < SLOTS; i++) {
            if (m[i].state != SLOT_OURS || (pass == 0 && m[i].sessions >= SLOT_PACK))
                continue;
            if (best < 0 ||
                (pass == 0 ? m[i].sessions > m[best].sessions : m[i].sessions < m[best].sessions))
                best = i;
        }
    return best;
}

TEST(slots_agree_with_a_table)
{
    struct walk w = walk_begin("slots", 6);
    struct slot_model m[SLOTS] = { { 0 } };
    struct slots s;

    CHECK_EQ(slots_init(&s, SLOTS), CQ_OK);
    for (int i = 0; i < SLOTS; i++)
        m[i] = (struct slot_model){ SLOT_AWAY, 0, -1, -1, -1 };
    for (int step = 0; step < WALK_STEPS; step++) {
        int32_t i = (int32_t)walk_below(&w, SLOTS), ours = 0;
        int64_t position, committed;
        bool same, dirty;
        uint64_t ticket;

        switch (walk_below(&w, 8)) {
        case 0: /* assigned: mostly what we committed, sometimes somebody else's word */
            committed = walk_below(&w, 3) ? m[i].committed : m[i].next + (int64_t)walk_below(&w, 9);
            position = slots_assigned(&s, i, committed, &same);
            if (m[i].state != SLOT_AWAY && m[i].next >= 0 && committed <= m[i].open) {
                CHECK_EQ(position, m[i].next); /* we read on; what is open stays open */
                CHECK(same);
            } else {
                CHECK_EQ(position, committed);
                CHECK(same || m[i].sessions);
                m[i].open = m[i].next = m[i].committed = committed;
                CHECK_EQ(window_n(&s.slot[i].window), 0);
            }
            if (!same)
                s.slot[i].sessions_n = m[i].sessions = 0; /* the sink moves them */
            m[i].state = SLOT_OURS;
            break;
        case 1:
            slots_park(&s, i, step);
            if (m[i].state == SLOT_OURS)
                m[i].state = SLOT_PARKED;
            break;
        case 2:
            slots_away(&s, i);
            m[i] = (struct slot_model){ SLOT_AWAY, 0, -1, -1, -1 };
            s.slot[i].sessions_n = 0;
            break;
        case 3: /* a commit, as the sink does it */
            if (slots_dirty(&s, i, &position))
                s.slot[i].committed = m[i].committed = position;
            break;
        case 4:
        case 5: /* a record that stays open is the last one of this slot until it moves */
            position = m[i].next < 0 ? 0 : m[i].next;
            if (m[i].state != SLOT_OURS)
                break;
            CHECK_EQ(window_add(&s.slot[i].window, position, &ticket), CQ_OK);
            if (walk_below(&w, 4)) {
                window_close(&s.slot[i].window, ticket);
                if (m[i].open == m[i].next)
                    m[i].open = position + 1;
            } else if (m[i].open == m[i].next) {
                m[i].open = position;
            }
            m[i].next = position + 1;
            break;
        default: /* a session comes */
            CHECK_EQ(slots_pick(&s), naive_pick(m));
            if ((i = slots_pick(&s)) >= 0)
                m[i].sessions = s.slot[i].sessions_n += 1 + (uint32_t)walk_below(&w, 700);
            break;
        }
        for (int k = 0; k < SLOTS; k++) {
            ours += m[k].state == SLOT_OURS;
            dirty = m[k].state == SLOT_OURS && m[k].open >= 0 && m[k].open != m[k].committed;
            CHECK_EQ(slots_dirty(&s, k, &position), dirty);
            CHECK_EQ(position, m[k].open);
        }
        CHECK_EQ(s.ours_n, ours);
    }
    slots_release(&s);
}

/* ---- groups: members and roles at every seq, whatever is replayed ------------------------ */

enum { USERS = 8, CHANGES = 1000, NOBODY = -1 };

struct group_change {
    int user, kind; /* 0 join, 1 leave, 2 role */
    enum member_role role;
};

static void change_group(struct group *g, const struct group_change *c, int64_t seq)
{
    static const enum member_change_kind roles[] = {
        [MEMBER_ROLE_MEMBER] = MEMBER_CHANGE_KIND_DEMOTE,
        [MEMBER_ROLE_ADMIN] = MEMBER_CHANGE_KIND_PROMOTE,
        [MEMBER_ROLE_OWNER] = MEMBER_CHANGE_KIND_MAKE_OWNER,
    };
    _Static_assert(ARRAY_LEN(roles) == MEMBER_ROLE_N, "a change for each MemberRole");
    struct member_change change = { id_of((uint64_t)c->user),
                                    c->kind == 1 ? MEMBER_CHANGE_KIND_REMOVE : roles[c->role] };

    if ((c->kind ? group_apply(g, &change, 1, seq) : group_join(g, change.user_id, c->role, seq)) !=
        CQ_OK)
        abort();
}

TEST(roles_and_members_are_exact_at_every_seq)
{
    static struct group_change history[CHANGES + 1];
    static int8_t role[CHANGES + 2][USERS]; /* just before each seq; NOBODY: not a member */
    struct walk w = walk_begin("groups", 7);
    struct groups groups;
    struct group *g;

    groups_init(&groups);
    g = groups_add(&groups, id_of(99));
    CHECK(g != NULL);
    memset(role[1], NOBODY, sizeof role[1]);
    for (int seq = 1; seq <= CHANGES; seq++) {
        int u = (int)walk_below(&w, USERS);
        struct group_change c = { u, 0, (enum member_role)walk_below(&w, 3) };

        memcpy(role[seq + 1], role[seq], sizeof role[seq]);
        if (role[seq][u] != NOBODY)
            c.kind = walk_below(&w, 2) ? 1 : 2;
        role[seq + 1][u] = c.kind == 1 ? NOBODY : (int8_t)c.role;
        history[seq] = c;
        change_group(g, &c, seq);
    }
    for (int step = 0; step < WALK_STEPS; step++) {
        int seq = 1 + (int)walk_below(&w, CHANGES + 1), u = (int)walk_below(&w, USERS);
        const struct member_interval *stay;

        if (step % 500 == 0) /* a crash: a stretch is applied again */
            for (int n = 0, from = 1 + (int)walk_below(&w, CHANGES); n < 30; n++)
                if (from + n <= CHANGES)
                    change_group(g, &history[from + n], from + n);
        stay = group_stay(g, id_of((uint64_t)u), seq);
        CHECK_EQ(stay ? (int)stay->role : NOBODY, role[seq][u]);
    }
    groups_release(&groups);
}
