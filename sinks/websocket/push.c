/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/push.h"

#include "lib/base/assert.h"
#include "schemas/codec.h"

#include <stdlib.h>

enum cq_status push_decode(struct cq_span value, struct cq_arena *a, struct push_record **ret,
                           const char **ret_why)
{
    struct ws_push push;
    enum cq_status st = codec_decode(&ws_push_codec, value, a, &push, ret_why);
    size_t head = sizeof(struct push_record), entries, bytes;
    struct push_record *r;
    uint8_t *copy;

    if (st != CQ_OK)
        return st;
    entries = push.entries_n * sizeof(struct ws_entry);
    bytes = head + entries + value.n;
    r = malloc(bytes);
    if (!r)
        return CQ_AGAIN;
    *r = (struct push_record){ .refs = 1, .entries_n = (uint32_t)push.entries_n, .bytes = bytes };
    r->entries = (struct ws_entry *)((uint8_t *)r + head);
    if (entries)
        memcpy(r->entries, push.entries, entries);
    copy = (uint8_t *)r + head + entries;
    memcpy(copy, value.p, value.n);
    for (uint32_t i = 0; i < r->entries_n; i++)
        if (r->entries[i].frame.n)
            r->entries[i].frame.p = copy + (r->entries[i].frame.p - value.p);
    *ret = r;
    return CQ_OK;
}

void push_unref(struct push_record *r)
{
    CQ_ASSERT(r->refs > 0);
    if (--r->refs)
        return;
    if (r->window)
        window_close(r->window, r->ticket);
    if (r->held_bytes) {
        CQ_ASSERT(*r->held_bytes >= r->bytes, *r->held_bytes, r->bytes);
        *r->held_bytes -= r->bytes;
    }
    free(r);
}
