/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/turn.h - one turn of the chat stage, without Kafka: records are stepped, their
 * outputs encoded, and a fan-out that is larger than a turn is cut between partitions of user.inbox
 * and goes on in the next one.
 */
#pragma once

#include "processors/chat/rules.h"
#include "schemas/output.h"

struct chat_turn; /* opaque; one thread */

/** One record of chat.actions. */
struct chat_input {
    struct chat_state *state;
    struct cq_span value; /* valid until the record is done */
    int64_t offset;
    int64_t log_ms;
    int64_t written; /* highest source that chat.events had at the start; -1: none */
};

/** `partitions` of user.inbox. NULL without memory. Owned by caller. */
struct chat_turn *chat_turn_new(int32_t partitions);
void chat_turn_free(struct chat_turn *turn); /* NULL is fine */

/** The most bytes of memory that one turn has asked for, and what it may ask for. */
size_t chat_turn_memory(const struct chat_turn *turn);
enum { CHAT_TURN_MEMORY_MAX = 128 * 1024 * 1024 };

/** Step one record from `*place`, as stage_ops.step has it: 0 at first; CQ_AGAIN with a moved place
 * when the turn is full. The verdict is given once, at place 0, and kept for the parts that follow.
 * A whole source goes to a partition of user.inbox in one turn, because its readers drop what they
 * have seen by source. CQ_POISON with *ret_why, CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status chat_turn_step(struct chat_turn *turn, const struct chat_input *in,
                                            const struct output_port *port, uint64_t *place,
                                            const char **ret_why);

/** Emit what was gathered. */
CQ_MUST_CHECK enum cq_status chat_turn_end(struct chat_turn *turn, const struct output_port *port);
