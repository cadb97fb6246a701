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
    const struct memory_bus *b = arg;

    return b->turn_bytes < b->room ? b->room - b->turn_bytes : 0;
}

static inline uint64_t mix(uint64_t h, struct cq_span s)
{
    uint64_t word;

    for (; s.n >= sizeof word; s.p += sizeof word, s.n -= sizeof word) {
        memcpy(&word, s.p, sizeof word);
        h = (h ^ word) * 1099511628211ull;
        h ^= h >> 29;
    }
    for (; s.n; s.p++, s.n--)
        h = (h ^ *s.p) * 1099511628211ull;
    return h;
}

static inline size_t count_in(struct cq_span s, struct cq_span sought)
{
    const uint8_t *at = s.p;
    size_t n = 0;

    while (sought.n && (at = memmem(at, s.n - (size_t)(at - s.p), sought.p, sought.n)) != NULL) {
        at += sought.n;
        n++;
    }
    return n;
}

static inline enum cq_status bus_emit(void *arg, enum topic topic, int32_t partition,
                                      struct cq_span key, struct cq_span value, int64_t at_ms)
{
    struct memory_bus *b = arg;
    uint64_t h = mix(1469598103934665603ull + (uint64_t)topic * 4096 + (uint64_t)partition, key);

    (void)at_ms;
    b->records[topic]++;
    b->bytes[topic] += key.n + value.n;
    b->turn_bytes += key.n + value.n;
    b->sum += mix(h, value);
    b->copies += count_in(value, b->sought);
    if (value.n > b->largest[topic])
        b->largest[topic] = value.n;
    if (b->taken)
        b->taken(b->arg, topic, key, value);
    return value.n <= TOPIC_RECORD_MAX ? CQ_OK : CQ_FATAL;
}

static inline void bus_next_turn(struct memory_bus *b)
{
    if (b->turn_bytes > b->turn_most)
        b->turn_most = b->turn_bytes;
    b->turn_bytes = 0;
    b->turns++;
}

static inline size_t all_bytes(const struct memory_bus *b)
{
    size_t n = 0;

    for (int t = 0; t < TOPIC_N; t++)
        n += b->bytes[t];
    return n;
}

/* ---- the two stages ------------------------------------------------------------------- */

/* One record, in as many turns as it takes. */
static inline enum cq_status run_chat(struct chat_turn *t, const struct chat_input *in,
                                      struct memory_bus *b)
{
    const struct output_port port = { b, bus_room, bus_emit };
    const char *why = "";
    uint64_t place = 0;

    for (int i = 0; i < PARTS_MAX; i++) {
        uint64_t from = place;
        enum cq_status st = chat_turn_step(t, in, &port, &place, &why), ended;

        ended = chat_turn_end(t, &port);
        bus_next_turn(b);
        if (st != CQ_AGAIN || ended != CQ_OK || place == from)
            return st == CQ_OK ? ended : st;
    }
    return CQ_AGAIN;
}

static inline enum cq_status run_user(struct user_turn *t, const struct user_input *in,
                                      struct memory_bus *b)
{
    const struct output_port port = { b, bus_room, bus_emit };
    const char *why = "";
    uint64_t place = 0;

    for (int i = 0; i < PARTS_MAX; i++) {
        uint64_t from = place;
        enum cq_status st = user_turn_step(t, in, &port, &place, &why), ended;

        ended = user_turn_end(t, &port);
        bus_next_turn(b);
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
    struct cq_buf b;

    buf_init(&b, TOPIC_RECORD_MAX);
    if (codec_encode(codec, record, &b) != CQ_OK)
        abort();
    return b;
}
