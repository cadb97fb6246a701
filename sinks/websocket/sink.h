/* SPDX-License-Identifier: MIT */
/*
 * sinks/websocket/sink.h - entries of ws.push become numbered frames of sockets, and what does not
 * reach its device goes back to user.inbox. Knows neither sockets nor Kafka: both are behind struct
 * sink_port. One thread; no clock: sink_set_now() says what time it is.
 */
#pragma once

#include "lib/base/arena.h"
#include "schemas/limits.h"
#include "schemas/records.gen.h"
#include "sinks/websocket/slots.h"

struct sink;    /* opaque; one per gateway */
struct session; /* opaque; one per authenticated socket, from sink_open to sink_close or
                 * port.close */

enum {
    SINK_OK_WITHIN_MS = 10 * 1000,    /* a frame without `ok` for this long closes its socket */
    SINK_PLACE_WITHIN_MS = 10 * 1000, /* a session without a slot for this long closes its socket */
    SINK_FRAMES_MAX = 512 * 1024,     /* frames on their way, all sockets */
    SINK_HELD_BYTES_MAX = 128 * 1024 * 1024,
    SINK_ITEMS_BYTES_MAX = 256 * 1024,
    SINK_IN_FLIGHT_MAX = 1024, /* actions submitted and not reported */
};

/** What the sink needs from outside. All are called on the sink's thread, from inside a sink_
 * function. */
struct sink_port {
    void *arg;
    /** Write one frame, `head` then `body` (both borrowed). False: no room now, wait for
     * sink_pump. */
    bool (*frame)(void *conn, struct cq_span head, struct cq_span body);
    /** There is something to write: call sink_pump soon. */
    void (*wake)(void *conn);
    /** The session is over (its struct is gone); close the socket. `reason` is borrowed, at most
     * 120 bytes. */
    void (*close)(void *conn, int code, struct cq_span reason);
    /** Queue an action for user.inbox. CQ_OK: sink_report comes once. CQ_AGAIN: not now. */
    enum cq_status (*submit)(void *arg, const struct user_action *a, uint64_t opaque);
    /** Commit a slot's position; `wait`: before it is taken from us. */
    void (*commit)(void *arg, int32_t slot, int64_t next, bool wait);
    /** Stop or go on reading a slot. */
    void (*pause)(void *arg, int32_t slot, bool pause);
    /** The session is told of a change of this chat's members. */
    void (*members)(void *conn, struct cq_id chat);
    /** One of the two of this direct chat, of whom the session is one, has blocked the other. */
    void (*parted)(void *conn, struct cq_id chat);
    /** A fresh random id. */
    struct cq_id (*new_id)(void *arg);
};

struct sink_conf {
    struct sink_port port;
    int32_t slots; /* partitions of ws.push */
    uint32_t sessions_max;
    struct cq_id incarnation; /* of this start of the gateway */
};

struct sink_stats {
    int64_t sessions, ready, waiting;      /* now */
    int64_t slots_ours;                    /* now */
    int64_t frames_open, jobs, held_bytes; /* now: not ok'd, actions not reported, bytes of
                                            * records */
    int64_t own, own_late_ms; /* messages that came to a socket of their sender, and how long after
                               * they were taken, together */
    int64_t ticks, ticks_late_ms; /* the same of ticks, after the receipts that made them */
    int64_t frames, oks, handed_back, overflows, late, moved, closed_by_log; /* since the start */
};

CQ_MUST_CHECK enum cq_status sink_new(const struct sink_conf *conf, struct sink **ret);
void sink_free(struct sink *sink); /* NULL is fine; no session may be open */
const struct sink_stats *sink_stats(struct sink *sink);

/** Time of what follows: monotonic for time-outs, wall for actions. */
void sink_set_now(struct sink *sink, int64_t mono_ms, int64_t wall_ms);

/* ---- sessions ------------------------------------------------------------------------- */

/** A socket was authenticated: register a session, on a slot as soon as one is ours. NULL: too
 * many. `conn` comes back in the port's calls. */
struct session *sink_open(struct sink *sink, void *conn, struct cq_id user, struct cq_id device,
                          int64_t token_at_ms);

/** The socket is gone or going: frees `session`; what it did not ok goes back. */
void sink_close(struct sink *sink, struct session *session);

/** Its id, as `ready` tells it; zero: it has none now. */
struct cq_id sink_session_id(const struct session *session);

/** Whether what it reads is kept from others: from the moment on at which its device was sent the frame that
 * says so. Nobody knows before it is ready for the first time. */
enum sink_reads { SINK_READS_UNKNOWN, SINK_READS_TOLD, SINK_READS_HIDDEN };
enum sink_reads sink_reads(const struct session *session);

/** The device holds everything up to n. False: that number was never written. */
CQ_MUST_CHECK bool sink_ok(struct sink *sink, struct session *session, int64_t n);

/** Write what is unwritten until port.frame says no or nothing is left; true when nothing is
 * left. */
bool sink_pump(struct sink *sink, struct session *session);

/** About once a second for each session: time-outs (may end in port.close). */
void sink_session_tick(struct sink *sink, struct session *session);

/** Every session gets a new id and registers anew (this gateway may have been taken for dead). */
void sink_reopen_all(struct sink *sink);

/** Whether a slot is this gateway's. */
bool sink_owns(const struct sink *sink, int32_t slot);

/* ---- the log -------------------------------------------------------------------------- */

/** As consumer_ops: returns where to read on (-1: the log's start). */
int64_t sink_assigned(struct sink *sink, int32_t slot, int64_t committed);
void sink_revoked(struct sink *sink, int32_t slot, bool lost);

/** The assignment is complete: slots that did not come back are somebody else's. */
void sink_settled(struct sink *sink);

/** Route one record; `value` is copied. CQ_OK also for one that was routed before. CQ_POISON: it
 * can never be decoded (`*ret_why`); call again with an empty value to step over it. CQ_AGAIN: no
 * room; the slot is paused, read it again from `offset`. */
CQ_MUST_CHECK enum cq_status sink_record(struct sink *sink, int32_t slot, int64_t offset,
                                         struct cq_span value, const char **ret_why);

/** The end of a batch of records: hands back what was gathered, pauses or resumes slots. */
void sink_batch_end(struct sink *sink);

/** Verdict on an action. */
void sink_report(struct sink *sink, uint64_t opaque, enum cq_status st);

/** Every 100 ms or so: commits, retries, parked slots. */
void sink_tick(struct sink *sink);

/** Nothing submitted or waiting to be: all that was handed back is stored. */
bool sink_is_settled(const struct sink *sink);

/** Commit every slot of ours; leaving the group waits for the broker's answer. */
void sink_commit_all(struct sink *sink);
