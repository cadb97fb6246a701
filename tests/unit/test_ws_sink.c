/* SPDX-License-Identifier: MIT */
/* The sink against a fake log, a fake door and fake sockets, scene by scene. */
#include "tests/unit/ws_world.h"

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

TEST(a_session_is_told_of_changes_of_members_apart_from_the_frame)
{
    struct fake_sent opened;
    struct fake_conn *conn;

    CHECK(world_new());
    CHECK(!sink_owns(w->sink, 1));
    sink_assigned(w->sink, 1, 5);
    sink_settled(w->sink);
    CHECK(sink_owns(w->sink, 1) && !sink_owns(w->sink, 0) && !sink_owns(w->sink, SLOTS));
    conn = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK(id_is_zero(sink_session_id(conn->session)));
    CHECK_EQ(feed_ready(1, 5, &opened), CQ_OK);
    CHECK(id_eq(sink_session_id(conn->session), opened.session));
    CHECK_EQ(feed_message(1, 6, &opened), CQ_OK);
    CHECK_EQ(feed(1, 7, WS_ENTRY_KIND_FRAME, FRAME_CLASS_CHANGE, opened.session, opened.user),
             CQ_OK);
    CHECK(id_is_zero(conn->members_of));
    CHECK_EQ(feed(1, 8, WS_ENTRY_KIND_FRAME, FRAME_CLASS_MEMBER, opened.session, opened.user),
             CQ_OK);
    CHECK(id_eq(conn->members_of, (struct cq_id){ { 9 } }));
    CHECK(id_is_zero(conn->parted_of));
    CHECK_EQ(feed(1, 9, WS_ENTRY_KIND_FRAME, FRAME_CLASS_BLOCK, opened.session, opened.user),
             CQ_OK);
    CHECK(id_eq(conn->parted_of, (struct cq_id){ { 9 } }));
    sink_revoked(w->sink, 1, false); /* a rebalance that may give it back */
    CHECK(sink_owns(w->sink, 1));
    world_free();
}

TEST(sink_registers_a_session_and_confirms_it)
{
    struct fake_sent opened;
    struct fake_conn *conn;

    CHECK(world_new());
    sink_assigned(w->sink, 1, 5);
    sink_settled(w->sink);
    conn = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(opened.slot, 1);
    CHECK_EQ(feed_ready(1, 5, &opened), CQ_OK);
    CHECK(conn->awake);
    CHECK(sink_pump(w->sink, conn->session));
    CHECK_EQ(conn->written, 1);
    CHECK_EQ(sink_stats(w->sink)->ready, 1);
    CHECK_EQ(feed_ready(1, 6, &opened), CQ_OK); /* repeated after a crash of its writer */
    CHECK(sink_pump(w->sink, conn->session));
    CHECK_EQ(conn->written, 1);
    sink_tick(w->sink);
    CHECK_EQ(w->committed[1], -1); /* what was committed before needs no commit */
    CHECK(sink_ok(w->sink, conn->session, 1));
    sink_tick(w->sink);
    CHECK_EQ(w->committed[1], 7);
    world_free();
}

TEST(sink_waits_for_a_slot_and_then_gives_up)
{
    struct fake_sent opened;
    struct fake_conn *first, *second;

    CHECK(world_new());
    first = connect_one(0);
    sink_batch_end(w->sink);
    CHECK_EQ(w->sent_n, 0);
    sink_assigned(w->sink, 0, -1);
    sink_settled(w->sink);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    sink_revoked(w->sink, 0, true);
    sink_batch_end(w->sink);
    w->sent_n = 0;
    second = connect_one(1);
    pass(SINK_PLACE_WITHIN_MS);
    sink_session_tick(w->sink, second->session);
    CHECK_EQ(second->closed, 0);
    pass(1);
    sink_session_tick(w->sink, second->session);
    sink_session_tick(w->sink, first->session);
    CHECK_EQ(second->closed, 1013);
    CHECK_EQ(first->closed, 1013);
    sink_batch_end(w->sink);
    CHECK_EQ(w->sent_n, 0); /* nobody had heard of b */
    world_free();
}

TEST(sink_retries_the_opening_while_the_socket_lives)
{
    struct fake_sent opened;
    struct fake_conn *conn;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    conn = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_AGAIN, &opened));
    sink_tick(w->sink);
    CHECK_EQ(w->sent_n, 0); /* after a rest */
    pass(200);
    sink_tick(w->sink);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_AGAIN, &opened));
    sink_close(w->sink, conn->session); /* it may be in the log: say that it closed */
    conn->session = NULL;
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
    struct fake_conn *conn;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    conn = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(feed_ready(0, 0, &opened), CQ_OK);
    CHECK_EQ(feed_message(0, 1, &opened), CQ_OK);
    CHECK_EQ(feed(0, 2, WS_ENTRY_KIND_FRAME, FRAME_CLASS_STATUS, opened.session, opened.user),
             CQ_OK);
    CHECK_EQ(feed_message(0, 3, &opened), CQ_OK);
    CHECK(sink_pump(w->sink, conn->session));
    CHECK(sink_ok(w->sink, conn->session, 1));
    sink_tick(w->sink);
    CHECK_EQ(w->committed[0], 1);
    sink_close(w->sink, conn->session);
    conn->session = NULL;
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
    struct fake_conn *conn;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    conn = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(feed_ready(0, 0, &opened), CQ_OK);
    CHECK_EQ(feed_message(0, 1, &opened), CQ_OK);
    CHECK(sink_pump(w->sink, conn->session));
    CHECK(sink_ok(w->sink, conn->session, 1));
    pass(SINK_OK_WITHIN_MS);
    sink_session_tick(w->sink, conn->session);
    CHECK_EQ(conn->closed, 0);
    pass(1);
    sink_session_tick(w->sink, conn->session);
    CHECK_EQ(conn->closed, 4408);
    CHECK(settle_one(USER_ACTION_SESSION_LOST, CQ_OK, &lost));
    CHECK_EQ(lost.items_n, 1);
    world_free();
}

