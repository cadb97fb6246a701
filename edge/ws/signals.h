/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/signals.h - who types, shown to those who look: at most once, worth nothing after
 * seconds, never stored. Sockets of one gateway are told at once. Other gateways are reached
 * through the owner of the chat, the gateway that has slot murmur2(chat) mod SLOTS, by the topic
 * `signals`, where nothing is awaited and what has no room is dropped. Pure: Kafka and the sockets
 * are behind struct signals_port, and times are passed in.
 */
#pragma once

#include "edge/ws/attendance.h"
#include "edge/ws/looks.h"
#include "edge/ws/signals_out.h"
#include "edge/ws/watches.h"

enum { SIGNALS_RENEW_MS = 10 * 1000 }; /* looks, to their owners: three times in WATCH_MS */

struct signals {
    struct signals_out out;
    struct looks looks;     /* at chats */
    struct watches watches; /* as the owner: behind which slots somebody looks at a chat */
    struct attendance attendance;
    struct cq_arena *arena; /* owned; of a record that is taken */
    int64_t renewed_ms;
};

CQ_MUST_CHECK enum cq_status signals_init(struct signals *signals, struct signals_port port,
                                          int32_t slots);
void signals_release(struct signals *signals); /* zeroed is fine; nobody may look */

/** `by` looks at a chat until then. CQ_AGAIN: at a bound. */
CQ_MUST_CHECK enum cq_status signals_look(struct signals *signals, struct looker *by,
                                          struct cq_id chat, int64_t until_ms);

/** A user types here, or does not any more: tell all who look. */
void signals_say(struct signals *signals, const struct signal *signal, int64_t now_ms);

/** A record of one of our slots, written by a gateway. CQ_POISON: not one, or larger than any.
 */
CQ_MUST_CHECK enum cq_status signals_take(struct signals *signals, struct cq_span value,
                                          int64_t now_ms);

/** Every 100 ms: what was gathered leaves, looks are renewed, what was not renewed is forgotten.
 * `wall_ms`: the time of day, for clients. */
void signals_tick(struct signals *signals, int64_t now_ms, int64_t wall_ms);
