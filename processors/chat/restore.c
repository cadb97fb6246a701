/* SPDX-License-Identifier: MIT */
#include "processors/chat/restore.h"

#include "schemas/codec.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BYTES = 4 * 1024 * 1024 };

struct restore {
    struct chat_state *state;
    struct cq_arena *arena;
    int64_t beyond; /* sources from here on were not written by this system */
};

static enum cq_status on_members(void *arg, const struct bus_record *rec)
{
    struct restore *r = arg;
    struct chat_members value;

    if (!rec->value.p)
        return CQ_OK;
    arena_reset(r->arena);
    if (codec_decode(&chat_members_codec, rec->value, r->arena, &value, NULL) != CQ_OK)
        return CQ_OK; /* not a value of ours: it names no member of any group */
    return groups_restore(&r->state->groups, &value);
}

static enum cq_status on_event(void *arg, const struct bus_record *rec)
{
    struct restore *r = arg;
    struct chat_event e;

    arena_reset(r->arena);
    if (codec_decode(&chat_event_codec, rec->value, r->arena, &e, NULL) != CQ_OK)
        return CQ_OK;
    if (e.source.offset >= r->beyond)
        return CQ_OK;
    if (e.source.offset > r->state->last_event)
        r->state->last_event = e.source.offset;
    if (e.event.kind != CHAT_EVENT_MESSAGE_ACCEPTED)
        return CQ_OK;
    return dedupe_add(&r->state->dedupe,
                      &(struct dedupe_entry){
                          .id = e.event.u.message_accepted.id,
                          .seq = e.seq,
                          .at_ms = rec->at_ms,
                          .content = chat_content_fingerprint(e.event.u.message_accepted.type,
                                                              e.event.u.message_accepted.content,
                                                              e.event.u.message_accepted.media_id),
                      });
}

static enum cq_status on_last(void *arg, const struct bus_record *rec)
{
    int64_t *last_ms = arg;

    *last_ms = rec->at_ms;
    return CQ_OK;
}

/* Where the last ten minutes of the partition begin, by the time of its last record. */
static enum cq_status tail_start(struct reader *r, int32_t partition, int64_t first, int64_t next,
                                 int64_t *ret)
{
    const char *topic = topic_name(TOPIC_CHAT_EVENTS);
    int64_t last_ms = 0;
    enum cq_status st = reader_scan(r, topic, partition, next - 1, next, on_last, &last_ms);

    *ret = first;
    if (st != CQ_OK || !last_ms)
        return st;
    st = reader_offset_for_time(r, topic, partition, last_ms - DEDUPE_MS, ret);
    if (st == CQ_OK && *ret > next - 1)
        *ret = next - 1;
    return st;
}

enum cq_status chat_restore(struct reader *r, struct chat_state *s)
{
    cq_auto(arena) struct cq_arena *arena = arena_new(ARENA_BYTES);
    struct restore restore = { s, arena, 0 };
    const char *members = topic_name(TOPIC_MEMBERS), *events = topic_name(TOPIC_CHAT_EVENTS);
    int64_t first, next, from;
    enum cq_status st =
        reader_watermarks(r, topic_name(TOPIC_CHAT_ACTIONS), s->partition, &first, &next);

    restore.beyond = st == CQ_OK ? next + BUS_TAIL_MAX : 0;
    if (st == CQ_OK)
        st = reader_watermarks(r, members, s->partition, &first, &next);
    if (st == CQ_OK && next > first)
        st = reader_scan(r, members, s->partition, first, next, on_members, &restore);
    if (st == CQ_OK)
        st = reader_watermarks(r, events, s->partition, &first, &next);
    if (st != CQ_OK || next == first)
        return st;
    st = tail_start(r, s->partition, first, next, &from);
    if (st == CQ_OK)
        st = reader_scan(r, events, s->partition, from, next, on_event, &restore);
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
