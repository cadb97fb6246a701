/* SPDX-License-Identifier: MIT */
/* The sink against a fake log, a fake door and fake sockets: scenes first, then a seeded random
 * walk. */
#include "schemas/codec.h"
#include "sinks/websocket/sink.h"
#include "tests/unit/test.h"

#include <stdlib.h>

enum { SLOTS = 3, CONNS = 24, SENT_MAX = 4096, LOG_MAX = 20000, KNOWN = CONNS + 8, NUMBERS = 8192 };

struct fake_conn {
    struct session *session;
    struct cq_id user, device;
    int64_t written; /* number of the last frame; they must come in order */
    int64_t okd;
    int64_t seq_of[NUMBERS]; /* by number */
    int room;                /* frames it takes before it is choked */
    int closed;              /* the close code */
    bool used, awake, out_of_order;
};

/* A submitted action, until it is reported. */
struct fake_sent {
    uint64_t opaque;
    enum user_action_action_kind kind;
    struct cq_id session, user;
    int32_t slot;
    size_t items_n;
    int64_t items[SINK_ITEMS_MAX]; /* seq of each; in the walk it says slot and offset */
};

struct known {
    struct cq_id session, user;
};

struct world {
    struct sink *sink;
    struct fake_conn conns[CONNS];
    struct fake_sent sent[SENT_MAX];
    int sent_n;
    enum cq_status door; /* what submit says */
    int64_t committed[SLOTS];
    bool paused[SLOTS];
    uint8_t next_id[16];
    int64_t now_ms;
    /* for the walk: the log of each slot, one message for one session a record */
    struct {
        struct known to;
        bool owed; /* read, and neither ok'd nor handed back */
    } log[SLOTS][LOG_MAX];
    int64_t log_n[SLOTS], read_next[SLOTS];
    bool owned[SLOTS];
    struct known known[KNOWN]; /* the last session of each socket, and a few that never were */
    int64_t handed_back, okd;
    bool broken_promise;
};

static struct world *w;

static bool port_frame(void *conn, struct cq_span head, struct cq_span body)
{
    struct fake_conn *c = conn;
    char want[32];

    if (!c->room)
        return false;
    c->room--;
    snprintf(want, sizeof want, "{\"n\":%lld,", (long long)++c->written);
    if (!span_eq_str(head, want))
        c->out_of_order = true;
    c->seq_of[c->written % NUMBERS] = atoll((const char *)body.p);
    return true;
}

static void port_wake(void *conn)
{
    ((struct fake_conn *)conn)->awake = true;
}

static void port_close(void *conn, int code, struct cq_span reason)
{
    struct fake_conn *c = conn;

    (void)reason;
    c->session = NULL;
    c->closed = code;
}

static enum cq_status port_submit(void *arg, const struct user_action *a, uint64_t opaque)
{
    struct fake_sent *s = &w->sent[w->sent_n];

    (void)arg;
    if (w->door != CQ_OK || w->sent_n == SENT_MAX)
        return CQ_AGAIN;
    *s = (struct fake_sent){ .opaque = opaque, .kind = a->action.kind, .user = a->user_id };
    switch (a->action.kind) {
    case USER_ACTION_SESSION_OPENED:
        s->session = a->action.u.session_opened.session_id;
        s->slot = a->action.u.session_opened.slot;
        w->known[a->user_id.b[1]] = (struct known){ s->session, s->user };
        break;
    case USER_ACTION_SESSION_CLOSED:
        s->session = a->action.u.session_closed.session_id;
        break;
    default:
        s->session = a->action.u.session_lost.session_id;
        s->items_n = a->action.u.session_lost.items_n;
        for (size_t i = 0; i < s->items_n; i++)
            s->items[i] = a->action.u.session_lost.items[i].seq;
        break;
    }
    w->sent_n++;
    return CQ_OK;
}

static void port_commit(void *arg, int32_t slot, int64_t next, bool wait)
{
    (void)arg;
    (void)wait;
    for (int64_t o = w->committed[slot] < 0 ? 0 : w->committed[slot];
         o < next && o < w->log_n[slot]; o++)
        if (w->log[slot][o].owed) {
            fprintf(stderr, "slot %d committed %lld over %lld\n", slot, (long long)next,
                    (long long)o);
            w->broken_promise = true;
        }
    if (next < w->committed[slot])
        w->broken_promise = true;
    w->committed[slot] = next;
}

