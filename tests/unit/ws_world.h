/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/ws_world.h - the sink's whole outside, faked: a log, the door to user.inbox, sockets.
 * For test_ws_sink.c and test_ws_sink_walk.c.
 */
#pragma once

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
    struct cq_id members_of; /* the chat whose change of members it was told of last */
    struct cq_id parted_of;  /* and the one in which somebody blocked */
    bool used, awake, out_of_order;
};

/* A submitted action, until it is reported. */
struct fake_sent {
    uint64_t opaque;
    enum user_action_action_kind kind;
    struct cq_id session, user;
    int32_t slot;
    size_t items_n;
    int64_t items[LIMIT_LOST_ITEMS]; /* seq of each; in the walk it says slot and offset */
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
    struct fake_conn *fake_conn = conn;
    char want[32];

    if (!fake_conn->room)
        return false;
    fake_conn->room--;
    snprintf(want, sizeof want, "{\"n\":%lld,", (long long)++fake_conn->written);
    if (!span_eq_str(head, want))
        fake_conn->out_of_order = true;
    fake_conn->seq_of[fake_conn->written % NUMBERS] = strtoll((const char *)body.p, NULL, 10);
    return true;
}

static void port_wake(void *conn)
{
    ((struct fake_conn *)conn)->awake = true;
}

static void port_close(void *conn, int code, struct cq_span reason)
{
    struct fake_conn *fake_conn = conn;

    (void)reason;
    fake_conn->session = NULL;
    fake_conn->closed = code;
}

static enum cq_status port_submit(void *arg, const struct user_action *action, uint64_t opaque)
{
    struct fake_sent *sent = &w->sent[w->sent_n];

    (void)arg;
    if (w->door != CQ_OK || w->sent_n == SENT_MAX)
        return CQ_AGAIN;
    *sent = (struct fake_sent){ .opaque = opaque,
                                .kind = action->action.kind,
                                .user = action->user_id };
    switch (action->action.kind) {
    case USER_ACTION_SESSION_OPENED:
        sent->session = action->action.u.session_opened.session_id;
        sent->slot = action->action.u.session_opened.slot;
        w->known[action->user_id.b[1]] = (struct known){ sent->session, sent->user };
        break;
    case USER_ACTION_SESSION_CLOSED:
        sent->session = action->action.u.session_closed.session_id;
        break;
    case USER_ACTION_SESSION_LOST:
        sent->session = action->action.u.session_lost.session_id;
        sent->items_n = action->action.u.session_lost.items_n;
        for (size_t i = 0; i < sent->items_n; i++)
            sent->items[i] = action->action.u.session_lost.items[i].seq;
        break;
    case USER_ACTION_USER_SIGNED_UP:
    case USER_ACTION_PROFILE_EDITED:
    case USER_ACTION_PROFILE_DETAILS_EDITED:
    case USER_ACTION_DEVICE_LINKED:
    case USER_ACTION_DEVICE_UNLINKED:
    case USER_ACTION_GATEWAY_ALIVE:
    case USER_ACTION_PUSH_REGISTERED:
    case USER_ACTION_PUSH_UNREGISTERED:
    case USER_ACTION_CHAT_MUTED:
    case USER_ACTION_CHAT_MARKED:
    case USER_ACTION_ACCOUNT_DELETED:
    case USER_ACTION_PUSH_CLAIMED:
    case USER_ACTION_PUSH_MOVED:
    case USER_ACTION_PUSH_SETTLED:
    case USER_ACTION_ACTION_KIND_N:
        abort(); /* no sink submits these */
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

static void port_members(void *conn, struct cq_id chat)
{
    ((struct fake_conn *)conn)->members_of = chat;
}

static void port_parted(void *conn, struct cq_id chat)
{
    ((struct fake_conn *)conn)->parted_of = chat;
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
                                        port_commit, port_pause, port_members, port_parted,
                                        port_new_id },
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
    struct fake_conn *conn = &w->conns[i];

    *conn = (struct fake_conn){ .used = true, .room = 1 << 30 };
    conn->user = (struct cq_id){ { 1, (uint8_t)i } };
    conn->device = (struct cq_id){ { 2, (uint8_t)i } };
    conn->session = sink_open(w->sink, conn, conn->user, conn->device, 77);
    return conn;
}

static enum cq_status feed_seq(int32_t slot, int64_t offset, int64_t seq, enum ws_entry_kind kind,
                               enum frame_class class, struct cq_id session, struct cq_id user)
{
    struct ws_target to = { user, session };
    char frame[32];
    struct ws_entry entry = {
        .kind = kind, .class = class, .chat_id = { { 9 } }, .seq = seq, .to = &to, .to_n = 1
    };
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
