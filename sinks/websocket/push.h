/* SPDX-License-Identifier: MIT */
/*
 * sinks/websocket/push.h - a record of ws.push in memory: one copy of its bytes for all the sockets
 * that its frames go to, kept until the last of them is done with it.
 */
#pragma once

#include "lib/base/arena.h"
#include "schemas/records.gen.h"
#include "sinks/websocket/window.h"

struct push_record {
    uint32_t refs; /* frames on their way, and whoever is routing it */
    uint32_t entries_n;
    uint64_t ticket;          /* in `window` */
    struct window *window;    /* borrowed; closed at the last unref */
    size_t *held_bytes;       /* borrowed; the gateway's sum over all records */
    size_t bytes;             /* what this one costs */
    struct ws_entry *entries; /* `to` is NULL outside routing; frames point into the bytes behind */
};

/** Copy and decode `value`. The entries' `to` are in `arena`, valid until it is reset; everything
 * else lives as long as the record. CQ_OK: one reference, of the caller. CQ_POISON with `*ret_why`,
 * CQ_AGAIN: no memory. */
CQ_MUST_CHECK enum cq_status push_decode(struct cq_span value, struct cq_arena *arena,
                                         struct push_record **ret, const char **ret_why);

static inline void push_ref(struct push_record *record)
{
    record->refs++;
}

/** At the last one the record is closed in its window and freed. */
void push_unref(struct push_record *record);