static void port_pause(void *arg, int32_t slot, bool pause)
{
    (void)arg;
    w->paused[slot] = pause;
}

static struct cq_id port_new_id(void *arg)
{
    struct cq_id id;

    (void)arg;
    for (int i = 0; i < 16 && ++w->next_id[i] == 0; i++)
        ;
    memcpy(id.b, w->next_id, 16);
    id.b[15] = 0xee;
    return id;
}

static bool world_new(void)
{
    struct sink_conf conf = { .port = { NULL, port_frame, port_wake, port_close, port_submit,
                                        port_commit, port_pause, port_new_id },
                              .slots = SLOTS,
                              .sessions_max = CONNS };

    w = calloc(1, sizeof *w);
    for (int i = 0; i < SLOTS; i++)
        w->committed[i] = -1;
    w->now_ms = 1000;
    if (sink_new(&conf, &w->sink) != CQ_OK)
        return false;
    sink_set_now(w->sink, w->now_ms, w->now_ms);
    return true;
}

static void pass(int64_t ms)
{
    w->now_ms += ms;
    sink_set_now(w->sink, w->now_ms, w->now_ms);
}

static void world_free(void)
{
    for (int i = 0; i < CONNS; i++)
        if (w->conns[i].session)
            sink_close(w->sink, w->conns[i].session);
    sink_free(w->sink);
    free(w);
}

static struct fake_conn *connect_one(int i)
{
    struct fake_conn *c = &w->conns[i];

    *c = (struct fake_conn){ .used = true, .room = 1 << 30 };
    c->user = (struct cq_id){ { 1, (uint8_t)i } };
    c->device = (struct cq_id){ { 2, (uint8_t)i } };
    c->session = sink_open(w->sink, c, c->user, c->device, 77);
    return c;
}

/* The only action under way is one of this kind; take it off and report it. */
static bool settle_one(enum user_action_action_kind kind, enum cq_status st, struct fake_sent *ret)
{
    sink_batch_end(w->sink);
    if (w->sent_n != 1 || w->sent[0].kind != kind) {
        fprintf(stderr, "%d actions, first of kind %d\n", w->sent_n,
                w->sent_n ? (int)w->sent[0].kind : -1);
        return false;
    }
    *ret = w->sent[0];
    w->sent_n = 0;
    sink_report(w->sink, ret->opaque, st);
    return true;
}

static enum cq_status feed_seq(int32_t slot, int64_t offset, int64_t seq, enum ws_entry_kind kind,
                               enum frame_class class, struct cq_id session, struct cq_id user)
{
    struct ws_target to = { user, session };
    char frame[32];
    struct ws_entry entry = { .kind = kind, .class = class, .seq = seq, .to = &to, .to_n = 1 };
    struct ws_push push = { &entry, 1 };
    const char *why = NULL;
    enum cq_status st;
    struct cq_buf out;

    snprintf(frame, sizeof frame, "%lld}", (long long)seq);
    entry.frame = span_str(frame);
    buf_init(&out, 4096);
    st = codec_encode(&ws_push_codec, &push, &out);
    if (st == CQ_OK)
        st = sink_record(w->sink, slot, offset, buf_span(&out), &why);
    buf_release(&out);
    return st;
}

static enum cq_status feed(int32_t slot, int64_t offset, enum ws_entry_kind kind,
                           enum frame_class class, struct cq_id session, struct cq_id user)
{
    return feed_seq(slot, offset, offset, kind, class, session, user);
}

static enum cq_status feed_message(int32_t slot, int64_t offset, const struct fake_sent *to)
{
    return feed(slot, offset, WS_ENTRY_KIND_FRAME, FRAME_CLASS_MESSAGE, to->session, to->user);
}

static enum cq_status feed_ready(int32_t slot, int64_t offset, const struct fake_sent *to)
{
    return feed(slot, offset, WS_ENTRY_KIND_READY, FRAME_CLASS_CONTROL, to->session, to->user);
}

