/* SPDX-License-Identifier: MIT */
#include "processors/chat/restore.h"

#include "schemas/codec.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BYTES = 4 * 1024 * 1024 };

struct restore {
    struct reader *reader;
    struct chat_state *state;
    struct cq_arena *arena;
    int64_t beyond; /* sources from here on were not written by this system */
};

static enum cq_status on_members(void *arg, const struct bus_record *rec)
{
    struct restore *restore = arg;
    struct chat_members value;

    if (!rec->value.p)
        return CQ_OK;
    arena_reset(restore->arena);
    if (codec_decode(&chat_members_codec, rec->value, restore->arena, &value, NULL) != CQ_OK)
        return CQ_OK; /* not a value of ours: it names no member of any group */
    return chat_restore_members(restore->state, &value);
}

static enum cq_status on_event(void *arg, const struct bus_record *rec)
{
    struct restore *restore = arg;
    struct chat_event event;

    arena_reset(restore->arena);
    if (codec_decode(&chat_event_codec, rec->value, restore->arena, &event, NULL) != CQ_OK)
        return CQ_OK;
    if (event.source.offset >= restore->beyond)
        return CQ_OK;
    return chat_restore_event(restore->state, &event, rec->at_ms);
}

static enum cq_status on_last(void *arg, const struct bus_record *rec)
{
    int64_t *last_ms = arg;

    *last_ms = rec->at_ms;
    return CQ_OK;
}

/* Where the last ten minutes of the partition begin, by the time of its last record. */
static enum cq_status tail_start(struct reader *reader, int32_t partition, int64_t first,
                                 int64_t next, int64_t *ret)
{
    const char *topic = topic_name(TOPIC_CHAT_EVENTS);
    int64_t last_ms = 0;
    enum cq_status st = reader_scan(reader, topic, partition, next - 1, next, on_last, &last_ms);

    *ret = first;
    if (st != CQ_OK || !last_ms)
        return st;
    st = reader_offset_for_time(reader, topic, partition, last_ms - DEDUPE_MS, ret);
    if (st == CQ_OK && *ret > next - 1)
        *ret = next - 1;
    return st;
}

/* ---- the times of chat.actions --------------------------------------------------------- */

static enum cq_status first_since(void *arg, int64_t at_ms, int64_t *ret)
{
    const struct restore *restore = arg;

    return reader_offset_for_time(restore->reader, topic_name(TOPIC_CHAT_ACTIONS),
                                  restore->state->partition, at_ms, ret);
}

static enum cq_status restore_times(struct restore *restore, int64_t committed)
{
    const char *topic = topic_name(TOPIC_CHAT_ACTIONS);
    int64_t first, next, last_ms = 0;
    enum cq_status st =
        reader_watermarks(restore->reader, topic, restore->state->partition, &first, &next);

    committed = committed < next ? committed : next;
    if (st != CQ_OK || committed <= first)
        return st;
    st = reader_scan(restore->reader, topic, restore->state->partition, committed - 1, committed,
                     on_last, &last_ms);
    return st == CQ_OK && last_ms
               ? times_restore(&restore->state->times, committed, last_ms, first_since, restore)
               : st;
}

enum cq_status chat_restore(struct reader *reader, struct chat_state *state, int64_t committed)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(ARENA_BYTES);
    struct restore restore = { reader, state, arena, 0 };
    const char *members = topic_name(TOPIC_MEMBERS), *events = topic_name(TOPIC_CHAT_EVENTS);
    int64_t first, next, from;
    enum cq_status st =
        reader_watermarks(reader, topic_name(TOPIC_CHAT_ACTIONS), state->partition, &first, &next);

    restore.beyond = st == CQ_OK ? next + BUS_TAIL_MAX : 0;
    if (st == CQ_OK)
        st = restore_times(&restore, committed);
    if (st == CQ_OK)
        st = reader_watermarks(reader, members, state->partition, &first, &next);
    if (st == CQ_OK && next > first)
        st = reader_scan(reader, members, state->partition, first, next, on_members, &restore);
    if (st == CQ_OK)
        st = reader_watermarks(reader, events, state->partition, &first, &next);
    if (st != CQ_OK || next == first)
        return st;
    st = tail_start(reader, state->partition, first, next, &from);
    if (st == CQ_OK)
        st = reader_scan(reader, events, state->partition, from, next, on_event, &restore);
    return st;
}

int64_t chat_again_parse(const char *meta)
{
    char *end;
    long long v;

    if (*meta != 'a')
        return 0;
    v = strtoll(meta + 1, &end, 10);
    return *end || v < 0 ? 0 : v;
}

size_t chat_again_format(int64_t again, char *buf, size_t cap)
{
    int n = again ? snprintf(buf, cap, "a%lld", (long long)again) : 0;

    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}
