/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/memory_bus.h - the two processors over a bus in memory: records are stepped in as many
 * turns as they take, and what they write is counted.
 */
#pragma once

#include "processors/chat/turn.h"
#include "processors/user/turn.h"
#include "schemas/codec.h"

#include <stdlib.h>

enum {
    ROOM = 16 << 20,     /* as a stage has it */
    TURN_MAX = 32 << 20, /* what a turn may not pass: the room, and one part more */
    PARTS_MAX = 10000,
};

/* ---- a bus in memory ------------------------------------------------------------------ */

struct memory_bus {
    size_t room;
    size_t turn_bytes, turn_most;
    size_t records[TOPIC_N], bytes[TOPIC_N], largest[TOPIC_N];
    size_t copies;         /* of the sought text, in all topics */
    struct cq_span sought; /* NULL: nothing is sought */
    uint64_t sum;          /* of all records, whatever their order */
    size_t turns;
    /* Every record, for those who read them; NULL: nobody does. */
    void (*taken)(void *arg, enum topic topic, struct cq_span key, struct cq_span value);
    void *arg;
};

static inline size_t bus_room(void *arg)
{
    const struct memory_bus *bus = arg;

    return bus->turn_bytes < bus->room ? bus->room - bus->turn_bytes : 0;
}

static inline uint64_t mix(uint64_t h, struct cq_span span)
{
    uint64_t word;

    for (; span.n >= sizeof word; span.p += sizeof word, span.n -= sizeof word) {
        memcpy(&word, span.p, sizeof word);
        h = (h ^ word) * 1099511628211ull;
        h ^= h >> 29;
    }
    for (; span.n; span.p++, span.n--)
        h = (h ^ *span.p) * 1099511628211ull;
    return h;
}

static inline size_t count_in(struct cq_span span, struct cq_span sought)
{
    const uint8_t *at = span.p;
    size_t n = 0;

    while (sought.n &&
           (at = memmem(at, span.n - (size_t)(at - span.p), sought.p, sought.n)) != NULL) {
        at += sought.n;
        n++;
    }
    return n;
}

static inline enum cq_status bus_emit(void *arg, enum topic topic, int32_t partition,
                                      struct cq_span key, struct cq_span value, int64_t at_ms)
{
    struct memory_bus *bus = arg;
    uint64_t hash = mix(1469598103934665603ull + (uint64_t)topic * 4096 + (uint64_t)partition, key);

    (void)at_ms;
    bus->records[topic]++;
    bus->bytes[topic] += key.n + value.n;
    bus->turn_bytes += key.n + value.n;
    bus->sum += mix(hash, value);
    bus->copies += count_in(value, bus->sought);
    if (value.n > bus->largest[topic])
        bus->largest[topic] = value.n;
    if (bus->taken)
        bus->taken(bus->arg, topic, key, value);
    return value.n <= TOPIC_RECORD_MAX ? CQ_OK : CQ_FATAL;
}

static inline void bus_next_turn(struct memory_bus *bus)
{
    if (bus->turn_bytes > bus->turn_most)
        bus->turn_most = bus->turn_bytes;
    bus->turn_bytes = 0;
    bus->turns++;
}

static inline size_t all_bytes(const struct memory_bus *bus)
{
    size_t n = 0;

    for (int t = 0; t < TOPIC_N; t++)
        n += bus->bytes[t];
    return n;
}

/* ---- the two stages ------------------------------------------------------------------- */

/* One record, in as many turns as it takes. */
static inline enum cq_status run_chat(struct chat_turn *turn, const struct chat_input *in,
                                      struct memory_bus *bus)
{
    const struct output_port port = { bus, bus_room, bus_emit };
    const char *why = "";
    uint64_t place = 0;

    for (int i = 0; i < PARTS_MAX; i++) {
        uint64_t from = place;
        enum cq_status st = chat_turn_step(turn, in, &port, &place, &why), ended;

        ended = chat_turn_end(turn, &port);
        bus_next_turn(bus);
        if (st != CQ_AGAIN || ended != CQ_OK || place == from)
            return st == CQ_OK ? ended : st;
    }
    return CQ_AGAIN;
}

static inline enum cq_status run_user(struct user_turn *turn, const struct user_input *in,
                                      struct memory_bus *bus)
{
    const struct output_port port = { bus, bus_room, bus_emit };
    const char *why = "";
    uint64_t place = 0;

    for (int i = 0; i < PARTS_MAX; i++) {
        uint64_t from = place;
        enum cq_status st = user_turn_step(turn, in, &port, &place, &why), ended;

        ended = user_turn_end(turn, &port);
        bus_next_turn(bus);
        if (st != CQ_AGAIN || ended != CQ_OK || place == from)
            return st == CQ_OK ? ended : st;
    }
    return CQ_AGAIN;
}

static inline struct cq_id id_of(uint8_t kind, uint32_t n)
{
    struct cq_id id = { { kind } };

    memcpy(id.b + 1, &n, sizeof n);
    return id;
}

enum { A_USER = 1, A_CHAT, A_DEVICE, A_SESSION, A_MESSAGE, A_GATEWAY };

static inline struct cq_buf encode(const struct codec_record *codec, const void *record)
{
    struct cq_buf buf;

    buf_init(&buf, TOPIC_RECORD_MAX);
    if (codec_encode(codec, record, &buf) != CQ_OK)
        abort();
    return buf;
}