/* ---- scenes */

TEST(sink_registers_a_session_and_confirms_it)
{
    struct fake_sent opened;
    struct fake_conn *c;

    CHECK(world_new());
    sink_assigned(w->sink, 1, 5);
    sink_settled(w->sink);
    c = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(opened.slot, 1);
    CHECK_EQ(feed_ready(1, 5, &opened), CQ_OK);
    CHECK(c->awake);
    CHECK(sink_pump(w->sink, c->session));
    CHECK_EQ(c->written, 1);
    CHECK_EQ(sink_stats(w->sink)->ready, 1);
    CHECK_EQ(feed_ready(1, 6, &opened), CQ_OK); /* repeated after a crash of its writer */
    CHECK(sink_pump(w->sink, c->session));
    CHECK_EQ(c->written, 1);
    sink_tick(w->sink);
    CHECK_EQ(w->committed[1], -1); /* what was committed before needs no commit */
    CHECK(sink_ok(w->sink, c->session, 1));
    sink_tick(w->sink);
    CHECK_EQ(w->committed[1], 7);
    world_free();
}

TEST(sink_waits_for_a_slot_and_then_gives_up)
{
    struct fake_sent opened;
    struct fake_conn *a, *b;

    CHECK(world_new());
    a = connect_one(0);
    sink_batch_end(w->sink);
    CHECK_EQ(w->sent_n, 0);
    sink_assigned(w->sink, 0, -1);
    sink_settled(w->sink);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    sink_revoked(w->sink, 0, true);
    sink_batch_end(w->sink);
    w->sent_n = 0;
    b = connect_one(1);
    pass(SINK_PLACE_WITHIN_MS);
    sink_session_tick(w->sink, b->session);
    CHECK_EQ(b->closed, 0);
    pass(1);
    sink_session_tick(w->sink, b->session);
    sink_session_tick(w->sink, a->session);
    CHECK_EQ(b->closed, 1013);
    CHECK_EQ(a->closed, 1013);
    sink_batch_end(w->sink);
    CHECK_EQ(w->sent_n, 0); /* nobody had heard of b */
    world_free();
}

TEST(sink_retries_the_opening_while_the_socket_lives)
{
    struct fake_sent opened;
    struct fake_conn *c;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    c = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_AGAIN, &opened));
    sink_tick(w->sink);
    CHECK_EQ(w->sent_n, 0); /* after a rest */
    pass(200);
    sink_tick(w->sink);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_AGAIN, &opened));
    sink_close(w->sink, c->session); /* it may be in the log: say that it closed */
    c->session = NULL;
    CHECK(settle_one(USER_ACTION_SESSION_CLOSED, CQ_OK, &opened));
    pass(10000);
    sink_tick(w->sink);
    CHECK_EQ(w->sent_n, 0);
    CHECK(sink_is_settled(w->sink));
    world_free();
}

TEST(sink_hands_back_messages_of_a_closed_socket_before_it_commits)
{
    struct fake_sent opened, lost;
    struct fake_conn *c;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    c = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(feed_ready(0, 0, &opened), CQ_OK);
    CHECK_EQ(feed_message(0, 1, &opened), CQ_OK);
    CHECK_EQ(feed(0, 2, WS_ENTRY_KIND_FRAME, FRAME_CLASS_STATUS, opened.session, opened.user),
             CQ_OK);
    CHECK_EQ(feed_message(0, 3, &opened), CQ_OK);
    CHECK(sink_pump(w->sink, c->session));
    CHECK(sink_ok(w->sink, c->session, 1));
    sink_tick(w->sink);
    CHECK_EQ(w->committed[0], 1);
    sink_close(w->sink, c->session);
    c->session = NULL;
    sink_tick(w->sink);
    CHECK_EQ(w->committed[0], 1);
    CHECK(settle_one(USER_ACTION_SESSION_LOST, CQ_AGAIN, &lost));
    CHECK_EQ(lost.items_n, 2);
    CHECK_EQ(lost.items[0], 1);
    CHECK_EQ(lost.items[1], 3);
    sink_tick(w->sink);
    CHECK_EQ(w->committed[0], 1); /* unknown is not stored */
    pass(1000);
    sink_tick(w->sink);
    CHECK(settle_one(USER_ACTION_SESSION_LOST, CQ_OK, &lost));
    sink_tick(w->sink);
    CHECK_EQ(w->committed[0], 4);
    world_free();
}

