/* SPDX-License-Identifier: MIT */
/*
 * schemas/delivery.h - gathers what one turn delivers into few records: one DeliveryBatch for
 * each partition of user.inbox that is touched, cut at TOPIC_CUT_BYTES and never inside one source.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "schemas/records.gen.h"
#include "schemas/topics.h"

/** Devices that one MobilePush names, at most: twice what one user may have, since a record is cut
 * between users. */
enum { MOBILE_PUSH_TARGETS_MAX = 32 };

struct delivery; /* opaque; one a role, reused each turn */

/** Takes one encoded UserInbox for `partition`; `value` is borrowed. */
typedef enum cq_status delivery_emit_fn(void *arg, int32_t partition, struct cq_span value);

/** `partitions` of user.inbox. NULL without memory. Owned by caller. */
struct delivery *delivery_new(enum delivery_origin origin, int32_t partitions);
void delivery_free(struct delivery *delivery);

/** Add one item for all of item->to, whichever partitions they are in. The frame is borrowed until
 * the flush; the rest is copied. Emits a full batch on the way. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status delivery_add(struct delivery *delivery,
                                          const struct delivery_item *item, delivery_emit_fn *emit,
                                          void *arg);

/** The same for those of item->to whose `where` is `partition`. `where` has the partition of each
 * recipient, as topic_partition tells it. */
CQ_MUST_CHECK enum cq_status delivery_add_to(struct delivery *delivery,
                                             const struct delivery_item *item,
                                             const uint16_t *where, int32_t partition,
                                             delivery_emit_fn *emit, void *arg);

/** Bytes, about, of what is gathered and not emitted. */
size_t delivery_bytes(const struct delivery *delivery);

/** Bytes, about, that the item would add: its frame once for each partition it can be in. */
size_t delivery_cost(const struct delivery *delivery, const struct delivery_item *item);

/** Emit everything gathered; it is empty then. */
CQ_MUST_CHECK enum cq_status delivery_flush(struct delivery *delivery, delivery_emit_fn *emit,
                                            void *arg);

/** Forget what was gathered: the turn is given up. */
void delivery_clear(struct delivery *delivery);
