/* SPDX-License-Identifier: MIT */
#include "ingest/log_disk.h"
#include "lib/base/count.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct log_disk of_min(int64_t min_bytes)
{
    return (struct log_disk){ .folders = "/", .min_bytes = min_bytes };
}

TEST(log_disk_that_is_not_watched_refuses_nothing)
{
    struct log_disk disk;

    CHECK_EQ(log_disk_init(&disk, "", 1024, 0), CQ_OK);
    log_disk_tick(&disk, 100 * LOG_DISK_LOOK_MS);
    CHECK_EQ(disk.looked_ms, 0);
    CHECK(log_disk_takes(&disk, LOG_USE_FANOUT));
}

TEST(log_disk_refuses_at_its_bounds_and_takes_again_above_them)
{
    struct log_disk disk = of_min(1000);

    log_disk_judge(&disk, 1000);
    CHECK_EQ(disk.room, LOG_ROOM_ENOUGH);
    log_disk_judge(&disk, 999);
    CHECK_EQ(disk.room, LOG_ROOM_LOW);
    log_disk_judge(&disk, 1249); /* a quarter above the bound it comes back */
    CHECK_EQ(disk.room, LOG_ROOM_LOW);
    log_disk_judge(&disk, 1250);
    CHECK_EQ(disk.room, LOG_ROOM_ENOUGH);
    log_disk_judge(&disk, 250);
    CHECK_EQ(disk.room, LOG_ROOM_LOW);
    log_disk_judge(&disk, 249);
    CHECK_EQ(disk.room, LOG_ROOM_NONE);
    log_disk_judge(&disk, 311);
    CHECK_EQ(disk.room, LOG_ROOM_NONE);
    log_disk_judge(&disk, 312);
    CHECK_EQ(disk.room, LOG_ROOM_LOW);
    log_disk_judge(&disk, 0);
    CHECK_EQ(disk.room, LOG_ROOM_NONE);
    log_disk_judge(&disk, 5000);
    CHECK_EQ(disk.room, LOG_ROOM_ENOUGH);
}

TEST(log_disk_refuses_the_dear_first_and_the_end_of_a_device_never)
{
    static const bool takes[3][3] = { [LOG_ROOM_ENOUGH] = { true, true, true },
                                      [LOG_ROOM_LOW] = { false, true, true },
                                      [LOG_ROOM_NONE] = { false, false, true } };
    struct log_disk disk = of_min(1000);

    for (int room = 0; room < 3; room++)
        for (int use = 0; use < 3; use++) {
            disk.room = (enum log_room)room;
            CHECK_EQ(log_disk_takes(&disk, (enum log_use)use), takes[room][use]);
        }
}

TEST(log_disk_that_cannot_be_seen_is_a_mistake_at_the_start_and_changes_nothing_later)
{
    char folder[] = "/tmp/log-disk-XXXXXX", both[64];
    struct log_disk disk;

    CHECK_EQ(log_disk_init(&disk, "/tmp,/no/such/folder", 1, 0), CQ_FATAL);
    CHECK_EQ(log_disk_init(&disk, "/tmp,", 1, 0), CQ_OK);
    CHECK(mkdtemp(folder) != NULL);
    snprintf(both, sizeof both, "/,%s", folder);
    CHECK_EQ(log_disk_init(&disk, both, 100000000, 0), CQ_OK); /* nobody has 100 TB */
    CHECK_EQ(disk.room, LOG_ROOM_NONE);
    CHECK_EQ(count_get(COUNT_LOG_FULL), LOG_ROOM_NONE);
    CHECK(count_get(COUNT_LOG_FREE) > 0);
    CHECK_EQ(rmdir(folder), 0);
    log_disk_tick(&disk, LOG_DISK_LOOK_MS - 1);
    CHECK(disk.free_bytes > 0);
    log_disk_tick(&disk, LOG_DISK_LOOK_MS);
    CHECK_EQ(disk.free_bytes, -1);
    CHECK_EQ(count_get(COUNT_LOG_FREE), -1);
    CHECK_EQ(disk.room, LOG_ROOM_NONE);
}