TEST(sink_returns_what_is_for_sessions_that_are_not_here)
{
    struct fake_sent gone = { .session = { { 9 } }, .user = { { 8 } } }, lost;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    CHECK_EQ(feed_ready(0, 0, &gone), CQ_OK);
    CHECK_EQ(feed_message(0, 1, &gone), CQ_OK);
    CHECK_EQ(feed(0, 2, WS_ENTRY_KIND_FRAME, FRAME_CLASS_MEMBER, gone.session, gone.user), CQ_OK);
    CHECK_EQ(feed_message(0, 3, &gone), CQ_OK);
    CHECK_EQ(
        feed(0, 4, WS_ENTRY_KIND_CLOSE, FRAME_CLASS_CONTROL, (struct cq_id){ { 7 } }, gone.user),
        CQ_OK);
    CHECK(settle_one(USER_ACTION_SESSION_LOST, CQ_OK, &lost)); /* one for the whole batch */
    CHECK(id_eq(lost.session, gone.session));
    CHECK(id_eq(lost.user, gone.user));
    CHECK_EQ(lost.items_n, 2);
    sink_tick(w->sink);
    CHECK_EQ(w->committed[0], 5);
    world_free();
}

TEST(sink_closes_a_socket_that_does_not_ok)
{
    struct fake_sent opened, lost;
    struct fake_conn *c;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    c = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(feed_ready(0, 0, &opened), CQ_OK);
    CHECK_EQ(feed_message(0, 1, &opened), CQ_OK);
    CHECK(sink_pump(w->sink, c->session));
    CHECK(sink_ok(w->sink, c->session, 1));
    pass(SINK_OK_WITHIN_MS);
    sink_session_tick(w->sink, c->session);
    CHECK_EQ(c->closed, 0);
    pass(1);
    sink_session_tick(w->sink, c->session);
    CHECK_EQ(c->closed, 4408);
    CHECK(settle_one(USER_ACTION_SESSION_LOST, CQ_OK, &lost));
    CHECK_EQ(lost.items_n, 1);
    world_free();
}

TEST(sink_closes_a_socket_that_is_too_slow_and_loses_nothing)
{
    struct fake_sent opened;
    struct fake_conn *c;
    int64_t o = 1;
    size_t items = 0;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    c = connect_one(0);
    c->room = 0;
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(feed_ready(0, 0, &opened), CQ_OK);
    while (!c->closed && o < 10000) {
        CHECK_EQ(feed_message(0, o, &opened), CQ_OK);
        o++;
    }
    CHECK_EQ(c->closed, 1013);
    sink_batch_end(w->sink);
    while (w->sent_n) {
        struct fake_sent s = w->sent[--w->sent_n];

        CHECK_EQ(s.kind, USER_ACTION_SESSION_LOST);
        items += s.items_n;
        sink_report(w->sink, s.opaque, CQ_OK);
    }
    CHECK_EQ(items, o - 1);
    sink_tick(w->sink);
    CHECK_EQ(w->committed[0], o);
    world_free();
}

TEST(sink_ends_a_session_that_the_log_closes)
{
    struct fake_sent opened, closed;
    struct fake_conn *c;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    c = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(feed(0, 0, WS_ENTRY_KIND_CLOSE, FRAME_CLASS_CONTROL, opened.session, opened.user),
             CQ_OK);
    CHECK_EQ(c->closed, 4401);
    CHECK(settle_one(USER_ACTION_SESSION_CLOSED, CQ_OK, &closed));
    world_free();
}

