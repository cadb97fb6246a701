/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/view.h - what the view knows about pushes that are about to leave: one query a
 * batch.
 */
#pragma once

#include "lib/pg/pg.h"
#include "schemas/records.gen.h"

enum { VIEW_BATCH_MAX = 256 };

/** One push, borrowed. */
struct view_ask {
    struct cq_id user, device, chat, sender;
    int32_t part; /* of the chat */
    int64_t seq;
    int64_t read_after; /* -1: a message; else (read_after, seq] was read on another device … */
    int64_t
        change_seq; /* … unless it is not 0: it changed the message at `seq`, which is read_after + 1 */
    struct cq_id direct;   /* the user was added to the group at `seq`: his direct chat with who did
                            * it; zero: he was not */
    struct cq_id reply_id; /* what the message answers; zero: nothing */
    int64_t reply_seq;
};

/** What is known; spans are borrowed from the result. */
struct view_fact {
    bool delivered;     /* the device said so; of a change, that it has this */
    bool read;          /* the user has read up to `seq` */
    bool deleted;       /* the message, or this user hid it */
    int64_t sign_seq;   /* of the last sign that `sender` gave to it, or took back; 0: none */
    int64_t edited_seq; /* of the message as it stands for this user; 0: as it was sent … */
    enum message_type type;
    struct cq_span text;   /* … else this is its content */
    struct cq_span sender; /* {NULL,0}: not known */
    struct cq_span user;   /* the recipient's own name */
    bool is_group;
    struct cq_span chat_name;
    int64_t muted_until_ms;
    int64_t badge;        /* chats with something unread; with a message, this one included */
    bool outstanding;     /* what was read had something of others, and nothing unread follows */
    bool registered;      /* the device can be woken, as far as the view has come … */
    int64_t registration; /* … by the registration at this offset … */
    enum push_kind kind;
    struct cq_span token; /* … with this token */
    bool is_seen;         /* the view has come to where the user was added … */
    bool is_welcome;      /* … and he is in the group, and does not block who added him */
    bool is_reply;        /* what the message answers is the recipient's own */
    int64_t expires_ms;   /* of the message; 0: never */
};

/** Statuses of pg_run. `*ret_rows` is owned by the caller; facts[i] is the answer to asks[i]. */
CQ_MUST_CHECK enum cq_status view_look(struct pg *db, struct pg_params *params,
                                       const struct view_ask *asks, size_t n,
                                       struct view_fact *facts, struct pg_result **ret_rows);