TEST(sink_closes_a_socket_that_is_too_slow_and_loses_nothing)
{
    struct fake_sent opened;
    struct fake_conn *conn;
    int64_t offset = 1;
    size_t items = 0;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    conn = connect_one(0);
    conn->room = 0;
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(feed_ready(0, 0, &opened), CQ_OK);
    while (!conn->closed && offset < 10000) {
        CHECK_EQ(feed_message(0, offset, &opened), CQ_OK);
        offset++;
    }
    CHECK_EQ(conn->closed, 1013);
    sink_batch_end(w->sink);
    while (w->sent_n) {
        struct fake_sent sent = w->sent[--w->sent_n];

        CHECK_EQ(sent.kind, USER_ACTION_SESSION_LOST);
        items += sent.items_n;
        sink_report(w->sink, sent.opaque, CQ_OK);
    }
    CHECK_EQ(items, offset - 1);
    sink_tick(w->sink);
    CHECK_EQ(w->committed[0], offset);
    world_free();
}

TEST(sink_ends_a_session_that_the_log_closes)
{
    struct fake_sent opened, closed;
    struct fake_conn *conn;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    conn = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(feed(0, 0, WS_ENTRY_KIND_CLOSE, FRAME_CLASS_CONTROL, opened.session, opened.user),
             CQ_OK);
    CHECK_EQ(conn->closed, 4401);
    CHECK(settle_one(USER_ACTION_SESSION_CLOSED, CQ_OK, &closed));
    world_free();
}

TEST(sink_moves_sessions_of_a_slot_that_went_away)
{
    struct fake_sent opened, again;
    struct fake_conn *conn;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    conn = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(feed_ready(0, 0, &opened), CQ_OK);
    CHECK_EQ(feed_message(0, 1, &opened), CQ_OK);
    CHECK(sink_pump(w->sink, conn->session));
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
    CHECK_EQ(conn->closed, 0);
    CHECK_EQ(feed_ready(2, 0, &again), CQ_OK);
    CHECK(sink_pump(w->sink, conn->session));
    CHECK_EQ(conn->written, 3); /* the socket's numbers go on */
    CHECK(!conn->out_of_order);
    CHECK(sink_ok(w->sink, conn->session, 3));
    world_free();
}

TEST(sink_keeps_sessions_over_a_rebalance_that_changes_nothing)
{
    struct fake_sent opened;
    struct fake_conn *conn;

    CHECK(world_new());
    sink_assigned(w->sink, 0, -1);
    conn = connect_one(0);
    CHECK(settle_one(USER_ACTION_SESSION_OPENED, CQ_OK, &opened));
    CHECK_EQ(feed_ready(0, 0, &opened), CQ_OK);
    CHECK_EQ(feed_message(0, 1, &opened), CQ_OK);
    sink_revoked(w->sink, 0, false);
    CHECK_EQ(sink_assigned(w->sink, 0, 0), 2);
    sink_settled(w->sink);
    CHECK(sink_pump(w->sink, conn->session));
    CHECK(sink_ok(w->sink, conn->session, 2));
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

/* A compressed batch may hold what no writer of ours writes. The gateway does not end over it. */
TEST(sink_takes_a_record_that_needs_too_much_memory_for_poison)
{
    enum { ENTRIES = CODEC_ARRAY_MAX, TARGETS = 8 };
    struct ws_target targets[TARGETS] = { 0 };
    struct ws_push push = { calloc(ENTRIES, sizeof(struct ws_entry)), ENTRIES };
    const char *why = "";
    struct cq_buf value;

    CHECK(world_new());
    sink_assigned(w->sink, 1, 0);
    sink_settled(w->sink);
    for (size_t i = 0; i < ENTRIES; i++) {
        push.entries[i].to = targets;
        push.entries[i].to_n = TARGETS;
    }
    buf_init(&value, 64 << 20);
    CHECK_EQ(codec_encode(&ws_push_codec, &push, &value), CQ_OK);
    CHECK_EQ(sink_record(w->sink, 1, 0, buf_span(&value), &why), CQ_POISON);
    CHECK_STR(why, "needs more memory than one record may have");
    CHECK_EQ(sink_record(w->sink, 1, 0, (struct cq_span){ 0 }, &why), CQ_OK);
    buf_release(&value);
    free(push.entries);
    world_free();
}