TEST(sink_moves_sessions_of_a_slot_that_went_away)
{
    struct fake_sent opened, again;
    struct fake_conn *c;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    c = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(feed_ready(0, 0, &opened), CQ_OK);
    CHECK_EQ(feed_message(0, 1, &opened), CQ_OK);
    CHECK(sink_pump(w->sink, c->session));
    sink_revoked(w->sink, 0, false);
    sink_assigned(w->sink, 2, -1); /* another one in its place */
    sink_settled(w->sink);
    sink_batch_end(w->sink);
    CHECK_EQ(w->sent_n, 2);
    CHECK_EQ(w->sent[0].kind, USER_ACTION_SESSION_LOST);
    CHECK_EQ(w->sent[0].items_n, 1);
    CHECK_EQ(w->sent[1].kind, USER_ACTION_SESSION_OPENED);
    CHECK_EQ(w->sent[1].slot, 2);
    again = w->sent[1];
    CHECK(!id_eq(again.session, opened.session));
    CHECK_EQ(c->closed, 0);
    CHECK_EQ(feed_ready(2, 0, &again), CQ_OK);
    CHECK(sink_pump(w->sink, c->session));
    CHECK_EQ(c->written, 3); /* the socket's numbers go on */
    CHECK(!c->out_of_order);
    CHECK(sink_ok(w->sink, c->session, 3));
    world_free();
}

TEST(sink_keeps_sessions_over_a_rebalance_that_changes_nothing)
{
    struct fake_sent opened;
    struct fake_conn *c;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    c = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(feed_ready(0, 0, &opened), CQ_OK);
    CHECK_EQ(feed_message(0, 1, &opened), CQ_OK);
    sink_revoked(w->sink, 0, false);
    CHECK_EQ(sink_assigned(w->sink, 0, 0), 2);
    sink_settled(w->sink);
    CHECK(sink_pump(w->sink, c->session));
    CHECK(sink_ok(w->sink, c->session, 2));
    sink_tick(w->sink);
    CHECK_EQ(w->committed[0], 2);
    CHECK_EQ(w->sent_n, 0);
    CHECK_EQ(sink_stats(w->sink)->moved, 0);
    world_free();
}

TEST(sink_steps_over_poison_only_when_told)
{
    const char *why = NULL;

    CHECK(world_new());
    sink_assigned(w->sink, 0, 4);
    CHECK_EQ(sink_record(w->sink, 0, 4, span_str("junk"), &why), CQ_POISON);
    CHECK(why);
    sink_tick(w->sink);
    CHECK_EQ(w->committed[0], -1);
    CHECK_EQ(sink_record(w->sink, 0, 4, (struct cq_span){ 0 }, &why), CQ_OK);
    sink_tick(w->sink);
    CHECK_EQ(w->committed[0], 5);
    world_free();
}

/* ---- the walk: whatever happens, a slot is committed only past messages that were ok'd or handed
 * back */

static void done_with(int64_t seq)
{
    w->log[seq % SLOTS][seq / SLOTS].owed = false;
}

static void report_one(void)
{
    int i = rand() % w->sent_n;
    struct fake_sent s = w->sent[i];
    enum cq_status st = rand() % 10 ? CQ_OK : CQ_AGAIN;

    w->sent[i] = w->sent[--w->sent_n];
    for (size_t k = 0; st == CQ_OK && k < s.items_n; k++)
        done_with(s.items[k]);
    w->handed_back += st == CQ_OK ? (int64_t)s.items_n : 0;
    sink_report(w->sink, s.opaque, st);
}

static void write_log(void)
{
    int32_t slot = rand() % SLOTS;
    int64_t o = w->log_n[slot];

    if (o < LOG_MAX) {
        w->log[slot][o].to = w->known[rand() % KNOWN];
        w->log_n[slot]++;
    }
}

static void read_log(int32_t slot)
{
    for (int n = rand() % 8;
         n-- && w->owned[slot] && !w->paused[slot] && w->read_next[slot] < w->log_n[slot];) {
        int64_t o = w->read_next[slot]++;
        struct known to = w->log[slot][o].to;

        w->log[slot][o].owed = true;
        if (feed_seq(slot, o, o * SLOTS + slot, WS_ENTRY_KIND_FRAME, FRAME_CLASS_MESSAGE,
                     to.session, to.user) != CQ_OK)
            w->broken_promise = true;
    }
}

