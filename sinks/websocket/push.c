/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/push.h"

#include "lib/base/assert.h"
#include "schemas/codec.h"

#include <stdlib.h>

enum cq_status push_decode(struct cq_span value, struct cq_arena *arena, struct push_record **ret,
                           const char **ret_why)
{
    struct ws_push push;
    enum cq_status st = codec_decode(&ws_push_codec, value, arena, &push, ret_why);
    size_t head = sizeof(struct push_record), entries, bytes;
    struct push_record *record;
    uint8_t *copy;

    if (st != CQ_OK)
        return st;
    entries = push.entries_n * sizeof(struct ws_entry);
    bytes = head + entries + value.n;
    record = malloc(bytes);
    if (!record)
        return CQ_AGAIN;
    *record =
        (struct push_record){ .refs = 1, .entries_n = (uint32_t)push.entries_n, .bytes = bytes };
    record->entries = (struct ws_entry *)((uint8_t *)record + head);
    if (entries)
        memcpy(record->entries, push.entries, entries);
    copy = (uint8_t *)record + head + entries;
    memcpy(copy, value.p, value.n);
    for (uint32_t i = 0; i < record->entries_n; i++)
        if (record->entries[i].frame.n)
            record->entries[i].frame.p = copy + (record->entries[i].frame.p - value.p);
    *ret = record;
    return CQ_OK;
}

void push_unref(struct push_record *record)
{
    CQ_ASSERT(record->refs > 0);
    if (--record->refs)
        return;
    if (record->window)
        window_close(record->window, record->ticket);
    if (record->held_bytes) {
        CQ_ASSERT(*record->held_bytes >= record->bytes, *record->held_bytes, record->bytes);
        *record->held_bytes -= record->bytes;
    }
    free(record);
}
