/* SPDX-License-Identifier: MIT */
/*
 * sinks/websocket/outbox.h - actions on their way to user.inbox (SessionOpened, SessionClosed,
 * SessionLost with its messages), each tried until the broker reported it stored. Pure: times are
 * passed in.
 */
#pragma once

#include "sinks/websocket/frames.h"
#include "sinks/websocket/sink.h"

enum parcel_kind { PARCEL_OPENED, PARCEL_GONE };

enum parcel_state {
    PARCEL_NEW,       /* in the queue; never submitted */
    PARCEL_SENT,      /* submitted; its report is awaited */
    PARCEL_RESTING,   /* not stored, as far as is known: tried again from `due_ms` on */
    PARCEL_AGAIN,     /* in the queue after a rest; it may be in the log */
    PARCEL_CANCELLED, /* its session ended while it was not in flight: not submitted any more */
};

struct parcel {
    struct parcel *next; /* in the queue or among the resting */
    enum parcel_kind kind;
    enum parcel_state state;
    bool lost;      /* GONE: SessionLost even without items */
    uint32_t index; /* in the table */
    uint32_t generation;
    int32_t attempts;
    int64_t due_ms; /* RESTING until then */
    struct cq_id session_id, user, device;
    int32_t slot;          /* OPENED */
    int64_t token_at_ms;   /* OPENED */
    struct parcel **owner; /* OPENED: the session's pointer to this, cleared with it; NULL: it
                            * ended */
    struct frame *items, *items_tail; /* GONE: message frames, owned */
    uint32_t items_n, items_bytes;
};

enum { PARCEL_GENERATION_MASK = (1 << 29) - 1 }; /* opaques stay below 2^61 */

struct outbox {
    struct parcel **table; /* owned; index → parcel or NULL */
    uint32_t *free_index;  /* owned */
    uint32_t cap, free_n;
    uint32_t generation;
    struct parcel *head, *tail; /* to submit now, in order */
    struct parcel *resting;     /* refused, to be tried again */
    uint32_t n;                 /* all */
    uint32_t sent_n;            /* submitted and not reported */
    int64_t shut_until_ms;      /* the port refused: no submission before then */
    struct frame_pool *frames;  /* borrowed */
};

void outbox_init(struct outbox *outbox, struct frame_pool *frames);
void outbox_release(struct outbox *outbox); /* drops what is left */

/** A parcel at the queue's end; it leaves at the next outbox_submit. NULL: no memory. */
struct parcel *outbox_add(struct outbox *outbox, enum parcel_kind kind, struct cq_id session_id,
                          struct cq_id user, struct cq_id device);

/** Put a message frame in (`frame` is stolen). CQ_AGAIN: full, start another parcel; `frame` stays
 * the caller's. */
CQ_MUST_CHECK enum cq_status parcel_put(struct parcel *parcel, struct frame *frame);

/** Its session ended. True when it was never submitted: then the processors need not be told that
 * the session closed. */
bool parcel_cancel(struct parcel *parcel);

/** Submit what is queued, until the port refuses or too much is in flight. */
void outbox_submit(struct outbox *outbox, const struct sink_port *port, struct cq_id incarnation,
                   int64_t wall_ms, int64_t mono_ms);

/** Verdict. On CQ_OK `*ret_handed_back` messages are done with. Unknown opaques are ignored. */
void outbox_report(struct outbox *outbox, uint64_t opaque, enum cq_status st, int64_t mono_ms,
                   uint32_t *ret_handed_back);

/** Parcels that have rested long enough go back into the queue. */
void outbox_wake(struct outbox *outbox, int64_t mono_ms);