static void use_socket(int i)
{
    struct fake_conn *c = &w->conns[i];
    int dice = rand() % 20;

    if (!c->session) {
        if (dice < 4)
            connect_one(i)->room = rand() % 50;
        return;
    }
    if (dice < 8) {
        c->room = rand() % 50;
        sink_pump(w->sink, c->session);
    } else if (dice < 14) {
        int64_t n = c->okd + rand() % (c->written - c->okd + 1);

        for (; c->okd < n; w->okd++)
            done_with(c->seq_of[++c->okd % NUMBERS]);
        if (!sink_ok(w->sink, c->session, n))
            w->broken_promise = true;
    } else if (dice == 14 && rand() % 4 == 0) {
        sink_close(w->sink, c->session);
        c->session = NULL;
    } else {
        sink_session_tick(w->sink, c->session);
    }
}

/* Everything is taken; then some slots, mostly the same, are ours. One that went away may come back
 * later. */
static void rebalance(bool lost)
{
    for (int32_t i = 0; i < SLOTS; i++)
        if (w->owned[i])
            sink_revoked(w->sink, i, lost);
    for (int32_t i = 0; i < SLOTS; i++) {
        w->owned[i] = rand() % 4 != 0;
        if (w->owned[i]) {
            int64_t from = sink_assigned(w->sink, i, w->committed[i]);

            w->read_next[i] = from < 0 ? 0 : from;
            w->paused[i] = false;
        }
    }
    sink_settled(w->sink);
}

static void walk(unsigned seed)
{
    srand(seed);
    for (int i = 0; i < KNOWN; i++)
        w->known[i].session.b[3] = (uint8_t)(i + 1); /* of another gateway's past */
    rebalance(false);
    for (int step = 0; step < 100000 && !w->broken_promise; step++) {
        int dice = rand() % 100;

        w->door = rand() % 50 ? CQ_OK : CQ_AGAIN;
        if (dice < 15)
            write_log();
        else if (dice < 30)
            read_log(rand() % SLOTS);
        else if (dice < 75)
            use_socket(rand() % CONNS);
        else if (dice < 85 && w->sent_n)
            report_one();
        else if (dice < 92)
            sink_batch_end(w->sink);
        else if (dice < 99)
            sink_tick(w->sink);
        else if (rand() % 80 == 0)
            rebalance(rand() % 3 == 0);
        pass(rand() % 30);
        for (int i = 0; i < CONNS; i++)
            CHECK(!w->conns[i].out_of_order);
    }
    CHECK(!w->broken_promise);
    CHECK(w->handed_back > 1000);
    CHECK(w->okd > 1000);
}

/* At the end everything drains: the last commit is the end of the log. */
static void drain(void)
{
    for (int32_t i = 0; i < SLOTS; i++)
        w->owned[i] = false;
    rebalance(true);
    for (int32_t i = 0; i < SLOTS; i++) {
        if (!w->owned[i])
            w->read_next[i] = sink_assigned(w->sink, i, w->committed[i]);
        w->owned[i] = true;
        if (w->read_next[i] < 0)
            w->read_next[i] = 0;
    }
    for (int i = 0; i < CONNS; i++)
        if (w->conns[i].session) {
            sink_close(w->sink, w->conns[i].session);
            w->conns[i].session = NULL;
        }
    w->door = CQ_OK;
    for (int turn = 0; turn < 5000; turn++) {
        for (int32_t i = 0; i < SLOTS; i++)
            read_log(i);
        sink_batch_end(w->sink);
        while (w->sent_n)
            report_one();
        pass(100);
        sink_tick(w->sink);
    }
    CHECK(sink_is_settled(w->sink));
    for (int32_t i = 0; i < SLOTS; i++)
        CHECK_EQ(w->committed[i], w->log_n[i]);
    CHECK_EQ(sink_stats(w->sink)->frames_open, 0);
    CHECK_EQ(sink_stats(w->sink)->held_bytes, 0);
}

TEST(sink_never_commits_over_a_message_it_still_owes)
{
    for (unsigned seed = 1; seed <= 6 && !test_failed; seed++) {
        CHECK(world_new());
        walk(seed);
        if (!test_failed)
            drain();
        if (test_failed) {
            fprintf(stderr, "seed %u\n", seed);
            return;
        }
        world_free();
    }
}
