/* SPDX-License-Identifier: MIT */
#include "schemas/delivery.h"

#include "lib/base/array.h"
#include "lib/base/assert.h"
#include "lib/base/partitions.h"
#include "schemas/codec.h"

#include <stdlib.h>

enum {
    BATCH_ITEMS_MAX = 4096,
    FIRST_CAP = 64,     /* of items and recipients */
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
    struct delivery *delivery = calloc(1, sizeof *delivery);

    if (!delivery)
        return NULL;
    delivery->origin = origin;
    delivery->partitions = partitions;
    delivery->batches = calloc((size_t)partitions, sizeof *delivery->batches);
    buf_init(&delivery->encoded, TOPIC_RECORD_MAX);
    if (!delivery->batches) {
        free(delivery);
        return NULL;
    }
    return delivery;
}

void delivery_free(struct delivery *delivery)
{
    if (!delivery)
        return;
    for (int32_t p = 0; p < delivery->partitions; p++) {
        free(delivery->batches[p].items);
        free(delivery->batches[p].ids);
    }
    free(delivery->batches);
    buf_release(&delivery->encoded);
    free(delivery);
}

static enum cq_status emit_batch(struct delivery *delivery, int32_t partition,
                                 delivery_emit_fn *emit, void *arg)
{
    struct batch *batch = &delivery->batches[partition];
    struct user_inbox record = { .body.kind = USER_INBOX_DELIVERY_BATCH };
    struct cq_id *to = batch->ids;
    enum cq_status st;

    if (!batch->n)
        return CQ_OK;
    for (size_t i = 0; i < batch->n; i++) {
        batch->items[i].to = to;
        to += batch->items[i].to_n;
    }
    /* each recipient is in one item, and what is given up was counted */
    CQ_ASSERT(to == batch->ids + batch->ids_n && delivery->bytes >= batch->bytes, to - batch->ids,
              batch->ids_n, delivery->bytes, batch->bytes);
    record.body.u.delivery_batch = (struct delivery_batch){
        .origin = delivery->origin,
        .generation = TOPIC_GENERATION,
        .items = batch->items,
        .items_n = batch->n,
    };
    buf_clear(&delivery->encoded);
    st = codec_encode(&user_inbox_codec, &record, &delivery->encoded);
    delivery->bytes -= batch->bytes;
    batch->n = batch->ids_n = batch->bytes = 0;
    return st == CQ_OK ? emit(arg, partition, buf_span(&delivery->encoded)) : CQ_FATAL;
}

/* Add the item, as yet for nobody, to the batch of `partition`. */
static enum cq_status open_item(struct delivery *delivery, int32_t partition,
                                const struct delivery_item *item, delivery_emit_fn *emit, void *arg)
{
    struct batch *batch = &delivery->batches[partition];
    const struct delivery_item *last = batch->n ? &batch->items[batch->n - 1] : NULL;
    bool same_source = last && last->offset == item->offset && last->partition == item->partition;
    enum cq_status st;

    if (batch->n && !same_source &&
        (batch->bytes >= TOPIC_CUT_BYTES || batch->n >= BATCH_ITEMS_MAX)) {
        st = emit_batch(delivery, partition, emit, arg);
        if (st != CQ_OK)
            return st;
    }
    if (!array_room(&batch->items, &batch->cap, batch->n + 1, sizeof *batch->items, FIRST_CAP))
        return CQ_FATAL;
    batch->items[batch->n] = *item;
    batch->items[batch->n].to = NULL;
    batch->items[batch->n++].to_n = 0;
    batch->bytes += ITEM_OVERHEAD + item->frame.n;
    delivery->bytes += ITEM_OVERHEAD + item->frame.n;
    return CQ_OK;
}

/* One more recipient of the batch's last item. CQ_FATAL without memory. */
static enum cq_status add_recipient(struct delivery *delivery, struct batch *batch,
                                    struct cq_id user)
{
    if (!array_room(&batch->ids, &batch->ids_cap, batch->ids_n + 1, sizeof *batch->ids, FIRST_CAP))
        return CQ_FATAL;
    CQ_ASSERT(batch->n > 0); /* open_item() came before */
    batch->ids[batch->ids_n++] = user;
    batch->items[batch->n - 1].to_n++;
    batch->bytes += sizeof *batch->ids;
    delivery->bytes += sizeof *batch->ids;
    return CQ_OK;
}

enum cq_status delivery_add(struct delivery *delivery, const struct delivery_item *item,
                            delivery_emit_fn *emit, void *arg)
{
    bool opened[PARTITIONS_MAX] = { false }; /* that have this item already */

    for (size_t i = 0; i < item->to_n; i++) {
        int32_t p = topic_partition(item->to[i], delivery->partitions);
        enum cq_status st = opened[p] ? CQ_OK : open_item(delivery, p, item, emit, arg);

        opened[p] = true;
        if (st == CQ_OK)
            st = add_recipient(delivery, &delivery->batches[p], item->to[i]);
        if (st != CQ_OK)
            return st;
    }
    return CQ_OK;
}

enum cq_status delivery_add_to(struct delivery *delivery, const struct delivery_item *item,
                               const uint16_t *where, int32_t partition, delivery_emit_fn *emit,
                               void *arg)
{
    bool opened = false;

    for (size_t i = 0; i < item->to_n; i++) {
        enum cq_status st;

        if (where[i] != partition)
            continue;
        st = opened ? CQ_OK : open_item(delivery, partition, item, emit, arg);
        opened = true;
        if (st == CQ_OK)
            st = add_recipient(delivery, &delivery->batches[partition], item->to[i]);
        if (st != CQ_OK)
            return st;
    }
    return CQ_OK;
}

size_t delivery_bytes(const struct delivery *delivery)
{
    return delivery->bytes;
}

size_t delivery_cost(const struct delivery *delivery, const struct delivery_item *item)
{
    size_t copies =
        item->to_n < (size_t)delivery->partitions ? item->to_n : (size_t)delivery->partitions;

    return copies * (ITEM_OVERHEAD + item->frame.n) + item->to_n * sizeof *item->to;
}

enum cq_status delivery_flush(struct delivery *delivery, delivery_emit_fn *emit, void *arg)
{
    enum cq_status st = CQ_OK;

    for (int32_t p = 0; st == CQ_OK && p < delivery->partitions; p++)
        st = emit_batch(delivery, p, emit, arg);
    return st;
}

void delivery_clear(struct delivery *delivery)
{
    for (int32_t p = 0; p < delivery->partitions; p++)
        delivery->batches[p].n = delivery->batches[p].ids_n = delivery->batches[p].bytes = 0;
    delivery->bytes = 0;
}
