/* SPDX-License-Identifier: MIT */
/*
 * sinks/websocket/sink_state.h - what sink.c (sessions) and route.c (the log) share. For these two
 * alone.
 */
#pragma once

#include "lib/base/idmap.h"
#include "sinks/websocket/outbox.h"
#include "sinks/websocket/sink.h"

enum {
    CLOSE_AUTH = 4401, /* docs/protocol.md */
    CLOSE_NO_OK = 4408,
    CLOSE_RESYNC = 1013,
};

enum session_state {
    SESSION_WAITING, /* for a slot; has no id */
    SESSION_OPENING, /* SessionOpened is on its way, or its READY is */
    SESSION_READY,
};

struct session {
    struct session *prev, *next; /* all sessions */
    void *conn;                  /* borrowed */
    enum session_state state;    /* set by session_move() alone */
    int32_t slot;                /* -1: none */
    struct cq_id id;             /* a new one at each registration */
    struct cq_id user, device;
    enum sink_reads
        reads; /* as it was told last; of the registration before while a new one opens */
    int64_t token_at_ms;
    int64_t since_ms;      /* WAITING: since when */
    struct parcel *opened; /* SessionOpened until it is stored; cleared by the outbox */
    struct frames frames;
};

struct sink {
    struct sink_port port;
    struct cq_id incarnation;
    uint32_t sessions_max;
    int64_t mono_ms, wall_ms;
    struct slots slots;
    struct session *all;
    struct idmap by_id;   /* registered sessions */
    struct idmap bounced; /* session id → the parcel that this batch fills for it */
    struct frame_pool frames;
    struct outbox outbox;
    struct cq_arena *arena;
    size_t held_bytes;
    int64_t waiting_n;
    bool full;   /* every slot is paused until the backlog has drained */
    bool failed; /* no memory for what must not be lost */
    struct sink_stats stats;
};

/* sink.c, for route.c */

/** The one writer of a session's state, and of how many are ready. Asserts the order. */
void session_move(struct sink *sink, struct session *session, enum session_state to);

/** End a session from our side: what it did not ok goes back, the socket is closed. */
void sink_end(struct sink *sink, struct session *session, int code, struct cq_span reason);

/** One message back to user.inbox (`frame` is stolen; NULL: only say that the session is not here),
 * in the parcel that this session already has in this batch, or in a new one. */
void sink_bounce(struct sink *sink, struct cq_id session_id, struct cq_id user, struct cq_id device,
                 struct frame *frame);

/** Whether it becomes a push when it is not delivered; all other frames are in a later sync. */
bool frame_is_message(const struct frame *frame);

/** All sessions of a slot that is not ours any more register anew. */
void sink_move_all_of(struct sink *sink, int32_t slot);

/** Register those that wait for a slot. */
void sink_place_waiting(struct sink *sink);
