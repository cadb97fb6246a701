/* SPDX-License-Identifier: MIT */
#include "ingest/log_disk.h"

#include "lib/base/count.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

enum { FOLDER_MAX = 1024, MIB = 1024 * 1024 };

/* Free bytes of one folder's file system, as a process without privileges gets them; -1: it cannot
 * be seen. */
static int64_t free_of(const char *folder, size_t n)
{
    char path[FOLDER_MAX + 1];
    struct statvfs at;

    if (!n || n > FOLDER_MAX)
        return -1;
    snprintf(path, sizeof path, "%.*s", (int)n, folder);
    if (statvfs(path, &at) != 0)
        return -1;
    return (int64_t)at.f_bavail * (int64_t)at.f_frsize;
}

/* Of the fullest; -1: one of them cannot be seen. */
static int64_t least_free(const char *folders)
{
    const char *at = folders;
    int64_t least = INT64_MAX;

    while (*at) {
        size_t n = strcspn(at, ",");
        int64_t free_bytes = free_of(at, n);

        least = free_bytes < least ? free_bytes : least;
        at += n + (at[n] == ',');
    }
    return least;
}

static bool is_watching(const struct log_disk *disk)
{
    return disk->folders && *disk->folders;
}

/* Hysteresis: a bound that was met is left only some way above it. */
static bool is_below(int64_t free_bytes, int64_t bound, bool was_below)
{
    return free_bytes < (was_below ? bound + bound / LOG_DISK_BACK_PART : bound);
}

void log_disk_judge(struct log_disk *disk, int64_t free_bytes)
{
    int64_t shut = disk->min_bytes / LOG_DISK_SHUT_PART;

    disk->free_bytes = free_bytes;
    if (is_below(free_bytes, shut, disk->room == LOG_ROOM_NONE))
        disk->room = LOG_ROOM_NONE;
    else if (is_below(free_bytes, disk->min_bytes, disk->room != LOG_ROOM_ENOUGH))
        disk->room = LOG_ROOM_LOW;
    else
        disk->room = LOG_ROOM_ENOUGH;
}

static void look(struct log_disk *disk, int64_t now_ms)
{
    int64_t free_bytes = least_free(disk->folders);

    disk->looked_ms = now_ms;
    if (free_bytes < 0)
        disk->free_bytes = -1;
    else
        log_disk_judge(disk, free_bytes);
    count_set(COUNT_LOG_FULL, disk->room);
    count_set(COUNT_LOG_FREE, disk->free_bytes);
}

enum cq_status log_disk_init(struct log_disk *disk, const char *folders, int64_t min_mib,
                             int64_t now_ms)
{
    *disk = (struct log_disk){ .folders = folders, .min_bytes = min_mib * MIB };
    if (!is_watching(disk))
        return CQ_OK;
    look(disk, now_ms);
    return disk->free_bytes < 0 ? CQ_FATAL : CQ_OK;
}

void log_disk_tick(struct log_disk *disk, int64_t now_ms)
{
    if (is_watching(disk) && now_ms - disk->looked_ms >= LOG_DISK_LOOK_MS)
        look(disk, now_ms);
}

bool log_disk_takes(const struct log_disk *disk, enum log_use use)
{
    switch (disk->room) {
    case LOG_ROOM_ENOUGH:
        return true;
    case LOG_ROOM_LOW:
        return use != LOG_USE_FANOUT;
    case LOG_ROOM_NONE:
        break;
    }
    return use == LOG_USE_NEEDED;
}
