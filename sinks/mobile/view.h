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
    int64_t seq;
    int64_t read_after; /* -1: a message; else (read_after, seq] was read on another device */
};

/** What is known; spans are borrowed from the result. */
struct view_fact {
    bool delivered;        /* the device said so */
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
};

/** Statuses of pg_run. `*ret_rows` is owned by the caller; facts[i] is the answer to asks[i]. */
CQ_MUST_CHECK enum cq_status view_look(struct pg *c, struct pg_params *params,
                                       const struct view_ask *asks, size_t n,
                                       struct view_fact *facts, struct pg_result **ret_rows);
