/* SPDX-License-Identifier: MIT */
/*
 * sinks/status/receipts.h - the receipts of one turn, column by column, and the chats they touch
 * (pure).
 */
#pragma once

#include "lib/base/idmap.h"
#include "schemas/records.gen.h"

enum { RECEIPTS_TURN_MAX = 2048 };

struct receipts {
    size_t n; /* cursors that move, perhaps */
    struct cq_id chat[RECEIPTS_TURN_MAX], user[RECEIPTS_TURN_MAX];
    int32_t kind[RECEIPTS_TURN_MAX]; /* 0 delivered, 1 read */
    int64_t seq[RECEIPTS_TURN_MAX], at_ms[RECEIPTS_TURN_MAX];

    size_t chats_n; /* each touched chat once */
    struct idmap chat_at;
    struct cq_id t_chat[RECEIPTS_TURN_MAX];
    int64_t t_at[RECEIPTS_TURN_MAX];     /* time of its last receipt */
    int32_t t_part[RECEIPTS_TURN_MAX];   /* where in delivery.status … */
    int64_t t_offset[RECEIPTS_TURN_MAX]; /* … its last one stands */
    bool t_tell[RECEIPTS_TURN_MAX];      /* not (only) the replay of a rebuild */
};

struct receipts *receipts_turn_new(void); /* NULL without memory; owned by caller */
void receipts_turn_free(struct receipts *r);
void receipts_turn_clear(struct receipts *r);

/** CQ_OK, or CQ_AGAIN when the turn is full. */
CQ_MUST_CHECK enum cq_status receipts_turn_add(struct receipts *r, const struct delivery_status *s,
                                               int32_t part, int64_t offset, bool quiet);
