/* SPDX-License-Identifier: MIT */
/*
 * tests/flow/world.h - both processors over a bus in memory: actions in, lines of text out.
 */
#pragma once

#include "processors/chat/rules.h"
#include "processors/user/rules.h"
#include "schemas/delivery.h"

enum { NAMES_MAX = 256, LOG_MAX = 1024, LINES_MAX = 4096, SLOTS = 8 };

/** A record as it stands in a topic: encoded bytes. */
struct kept {
    struct cq_span bytes;     /* owned */
    struct cq_id user, entry; /* of a presence record */
    bool is_device, gone;
    int64_t log_ms;
};

struct topic_log {
    struct kept v[LOG_MAX];
    size_t n;
};

struct world {
    struct chat_state chat;
    struct user_state user;
    struct cq_arena *arena;
    struct chat_outputs chat_outs;
    struct user_outputs user_outs;
    struct delivery *delivery;
    struct topic_log actions, events, members, inbox, presence, targets, claims, mutes;
    int64_t written; /* highest source in chat.events at the last restart of chat */
    int64_t log_ms;
    uint64_t turn;             /* of user */
    char names[NAMES_MAX][32]; /* alice, phone, s1, gw1 → ids derived from the name */
    size_t names_n;
    char *lines[LINES_MAX]; /* owned; what came out and was not asked for yet */
    size_t lines_n, lines_at;
};

void world_init(struct world *world);
void world_release(struct world *world);

/** The id of a name, remembered so that ids can be printed as names. */
struct cq_id world_id(struct world *world, const char *name);
const char *world_name(const struct world *world, struct cq_id id);

/** Append to topic chat.actions or user.inbox and step it through everything it causes. */
void world_chat(struct world *world, const struct chat_action *action);
void world_user(struct world *world, const struct user_action *action);
void world_deliver(struct world *world, enum delivery_origin origin, struct delivery_item *item);

void world_restart_chat(struct world *world);
void world_restart_user(struct world *world);
void world_replay_chat(struct world *world, int64_t from);

void world_line(struct world *world, const char *fmt, ...) CQ_PRINTF(2, 3);

/** print.c: one output as one line. */
void print_chat_output(struct world *world, const struct chat_output *output);
void print_user_output(struct world *world, const struct user_output *output);
