/* SPDX-License-Identifier: MIT */
#include "schemas/delivery.h"

#include "lib/base/assert.h"
#include "lib/base/partitions.h"
#include "schemas/codec.h"

#include <stdlib.h>

enum {
    BATCH_ITEMS_MAX = 4096,
    ITEM_OVERHEAD = 96, /* bytes of an encoded item beside frame and recipients, about */
};

struct batch {
    struct delivery_item *items; /* owned; `to` points into `ids` once it is emitted */
    size_t n, cap;
    struct cq_id *ids; /* owned; recipients of all items, one after the other */
    size_t ids_n, ids_cap;
    size_t bytes; /* of the encoded record, about */
};

struct delivery {
    enum delivery_origin origin;
    int32_t partitions;
    struct batch *batches; /* owned; one a partition */
    size_t bytes;          /* of all batches */
    struct cq_buf encoded;
};

struct delivery *delivery_new(enum delivery_origin origin, int32_t partitions)
{
    struct delivery *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->origin = origin;
    d->partitions = partitions;
    d->batches = calloc((size_t)partitions, sizeof *d->batches);
    buf_init(&d->encoded, TOPIC_RECORD_MAX);
    if (!d->batches) {
        free(d);
        return NULL;
    }
    return d;
}

void delivery_free(struct delivery *d)
{
    if (!d)
        return;
    for (int32_t p = 0; p < d->partitions; p++) {
        free(d->batches[p].items);
        free(d->batches[p].ids);
    }
    free(d->batches);
    buf_release(&d->encoded);
    free(d);
}

static enum cq_status emit_batch(struct delivery *d, int32_t partition, delivery_emit_fn *emit,
                                 void *arg)
{
    struct batch *b = &d->batches[partition];
    struct user_inbox record = { .body.kind = USER_INBOX_DELIVERY_BATCH };
    struct cq_id *to = b->ids;
    enum cq_status st;

    if (!b->n)
        return CQ_OK;
    for (size_t i = 0; i < b->n; i++) {
        b->items[i].to = to;
        to += b->items[i].to_n;
    }
    /* each recipient is in one item, and what is given up was counted */
    CQ_ASSERT(to == b->ids + b->ids_n && d->bytes >= b->bytes, to - b->ids, b->ids_n, d->bytes,
              b->bytes);
    record.body.u.delivery_batch = (struct delivery_batch){
        .origin = d->origin,
        .generation = TOPIC_GENERATION,
        .items = b->items,
        .items_n = b->n,
    };
    buf_clear(&d->encoded);
    st = codec_encode(&user_inbox_codec, &record, &d->encoded);
    d->bytes -= b->bytes;
    b->n = b->ids_n = b->bytes = 0;
    return st == CQ_OK ? emit(arg, partition, buf_span(&d->encoded)) : CQ_FATAL;
}

static bool grow(void **p, size_t *cap, size_t size)
{
    size_t more = *cap ? *cap * 2 : 64;
    void *bigger = realloc(*p, more * size);

    if (!bigger)
        return false;
    *p = bigger;
    *cap = more;
    return true;
}

/* Add the item, as yet for nobody, to the batch of `partition`. */
static enum cq_status open_item(struct delivery *d, int32_t partition,
                                const struct delivery_item *item, delivery_emit_fn *emit, void *arg)
{
    struct batch *b = &d->batches[partition];
    const struct delivery_item *last = b->n ? &b->items[b->n - 1] : NULL;
    bool same_source = last && last->offset == item->offset && last->partition == item->partition;
    enum cq_status st;

    if (b->n && !same_source && (b->bytes >= TOPIC_CUT_BYTES || b->n >= BATCH_ITEMS_MAX)) {
        st = emit_batch(d, partition, emit, arg);
        if (st != CQ_OK)
            return st;
    }
    if (b->n == b->cap && !grow((void **)&b->items, &b->cap, sizeof *b->items))
        return CQ_FATAL;
    b->items[b->n] = *item;
    b->items[b->n].to = NULL;
    b->items[b->n++].to_n = 0;
    b->bytes += ITEM_OVERHEAD + item->frame.n;
    d->bytes += ITEM_OVERHEAD + item->frame.n;
    return CQ_OK;
}

/* One more recipient of the batch's last item. CQ_FATAL without memory. */
static enum cq_status add_recipient(struct delivery *d, struct batch *b, struct cq_id user)
{
    if (b->ids_n == b->ids_cap && !grow((void **)&b->ids, &b->ids_cap, sizeof *b->ids))
        return CQ_FATAL;
    CQ_ASSERT(b->n > 0); /* open_item() came before */
    b->ids[b->ids_n++] = user;
    b->items[b->n - 1].to_n++;
    b->bytes += sizeof *b->ids;
    d->bytes += sizeof *b->ids;
    return CQ_OK;
}

enum cq_status delivery_add(struct delivery *d, const struct delivery_item *item,
                            delivery_emit_fn *emit, void *arg)
{
    bool opened[PARTITIONS_MAX] = { false }; /* that have this item already */

    for (size_t i = 0; i < item->to_n; i++) {
        int32_t p = topic_partition(item->to[i], d->partitions);
        enum cq_status st = opened[p] ? CQ_OK : open_item(d, p, item, emit, arg);

        opened[p] = true;
        if (st == CQ_OK)
            st = add_recipient(d, &d->batches[p], item->to[i]);
        if (st != CQ_OK)
            return st;
    }
    return CQ_OK;
}

enum cq_status delivery_add_to(struct delivery *d, const struct delivery_item *item,
                               const uint16_t *where, int32_t partition, delivery_emit_fn *emit,
                               void *arg)
{
    bool opened = false;

    for (size_t i = 0; i < item->to_n; i++) {
        enum cq_status st;

        if (where[i] != partition)
            continue;
        st = opened ? CQ_OK : open_item(d, partition, item, emit, arg);
        opened = true;
        if (st == CQ_OK)
            st = add_recipient(d, &d->batches[partition], item->to[i]);
        if (st != CQ_OK)
            return st;
    }
    return CQ_OK;
}

size_t delivery_bytes(const struct delivery *d)
{
    return d->bytes;
}

size_t delivery_cost(const struct delivery *d, const struct delivery_item *item)
{
    size_t copies = item->to_n < (size_t)d->partitions ? item->to_n : (size_t)d->partitions;

    return copies * (ITEM_OVERHEAD + item->frame.n) + item->to_n * sizeof *item->to;
}

enum cq_status delivery_flush(struct delivery *d, delivery_emit_fn *emit, void *arg)
{
    enum cq_status st = CQ_OK;

    for (int32_t p = 0; st == CQ_OK && p < d->partitions; p++)
        st = emit_batch(d, p, emit, arg);
    return st;
}

void delivery_clear(struct delivery *d)
{
    for (int32_t p = 0; p < d->partitions; p++)
        d->batches[p].n = d->batches[p].ids_n = d->batches[p].bytes = 0;
    d->bytes = 0;
}
