/* SPDX-License-Identifier: MIT */
/*
 * sinks/websocket/frames.h - the frames of one socket, in order: written and waiting for `ok`, or
 * not yet written. Numbers are 1, 2, 3… in the order of writing. Pure: times are passed in.
 */
#pragma once

#include "lib/base/status.h"
#include "sinks/websocket/push.h"

#include <stddef.h>

enum {
    FRAMES_SOCKET_MAX = 4096,             /* frames of one socket not ok'd */
    FRAMES_SOCKET_BYTES_MAX = 256 * 1024, /* their bytes */
};

struct frame {
    struct frame *next;
    struct push_record *record; /* one reference of ours */
    uint32_t entry;             /* in the record */
    int64_t at_ms;              /* when it was queued */
};

/* Nodes for all sockets of a gateway, so that an idle socket costs none. */
struct frame_pool {
    struct frame *free;
    struct frame_chunk *chunks; /* owned */
    size_t used;
    size_t max; /* frames */
};

void frame_pool_init(struct frame_pool *pool, size_t max);
void frame_pool_release(struct frame_pool *pool);

/** Give back one node; the caller drops its reference to the record. */
void frame_free(struct frame_pool *pool, struct frame *frame);

/** A node for `entry` of `record`, taking one reference; NULL at the pool's maximum. */
struct frame *frame_new(struct frame_pool *pool, struct push_record *record, uint32_t entry,
                        int64_t now_ms);

/** Drop a frame: its reference and its node. */
void frame_drop(struct frame_pool *pool, struct frame *frame);

struct frames {
    struct frame *head;      /* oldest not ok'd */
    struct frame *unwritten; /* first not written, NULL: all are */
    struct frame *tail;
    uint32_t n;
    uint32_t written_n; /* of the n, those that are written */
    uint32_t bytes;
    uint64_t last; /* number of the last written frame of this socket */
};

/** Append (`frame` is stolen). CQ_AGAIN: the socket's bound is reached, `frame` stays the
 * caller's. */
CQ_MUST_CHECK enum cq_status frames_push(struct frames *frames, struct frame *frame);

/** The next frame to write and the number it will have; NULL when all are written. */
const struct frame *frames_peek(const struct frames *frames, uint64_t *ret_n);

/** The frame that frames_peek showed is written. */
void frames_wrote(struct frames *frames);

/** The device holds everything up to `n`: those frames are dropped. False when `n` was never
 * written. */
CQ_MUST_CHECK bool frames_ok(struct frames *frames, struct frame_pool *pool, uint64_t n);

/** Take all frames out (oldest first, linked by `next`, owned by the caller); numbering goes on. */
struct frame *frames_take(struct frames *frames);

/** When the oldest frame without `ok` was queued; INT64_MAX when there is none. */
int64_t frames_oldest_ms(const struct frames *frames);
