/* SPDX-License-Identifier: MIT */
#include "sinks/persistence/targets.h"

#include "lib/base/assert.h"
#include "schemas/names.h"

void target_add(struct rows *rows, const struct chat_event *event, struct cq_id message,
                int64_t seq)
{
    CQ_ASSERT(rows->targets_n < ROWS_TARGETS, rows->targets_n);
    rows->targets[rows->targets_n++] = (struct target_row){
        .part = id_part(event->chat_id),
        .source_partition = event->source.partition,
        .source_offset = event->source.offset,
        .chat = event->chat_id,
        .message = message,
        .target = seq,
        .by = event->user_id,
        .client = event->client_id,
        .change = change_id(event->chat_id, event->user_id, event->client_id),
        .at_ms = event->at_ms,
    };
}
