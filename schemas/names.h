/* SPDX-License-Identifier: MIT */
/*
 * schemas/names.h - derived ids that edges, processors and clients agree on (pure).
 */
#pragma once

#include "lib/base/id.h"
#include "schemas/records.gen.h"

/** Chat of two users: derived from the ordered pair, so it proves who may be in it. */
struct cq_id chat_id_direct(struct cq_id a, struct cq_id b);

/** A group's id, derived from its creator and the client's own id of the creation. */
struct cq_id chat_id_group(struct cq_id creator, struct cq_span client_id);

/** A message's id, derived from chat, sender and the client's own id. */
struct cq_id message_id(struct cq_id chat, struct cq_id sender, struct cq_span client_id);

/** The id of a change of a message, derived as a message's is, under another word. */
struct cq_id change_id(struct cq_id chat, struct cq_id user, struct cq_span client_id);

/** What the log has of a link by which others may join a group, instead of its secret. */
struct cq_id invite_hash(struct cq_id chat, struct cq_id secret);

/** Id of an event, derived from its source topic and position: the same on every replay. */
struct cq_id event_id(const char *topic, int32_t generation, int32_t partition, int64_t offset,
                      int32_t index);

/** What stands for a push token where the token itself is not wanted: kind and token, hashed. */
struct cq_id push_token_id(enum push_kind kind, struct cq_span token);
