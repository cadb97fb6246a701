/* SPDX-License-Identifier: MIT */
/*
 * processors/user/turn.h - one turn of the user stage, without Kafka: records are stepped, in parts
 * where one asks for more than a turn has, their outputs encoded, and what goes to a slot gathered.
 */
#pragma once

#include "processors/user/rules.h"
#include "schemas/output.h"

struct user_turn; /* opaque; one thread */

/** One record of user.inbox. */
struct user_input {
    struct user_state *state;
    struct cq_span value; /* valid until the end of the turn */
    int64_t offset;
    int64_t log_ms;
};

/** `slots` of ws.push. NULL without memory. Owned by caller. */
struct user_turn *user_turn_new(int32_t slots);
void user_turn_free(struct user_turn *turn); /* NULL is fine */

/** The most bytes of memory that one turn has asked for, and what it may ask for. */
size_t user_turn_memory(const struct user_turn *turn);
enum { USER_TURN_MEMORY_MAX = 128 * 1024 * 1024 };

/** Step one record from `*place`, as stage_ops.step has it. CQ_AGAIN with a moved place: a part is
 * emitted. CQ_POISON with *ret_why, CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status user_turn_step(struct user_turn *turn, const struct user_input *in,
                                            const struct output_port *port, uint64_t *place,
                                            const char **ret_why);

/** Emit what was gathered. */
CQ_MUST_CHECK enum cq_status user_turn_end(struct user_turn *turn, const struct output_port *port);

/** Keys of topics presence and push.targets: user/session/id, user/device/id; user/device. (That of
 * push.claims is the token's hash, that of push.mutes user/chat.) */
enum { USER_KEY_MAX = 2 * CQ_ID_TEXT_LEN + 16 };
void user_presence_key(const struct presence *presence, char out[USER_KEY_MAX]);
void user_target_key(const struct push_target *target, char out[USER_KEY_MAX]);
