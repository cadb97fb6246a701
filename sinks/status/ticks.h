/* SPDX-License-Identifier: MIT */
/*
 * sinks/status/ticks.h - receipts into cursors, cursors into marks, marks into ticks (pure).
 *
 * Records are applied one by one in log order over what the view has of the chats they touch, so
 * that the result does not depend on how the log was cut into turns: a rebuilt view has the same
 * rows. Who is a member is asked at the source of each record, not now.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/idmap.h"
#include "schemas/frame.h"
#include "schemas/records.gen.h"

enum { TICK_DELIVERED, TICK_READ, TICK_KINDS };

enum {
    TICKS_RECORDS_MAX = 2048, /* in a turn */
    TICKS_CHATS_MAX = 2048,
    TICKS_GROUPS_MAX = 128, /* each may bring a thousand members */
    TICKS_RANGES_MAX = TICKS_CHATS_MAX * 2 * 3,
};

/* The two lowest cursors of the present members, as in view.marks. */
struct tick_mark {
    int64_t low;
    struct cq_id low_user;
    int64_t next;
};

/** What all but `user` have. */
static inline int64_t tick_mark_for(const struct tick_mark *mark, struct cq_id user)
{
    return id_eq(mark->low_user, user) ? mark->next : mark->low;
}

struct tick_user {
    struct cq_id id;
    int64_t cursor[TICK_KINDS]; /* of TICK_READ what others are told … */
    int64_t own_read;           /* … and this is how far he has read, that or more */
    bool dirty;
};

struct tick_stay {
    size_t user;          /* index into users */
    int64_t joined, left; /* INT64_MAX: still there */
};

/* One of the two of a direct chat had blocked the other, and was not in it; `before` of a block that
 * still is: INT64_MAX. */
struct tick_gap {
    struct cq_id user;
    struct frame_gap gap;
};

struct tick_chat {
    struct cq_id id;
    int32_t part;      /* of the id: keys of the view begin with it */
    int32_t partition; /* of delivery.status */
    bool direct;
    int64_t since; /* source seq of its first record in this turn: older stays do not matter */
    struct tick_user *users; /* in the arena, as stays */
    size_t users_n;
    struct tick_stay *stays; /* by user, then by joined */
    size_t stays_n;
    struct tick_mark mark[TICK_KINDS];
    bool moved[TICK_KINDS];              /* in this turn */
    bool loud;                           /* it has a record that may be told of … */
    struct tick_mark before[TICK_KINDS]; /* … and this is what the marks were before it */
    /* of the record that moved each mark last */
    int64_t at_ms[TICK_KINDS];
    int64_t offset[TICK_KINDS];
    int64_t now;                 /* source seq of the last record */
    const struct tick_gap *gaps; /* of a direct chat, in the arena, by user and in order */
    size_t gaps_n;
};

struct tick_record {
    size_t chat; /* index into chats */
    struct cq_id user, device;
    enum receipt_kind kind;
    int64_t seq, at_ms;
    int64_t source; /* as a seq: the time at which membership is asked */
    int64_t offset; /* in delivery.status */
    bool quiet;
};

/* A cursor that advanced: a row of view.receipts. */
struct tick_receipt {
    int32_t part; /* of the chat, as in each row */
    struct cq_id chat, user;
    int32_t kind;
    int64_t seq, at_ms;
};

/* What one device has: goes into a row of view.device_cursors. */
struct tick_device {
    int32_t part;
    struct cq_id chat, device;
    int64_t seq;
};

/* A mark that moved: a row of view.mark_advances. */
struct tick_advance {
    int32_t part;
    struct cq_id chat;
    int32_t kind;
    struct tick_mark mark;
    int64_t at_ms;
};

/* Whoever sent something in (lo, hi] is to be told; `who` zero: anybody. */
struct tick_range {
    size_t chat;
    int kind;
    struct cq_id who;
    int64_t lo, hi;
};

/* A user read on, told to others or not, and on which device: his other devices are to know. */
struct tick_reading {
    size_t chat;
    struct cq_id user, device;
    int64_t from, to; /* before and after */
    int64_t at_ms, offset;
};

struct ticks {
    struct tick_record recs[TICKS_RECORDS_MAX];
    size_t recs_n;
    struct tick_chat chats[TICKS_CHATS_MAX];
    size_t chats_n, groups_n;
    struct idmap chat_at;
    struct tick_receipt receipts[2 * TICKS_RECORDS_MAX];
    size_t receipts_n;
    struct tick_device devices[TICKS_RECORDS_MAX];
    size_t devices_n;
    struct tick_advance advances[2 * TICKS_RECORDS_MAX];
    size_t advances_n;
    struct tick_range ranges[TICKS_RANGES_MAX];
    size_t ranges_n;
    struct tick_reading readings[TICKS_RECORDS_MAX];
    size_t readings_n;
};

struct ticks *ticks_new(void); /* NULL without memory; owned by caller */
void ticks_free(struct ticks *ticks);
void ticks_clear(struct ticks *ticks);

/**
 * Gather one record that stands at (partition, offset) of delivery.status; the users of a direct
 * chat are known from it. CQ_AGAIN: the turn is full. CQ_POISON: it speaks of what comes after it.
 */
CQ_MUST_CHECK enum cq_status ticks_add(struct ticks *ticks, const struct delivery_status *status,
                                       int32_t partition, int64_t offset, bool quiet,
                                       struct cq_arena *arena);

/** The user of a chat, or NULL. */
struct tick_user *ticks_user(struct tick_chat *chat, struct cq_id id);

/** Whether that user is a member just after `seq`; `*ret_joined` (may be NULL) is since when. */
bool ticks_present(const struct tick_chat *chat, size_t user, int64_t seq, int64_t *ret_joined);

/** Apply what was gathered, once users, stays, cursors and marks are loaded. Fills receipts,
 * devices, advances, ranges and readings. */
void ticks_apply(struct ticks *ticks);
