/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/versions_world.h - bus_world.h with announced versions: topic "schemas" lives on broker
 * 2. Three ids: one that this build reads, one that only a newer one does, and nobody's.
 */
#pragma once

#include "lib/base/count.h"
#include "lib/bus/hold.h"
#include "lib/bus/versions.h"
#include "tests/unit/bus_world.h"

enum { OURS = 0x40000001, NEWER = 0x4000abcd, NOBODYS = 0x40bad000, NOT_NOW_MS = 300 };

static const char SCHEMAS[] = "schemas";
static _Atomic bool is_newer_build;

static inline bool can_read(uint32_t id)
{
    return id == OURS || (is_newer_build && id == NEWER);
}

static inline bool put_framed(struct bus_world *world, const char *topic, uint32_t id)
{
    const uint8_t value[] = { 0,  id >> 24 & 0xff, id >> 16 & 0xff, id >> 8 & 0xff, id & 0xff, 'b',
                              'o' };

    return world_put_bytes(world, topic, span_str("key"), span_of(value, sizeof value));
}

static inline bool put(struct bus_world *world, uint32_t id)
{
    return put_framed(world, "in", id);
}

static inline bool announce(struct bus_world *world, uint32_t id)
{
    char why[128];

    return versions_announce(world->brokers, SCHEMAS, &(struct version){ id, "{}" }, 1, why,
                             sizeof why) == CQ_OK;
}

static inline void open_all(struct bus_world *world)
{
    world_open(world);
    rd_kafka_mock_topic_create(world->cluster, SCHEMAS, 1, 1);
    rd_kafka_mock_partition_set_leader(world->cluster, SCHEMAS, 0, FAR);
    is_newer_build = false;
    versions_start(world->brokers, SCHEMAS, can_read);
}

static inline void close_all(struct bus_world *world)
{
    versions_stop();
    world_close(world);
}

/* How many are handed over within the time, at most `most`. */
static inline int taken(struct holds *holds, int most, int within_ms)
{
    int64_t until_ms = clock_mono_ms() + within_ms;
    int n = 0;

    while (n < most && clock_mono_ms() < until_ms) {
        struct bus_record rec;
        struct hold *hold;

        if (holds_poll(holds, 50, &rec, &hold) != CQ_OK)
            return -1;
        if (!rec.topic)
            continue;
        n++;
        record_release(&rec);
    }
    return n;
}

static inline bool stops_for_newer(struct holds *holds, int64_t before)
{
    return EVENTUALLY(taken(holds, 1, 50) == 0 && count_get(COUNT_NEWER) == before + 1);
}
