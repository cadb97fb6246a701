/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/rules.h - what is accepted in a chat. Pure: no clock, no I/O, no globals; the
 * same state and action give the same outputs.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "processors/chat/dedupe.h"
#include "processors/chat/group.h"
#include "processors/chat/times.h"
#include "schemas/records.gen.h"
#include "schemas/topics.h"

/** Everything one partition's verdicts depend on; rebuilt from topics members, chat.events and the times of
 * chat.actions. */
struct chat_state {
    int32_t partition;
    int32_t partitions_n; /* of chat.actions: an action must be in its chat's partition */
    struct groups groups;
    struct groups pairs;  /* direct chats of which something is kept; others need nothing */
    struct dedupe dedupe; /* of messages, and of what changed them */
    struct times times;
    int64_t last_event; /* offset of the last action that became an event, -1: none */
};

void chat_state_init(struct chat_state *state, int32_t partition, int32_t partitions_n);
void chat_state_release(struct chat_state *state);

/** One output; `topic` says which member is set. */
struct chat_output {
    enum topic topic;
    union {
        struct chat_event event;       /* TOPIC_CHAT_EVENTS */
        struct chat_members members;   /* TOPIC_MEMBERS */
        struct rejection rejection;    /* TOPIC_REJECTIONS */
        struct delivery_status status; /* TOPIC_DELIVERY_STATUS */
        struct delivery_item item;     /* TOPIC_USER_INBOX; `to` may be of any partition */
    } u;
};

struct chat_outputs {
    struct chat_output *v;
    size_t n, cap;
};

/** One step's input and where its outputs live. */
struct chat_step {
    struct chat_state *state;
    const struct chat_action *action;
    int64_t offset; /* of the action */
    int64_t seq;
    int64_t log_ms; /* the broker's time of the action: the clock of the dedupe window */
    struct cq_arena *arena;
    struct chat_outputs *out;
    bool repeated;     /* out: a client id that was there already; zeroed by the caller */
    bool unrenderable; /* a frame would pass its bound; zeroed by the caller */
};

/** Outputs a single action can have: three per receipt are the most. */
enum { CHAT_OUTPUTS_MAX = 3 * LIMIT_RECEIPTS + 16 };

/**
 * Step one action. CQ_OK; CQ_POISON with *ret_why for one that no client can have written (wrong
 * partition, too many items); CQ_AGAIN when the arena is full; CQ_FATAL for an output that the rule
 * does not name, or no memory.
 */
CQ_MUST_CHECK enum cq_status chat_step(struct chat_step *step, const char **ret_why);

/** A value of topic members; an older one changes nothing. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status chat_restore_members(struct chat_state *state,
                                                  const struct chat_members *value);

/** An event of this partition that stands in the log already, `log_ms` old there; in their order. CQ_FATAL
 * without memory. */
CQ_MUST_CHECK enum cq_status chat_restore_event(struct chat_state *state,
                                                const struct chat_event *event, int64_t log_ms);

/** The rule table as a Mermaid diagram. */
void chat_rules_print(FILE *out);

/* ---- shared by the rule files --------------------------------------------------------- */

/** Next output of that topic, zeroed; NULL when CHAT_OUTPUTS_MAX is reached. */
struct chat_output *chat_emit(struct chat_step *step, enum topic topic);

/** Refuse the action: one record for the log and one frame for the sender's devices. */
CQ_MUST_CHECK enum cq_status chat_reject(struct chat_step *step, struct cq_id id, const char *code);

/** An event with its header filled from the action. NULL when the outputs are full. */
struct chat_event *chat_emit_event(struct chat_step *step);

/** A frame for `to`. */
CQ_MUST_CHECK enum cq_status chat_emit_item(struct chat_step *step, enum frame_class class,
                                            int64_t seq, struct cq_id message, struct cq_span frame,
                                            struct cq_id *to, size_t to_n);

/** The event's frame, in the arena; {NULL,0} when it is full, or when the frame passes its bound,
 * which makes chat_emit_item refuse it. */
struct cq_span chat_render(struct chat_step *step, const struct chat_event *event);

/** The entry of the dedupe window that an event makes: the id of what was asked, and a fingerprint of its
 * content. False: it makes none. */
bool chat_dedupe_entry(const struct chat_event *event, int64_t log_ms, struct dedupe_entry *ret);

/** The first that was accepted under `id`, before this action; or NULL. A replay finds also later ones, after a
 * refusal: of them this action is no repeat. Borrowed, see dedupe_find(). */
const struct dedupe_entry *chat_first(const struct chat_step *step, struct cq_id id);

/** The same client id again: `event`, with the seq of the first, for the author's devices alone. */
CQ_MUST_CHECK enum cq_status chat_tell_again(struct chat_step *step, const struct chat_event *event,
                                             enum frame_class class, struct cq_id message);

/** What is kept of the action's chat; NULL: nothing. */
struct group *chat_kept(const struct chat_step *step);

/** The same, of a direct chat made now: both are in it from the beginning. NULL without memory. */
struct group *chat_keep_pair(struct chat_step *step);

/** What is kept of a group, or of a direct chat, as it is now, for topic members. */
CQ_MUST_CHECK enum cq_status chat_emit_members(struct chat_step *step, const struct group *group);

/** Changes of members that are allowed: they come about, and everybody hears of them. `by`: the link by which the
 * one who is added comes; NULL: none. */
CQ_MUST_CHECK enum cq_status chat_accept_changes(struct chat_step *step, struct group *group,
                                                 struct member_change *changes, size_t n,
                                                 const struct invite_kept *by);

/** Who gets what is sent in the action's chat, its author among them; NULL with *ret_st CQ_OK when
 * the author is not in it. */
struct cq_id *chat_recipients(struct chat_step *step, size_t *ret_n, enum cq_status *ret_st);

/** Why the author is not in it, as a code. */
const char *chat_refusal(const struct chat_step *step);

/** Whether the author, who is in the chat, has `right` there just before the action. In a direct chat both
 * have all of them. */
bool chat_may(const struct chat_step *step, enum right right);

/** Whether they are the two users of a direct chat: its id is derived from them, which is the proof of membership. */
bool chat_is_pair(struct cq_id chat, struct cq_id user, struct cq_id peer);

/** Whether `user` is in a direct chat of his just before `seq`: he does not block the other. */
bool chat_pair_has(const struct chat_state *state, struct cq_id chat, struct cq_id user,
                   int64_t seq);

/** The stays of a group, or of a direct chat, as they are now, for topic members. */
CQ_MUST_CHECK enum cq_status chat_emit_members(struct chat_step *step, const struct group *group);

/** What decides about one kind of action. It stands behind its function, under the name of the kind:
 * a kind without one does not link. */
struct chat_rule {
    enum cq_status (*step)(struct chat_step *step);
    uint32_t writes; /* topics, see TOPIC_BIT; an output to any other ends the process */
};

#define CHAT_RULE_DECLARED(kind, constant, name) extern const struct chat_rule chat_rule_##kind;
CHAT_ACTION_ACTION_KINDS(CHAT_RULE_DECLARED)
