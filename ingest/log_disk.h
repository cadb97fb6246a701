/* SPDX-License-Identifier: MIT */
/*
 * ingest/log_disk.h - watches the file systems that Kafka writes to, so that clients are refused
 * with a clear code before a broker ends for want of room. The room that is kept free is for the
 * processors, which still write what follows from earlier actions, and for receipts and sessions.
 */
#pragma once

#include "lib/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOG_DISK_LOOK_MS = 1000, /* between two looks */
    LOG_DISK_SHUT_PART = 4,  /* below this fraction of the minimum every write of a client is
                              * refused … */
    LOG_DISK_BACK_PART = 4,  /* … and a bound is left this fraction above where it was met */
    LOG_DISK_RETRY_MS = 5000 /* what a refused client is told */
};

/* Also the value of the gauge log_full. */
enum log_room {
    LOG_ROOM_ENOUGH = 0,
    LOG_ROOM_LOW = 1,  /* what is fanned out is refused: messages, changes of chats */
    LOG_ROOM_NONE = 2, /* receipts and changes of accounts are refused, too */
};

/* What a client wants to write. */
enum log_use {
    LOG_USE_FANOUT, /* a message, a change of a chat */
    LOG_USE_SMALL,  /* a receipt, a change of one's own account */
    LOG_USE_NEEDED, /* the end of a device: never refused */
};

/* Zeroed watches nothing and has enough room. One thread. */
struct log_disk {
    const char *folders; /* borrowed for the struct's life; comma-separated; "" or NULL: none */
    int64_t min_bytes;
    int64_t free_bytes; /* of the fullest, at the last look; -1: a folder cannot be seen */
    int64_t looked_ms;  /* monotonic */
    enum log_room room;
};

/** Watch `folders` (LOG_DISK) with `min_mib` to be kept free (LOG_DISK_FREE_MIN_MB), and look for
 * the first time at monotonic `now_ms`. CQ_FATAL: a folder cannot be seen. */
CQ_MUST_CHECK enum cq_status log_disk_init(struct log_disk *disk, const char *folders,
                                           int64_t min_mib, int64_t now_ms);

/** Look once a second; call often. Sets the gauges. A folder that cannot be seen any more changes
 * nothing: what was known stays. */
void log_disk_tick(struct log_disk *disk, int64_t now_ms);

/** The rule by itself, without reading the file systems: `free_bytes` are free where there is
 * least. */
void log_disk_judge(struct log_disk *disk, int64_t free_bytes);

/** May `use` be written now? */
bool log_disk_takes(const struct log_disk *disk, enum log_use use);
