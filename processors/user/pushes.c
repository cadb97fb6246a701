/* SPDX-License-Identifier: MIT */
#include "processors/user/pushes.h"

#include "schemas/codec.h"
#include "schemas/topics.h"

#include <stdlib.h>

enum {
    ENTRIES_MAX = 4096,
    ENTRY_OVERHEAD = 80 /* bytes of an encoded entry beside frame and targets, about */
};

struct gathered {
    struct ws_entry *entries; /* owned */
    size_t n, cap;
    size_t bytes; /* of the encoded record, about */
};

struct pushes {
    int32_t slots;
    size_t bytes;             /* of all slots */
    struct gathered *by_slot; /* owned */
    struct cq_buf encoded;
};

struct pushes *pushes_new(int32_t slots)
{
    struct pushes *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->slots = slots;
    p->by_slot = calloc((size_t)slots, sizeof *p->by_slot);
    buf_init(&p->encoded, TOPIC_RECORD_MAX);
    if (!p->by_slot) {
        free(p);
        return NULL;
    }
    return p;
}

void pushes_free(struct pushes *p)
{
    if (!p)
        return;
    for (int32_t s = 0; s < p->slots; s++)
        free(p->by_slot[s].entries);
    free(p->by_slot);
    buf_release(&p->encoded);
    free(p);
}

static enum cq_status emit_slot(struct pushes *p, int32_t slot, pushes_emit_fn *emit, void *arg)
{
    struct gathered *g = &p->by_slot[slot];
    struct ws_push record = { g->entries, g->n };
    enum cq_status st;

    if (!g->n)
        return CQ_OK;
    buf_clear(&p->encoded);
    st = codec_encode(&ws_push_codec, &record, &p->encoded);
    p->bytes -= g->bytes;
    g->n = g->bytes = 0;
    return st == CQ_OK ? emit(arg, slot, buf_span(&p->encoded)) : CQ_FATAL;
}

enum cq_status pushes_add(struct pushes *p, int32_t slot, const struct ws_entry *entry,
                          pushes_emit_fn *emit, void *arg)
{
    struct gathered *g = &p->by_slot[slot];
    size_t bytes = ENTRY_OVERHEAD + entry->frame.n + entry->to_n * sizeof *entry->to;

    if (g->n && (g->bytes + bytes > TOPIC_CUT_BYTES || g->n >= ENTRIES_MAX)) {
        enum cq_status st = emit_slot(p, slot, emit, arg);

        if (st != CQ_OK)
            return st;
    }
    if (g->n == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 64;
        struct ws_entry *entries = realloc(g->entries, cap * sizeof *entries);

        if (!entries)
            return CQ_FATAL;
        g->entries = entries;
        g->cap = cap;
    }
    g->entries[g->n++] = *entry;
    g->bytes += bytes;
    p->bytes += bytes;
    return CQ_OK;
}

size_t pushes_bytes(const struct pushes *p)
{
    return p->bytes;
}

enum cq_status pushes_flush(struct pushes *p, pushes_emit_fn *emit, void *arg)
{
    enum cq_status st = CQ_OK;

    for (int32_t s = 0; st == CQ_OK && s < p->slots; s++)
        st = emit_slot(p, s, emit, arg);
    return st;
}
