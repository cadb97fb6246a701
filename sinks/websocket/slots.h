/* SPDX-License-Identifier: MIT */
/*
 * sinks/websocket/slots.h - the slots (partitions of ws.push): which are ours, how many sessions
 * each has, and its window. Pure: times are passed in.
 *
 * A rebalance takes every slot and gives most of them back a moment later. Meanwhile a slot is
 * PARKED: its sessions and its window stay as they are, and nothing is committed.
 */
#pragma once

#include "lib/base/partitions.h"
#include "sinks/websocket/window.h"

enum {
    SLOT_WINDOW_MAX = 256 * 1024,   /* records of one slot from the first open one on */
    SLOT_PARKED_MAX_MS = 10 * 1000, /* then it counts as another gateway's */
};

enum slot_state { SLOT_AWAY, SLOT_OURS, SLOT_PARKED };

struct slot {
    enum slot_state state;
    uint32_t sessions_n;
    int64_t parked_at_ms;
    int64_t committed; /* what we committed last; -1: nothing */
    bool paused;       /* we asked the log to stop */
    struct window window;
};

struct slots {
    struct slot *slot; /* owned; n of them */
    int32_t n;
    int32_t ours_n;
};

CQ_MUST_CHECK enum cq_status slots_init(struct slots *slots, int32_t n);
void slots_release(struct slots *slots);

/** Sessions that share a slot before the next one is begun. */
enum { SLOT_PACK = 2048 };

/**
 * The slot for a new session; -1: none is ours. Each slot with sessions in it costs a request to
 * the broker in each turn of processors/user, so few sessions share one slot: the fullest below
 * SLOT_PACK, and the one with the fewest once all are above (the lowest of equals).
 */
int32_t slots_pick(const struct slots *slots);

/** It is ours, with the group's commit (-1: none). Returns where to read on; -1: at the log's
 * start.
 *  `*ret_same`: the sessions on it live on; otherwise the window was restarted and they must move.
 */
int64_t slots_assigned(struct slots *slots, int32_t i, int64_t committed, bool *ret_same);

/** A rebalance took it. */
void slots_park(struct slots *slots, int32_t i, int64_t now_ms);

/** It went to somebody else: the window is forgotten, its sessions must move. */
void slots_away(struct slots *slots, int32_t i);

/** Whether `i` has something new to commit, and what. */
bool slots_dirty(const struct slots *slots, int32_t i, int64_t *ret_position);
