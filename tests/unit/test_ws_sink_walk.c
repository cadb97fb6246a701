/* SPDX-License-Identifier: MIT */
/* A seeded random walk of the sink: whatever happens, a slot is committed only past messages that
 * were ok'd or handed back. */
#include "tests/unit/ws_world.h"

static void done_with(int64_t seq)
{
    w->log[seq % SLOTS][seq / SLOTS].owed = false;
}

static void report_one(void)
{
    int i = rand() % w->sent_n;
    struct fake_sent sent = w->sent[i];
    enum cq_status st = rand() % 10 ? CQ_OK : CQ_AGAIN;

    w->sent[i] = w->sent[--w->sent_n];
    for (size_t k = 0; st == CQ_OK && k < sent.items_n; k++)
        done_with(sent.items[k]);
    w->handed_back += st == CQ_OK ? (int64_t)sent.items_n : 0;
    sink_report(w->sink, sent.opaque, st);
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
    struct fake_conn *conn = &w->conns[i];
    int dice = rand() % 20;

    if (!conn->session) {
        if (dice < 4)
            connect_one(i)->room = rand() % 50;
        return;
    }
    if (dice < 8) {
        conn->room = rand() % 50;
        sink_pump(w->sink, conn->session);
    } else if (dice < 14) {
        int64_t n = conn->okd + rand() % (conn->written - conn->okd + 1);

        for (; conn->okd < n; w->okd++)
            done_with(conn->seq_of[++conn->okd % NUMBERS]);
        if (!sink_ok(w->sink, conn->session, n))
            w->broken_promise = true;
    } else if (dice == 14 && rand() % 4 == 0) {
        sink_close(w->sink, conn->session);
        conn->session = NULL;
    } else {
        sink_session_tick(w->sink, conn->session);
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
