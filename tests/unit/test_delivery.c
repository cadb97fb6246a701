/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"

#include "schemas/codec.h"
#include "schemas/delivery.h"

#include <stdlib.h>

enum { PARTITIONS = 4 };

struct seen {
    struct cq_arena *arena;
    size_t records, items, recipients;
    size_t largest;
    int64_t last_offset; /* of the record before, in the partition of interest */
    bool cut_inside;
};

static void look_at(struct seen *seen, int32_t partition, struct cq_span value)
{
    struct user_inbox record;
    const struct delivery_batch *batch = &record.body.u.delivery_batch;

    arena_reset(seen->arena);
    CHECK_EQ(codec_decode(&user_inbox_codec, value, seen->arena, &record, NULL), CQ_OK);
    CHECK_EQ(record.body.kind, USER_INBOX_DELIVERY_BATCH);
    seen->records++;
    seen->items += batch->items_n;
    if (value.n > seen->largest)
        seen->largest = value.n;
    for (size_t i = 0; i < batch->items_n; i++) {
        seen->recipients += batch->items[i].to_n;
        for (size_t user = 0; user < batch->items[i].to_n; user++)
            CHECK_EQ(topic_partition(batch->items[i].to[user], PARTITIONS), partition);
    }
    if (partition == 0 && batch->items_n) {
        if (batch->items[0].offset == seen->last_offset)
            seen->cut_inside = true;
        seen->last_offset = batch->items[batch->items_n - 1].offset;
    }
}

static enum cq_status on_record(void *arg, int32_t partition, struct cq_span value)
{
    look_at(arg, partition, value);
    return CQ_OK;
}

TEST(deliveries_go_to_the_partition_of_each_recipient)
{
    struct delivery *delivery = delivery_new(DELIVERY_ORIGIN_CHAT_ACTIONS, PARTITIONS);
    struct seen seen = { .arena = arena_new(1 << 20), .last_offset = -1 };
    struct cq_id to[100];

    for (size_t i = 0; i < ARRAY_LEN(to); i++)
        to[i] = id_derive("u", &(struct cq_span){ (const uint8_t *)&i, sizeof i }, 1);
    struct delivery_item item = {
        .offset = 1, .frame = span_str("\"t\":\"x\"}"), .to = to, .to_n = ARRAY_LEN(to)
    };
    CHECK_EQ(delivery_add(delivery, &item, on_record, &seen), CQ_OK);
    CHECK_EQ(seen.records, 0u); /* nothing leaves before the flush */
    CHECK_EQ(delivery_flush(delivery, on_record, &seen), CQ_OK);
    CHECK_EQ(seen.records, (size_t)PARTITIONS);
    CHECK_EQ(seen.recipients, ARRAY_LEN(to));
    CHECK_EQ(delivery_flush(delivery, on_record, &seen), CQ_OK); /* it is empty now */
    CHECK_EQ(seen.records, (size_t)PARTITIONS);
    delivery_free(delivery);
    arena_free(seen.arena);
}

TEST(large_batches_are_cut_between_sources_only)
{
    struct delivery *delivery = delivery_new(DELIVERY_ORIGIN_CHAT_ACTIONS, PARTITIONS);
    struct seen seen = { .arena = arena_new(8 << 20), .last_offset = -1 };
    static char frame[60 * 1024];
    struct cq_id to;
    size_t items = 0;

    for (size_t i = 0;; i++) { /* somebody in partition 0 */
        to = id_derive("u", &(struct cq_span){ (const uint8_t *)&i, sizeof i }, 1);
        if (topic_partition(to, PARTITIONS) == 0)
            break;
    }
    memset(frame, 'x', sizeof frame);
    for (int64_t offset = 0; offset < 40; offset++)
        for (int part = 0; part < 2; part++, items++) { /* two items of each source */
            struct delivery_item item = {
                .offset = offset, .frame = span_of(frame, sizeof frame), .to = &to, .to_n = 1
            };
            CHECK_EQ(delivery_add(delivery, &item, on_record, &seen), CQ_OK);
        }
    CHECK_EQ(delivery_flush(delivery, on_record, &seen), CQ_OK);
    CHECK_EQ(seen.items, items);
    CHECK(seen.records > 1);
    CHECK(seen.largest <= TOPIC_RECORD_MAX);
    CHECK(!seen.cut_inside);
    delivery_free(delivery);
    arena_free(seen.arena);
}
