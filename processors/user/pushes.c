/* SPDX-License-Identifier: MIT */
#include "processors/user/pushes.h"

#include "lib/base/array.h"
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
    struct pushes *pushes = calloc(1, sizeof *pushes);

    if (!pushes)
        return NULL;
    pushes->slots = slots;
    pushes->by_slot = calloc((size_t)slots, sizeof *pushes->by_slot);
    buf_init(&pushes->encoded, TOPIC_RECORD_MAX);
    if (!pushes->by_slot) {
        free(pushes);
        return NULL;
    }
    return pushes;
}

void pushes_free(struct pushes *pushes)
{
    if (!pushes)
        return;
    for (int32_t s = 0; s < pushes->slots; s++)
        free(pushes->by_slot[s].entries);
    free(pushes->by_slot);
    buf_release(&pushes->encoded);
    free(pushes);
}

static enum cq_status emit_slot(struct pushes *pushes, int32_t slot, pushes_emit_fn *emit,
                                void *arg)
{
    struct gathered *gathered = &pushes->by_slot[slot];
    struct ws_push record = { gathered->entries, gathered->n };
    enum cq_status st;

    if (!gathered->n)
        return CQ_OK;
    buf_clear(&pushes->encoded);
    st = codec_encode(&ws_push_codec, &record, &pushes->encoded);
    pushes->bytes -= gathered->bytes;
    gathered->n = gathered->bytes = 0;
    return st == CQ_OK ? emit(arg, slot, buf_span(&pushes->encoded)) : CQ_FATAL;
}

enum cq_status pushes_add(struct pushes *pushes, int32_t slot, const struct ws_entry *entry,
                          pushes_emit_fn *emit, void *arg)
{
    struct gathered *gathered = &pushes->by_slot[slot];
    size_t bytes = ENTRY_OVERHEAD + entry->frame.n + entry->to_n * sizeof *entry->to;

    if (gathered->n && (gathered->bytes + bytes > TOPIC_CUT_BYTES || gathered->n >= ENTRIES_MAX)) {
        enum cq_status st = emit_slot(pushes, slot, emit, arg);

        if (st != CQ_OK)
            return st;
    }
    if (!array_room(&gathered->entries, &gathered->cap, gathered->n + 1, sizeof *entry, 64))
        return CQ_FATAL;
    gathered->entries[gathered->n++] = *entry;
    gathered->bytes += bytes;
    pushes->bytes += bytes;
    return CQ_OK;
}

size_t pushes_bytes(const struct pushes *pushes)
{
    return pushes->bytes;
}

enum cq_status pushes_flush(struct pushes *pushes, pushes_emit_fn *emit, void *arg)
{
    enum cq_status st = CQ_OK;

    for (int32_t s = 0; st == CQ_OK && s < pushes->slots; s++)
        st = emit_slot(pushes, s, emit, arg);
    return st;
}
