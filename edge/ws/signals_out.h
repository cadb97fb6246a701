/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/signals_out.h - what gateways tell each other in the topic `signals`: gathered until the
 * next tick, one record a slot then. Nothing is awaited, and what has no room is dropped. Kafka and
 * the sockets are behind struct signals_port.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/span.h"
#include "lib/base/status.h"
#include "schemas/records.gen.h"

enum {
    SIGNALS_OUT_MAX = 16 * 1024,     /* items that wait for the next tick: 1 MiB */
    SIGNALS_RECORD_ITEMS_MAX = 8192, /* in one record: below 512 KiB */
};

struct signals_port {
    void *arg;
    /** Whether this gateway owns a slot now. */
    bool (*ours)(void *arg, int32_t slot);
    /** Whether a socket of this gateway says that this user is here. */
    bool (*here)(void *arg, struct cq_id user);
    /** One record for the gateway that owns `slot`; `value` is borrowed. */
    void (*send)(void *arg, int32_t slot, struct cq_span value);
    /** A frame for one socket (borrowed, without number): now or never. `user` is whom it is about:
     * his own sockets are not told. False: it is not told. */
    bool (*show)(void *conn, struct cq_id user, struct cq_span frame);
};

/* Fields of SignalBatch, but for `asked`. */
enum signals_kind {
    SIGNALS_LOOK,
    SIGNALS_SAID,
    SIGNALS_SHOWN,
    SIGNALS_PEOPLE,
    SIGNALS_CAME,
    SIGNALS_SEEN
};

struct signals_item {
    int32_t slot;
    enum signals_kind kind;
    union {
        struct cq_id id; /* LOOK, PEOPLE */
        struct signal signal;
        struct presence_signal presence;
    } u;
};

struct signals_out {
    struct signals_port port;
    int32_t slots;
    int32_t reply_slot;        /* the lowest of ours, by which others reach us; -1: none is */
    struct signals_item *item; /* owned; SIGNALS_OUT_MAX */
    uint32_t n;
    struct cq_id *asked; /* owned; SIGNALS_RECORD_ITEMS_MAX; for every gateway but us */
    uint32_t asked_n;
    struct cq_arena *arena; /* owned; of one record */
};

CQ_MUST_CHECK enum cq_status signals_out_init(struct signals_out *out, struct signals_port port,
                                              int32_t slots);
void signals_out_release(struct signals_out *out); /* zeroed is fine */

/** The slot whose gateway passes on the signals of a chat or user, and whether that is us. */
int32_t signals_owner(const struct signals_out *out, struct cq_id subject);
bool signals_is_ours(const struct signals_out *out, int32_t slot);

void signals_put(struct signals_out *out, int32_t slot, enum signals_kind kind, const void *what);

/** Ask all other gateways about a user. */
void signals_ask(struct signals_out *out, struct cq_id user);

/** Whether we are reached by another slot than before. */
bool signals_reply_slot_moved(struct signals_out *out);

/** Send what was gathered. */
void signals_flush(struct signals_out *out);
