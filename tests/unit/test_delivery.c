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

static void look_at(struct seen *s, int32_t partition, struct cq_span value)
{
    struct user_inbox record;
    const struct delivery_batch *b = &record.body.u.delivery_batch;

    arena_reset(s->arena);
    CHECK_EQ(codec_decode(&user_inbox_codec, value, s->arena, &record, NULL), CQ_OK);
    CHECK_EQ(record.body.kind, USER_INBOX_DELIVERY_BATCH);
    s->records++;
    s->items += b->items_n;
    if (value.n > s->largest)
        s->largest = value.n;
    for (size_t i = 0; i < b->items_n; i++) {
        s->recipients += b->items[i].to_n;
        for (size_t k = 0; k < b->items[i].to_n; k++)
            CHECK_EQ(topic_partition(b->items[i].to[k], PARTITIONS), partition);
    }
    if (partition == 0 && b->items_n) {
        if (b->items[0].offset == s->last_offset)
            s->cut_inside = true;
        s->last_offset = b->items[b->items_n - 1].offset;
    }
}

static enum cq_status on_record(void *arg, int32_t partition, struct cq_span value)
{
    look_at(arg, partition, value);
    return CQ_OK;
}

TEST(deliveries_go_to_the_partition_of_each_recipient)
{
    struct delivery *d = delivery_new(DELIVERY_ORIGIN_CHAT_ACTIONS, PARTITIONS);
    struct seen s = { .arena = arena_new(1 << 20), .last_offset = -1 };
    struct cq_id to[100];

    for (size_t i = 0; i < ARRAY_LEN(to); i++)
        to[i] = id_derive("u", &(struct cq_span){ (const uint8_t *)&i, sizeof i }, 1);
    struct delivery_item item = {
        .offset = 1, .frame = span_str("\"t\":\"x\"}"), .to = to, .to_n = ARRAY_LEN(to)
    };
    CHECK_EQ(delivery_add(d, &item, on_record, &s), CQ_OK);
    CHECK_EQ(s.records, 0u); /* nothing leaves before the flush */
    CHECK_EQ(delivery_flush(d, on_record, &s), CQ_OK);
    CHECK_EQ(s.records, (size_t)PARTITIONS);
    CHECK_EQ(s.recipients, ARRAY_LEN(to));
    CHECK_EQ(delivery_flush(d, on_record, &s), CQ_OK); /* it is empty now */
    CHECK_EQ(s.records, (size_t)PARTITIONS);
    delivery_free(d);
    arena_free(s.arena);
}

TEST(large_batches_are_cut_between_sources_only)
{
    struct delivery *d = delivery_new(DELIVERY_ORIGIN_CHAT_ACTIONS, PARTITIONS);
    struct seen s = { .arena = arena_new(8 << 20), .last_offset = -1 };
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
            CHECK_EQ(delivery_add(d, &item, on_record, &s), CQ_OK);
        }
    CHECK_EQ(delivery_flush(d, on_record, &s), CQ_OK);
    CHECK_EQ(s.items, items);
    CHECK(s.records > 1);
    CHECK(s.largest <= TOPIC_RECORD_MAX);
    CHECK(!s.cut_inside);
    delivery_free(d);
    arena_free(s.arena);
}
