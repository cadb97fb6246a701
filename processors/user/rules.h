/* SPDX-License-Identifier: MIT */
/*
 * processors/user/rules.h - where what is delivered to a user goes. Pure: no clock, no I/O, no
 * globals.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/partitions.h"
#include "lib/bus/frontier.h"
#include "processors/user/claims.h"
#include "processors/user/sessions.h"
#include "schemas/records.gen.h"
#include "schemas/topics.h"

/** Everything one partition's routing depends on; rebuilt from topic presence and the text of the
 * commit. */
struct user_state {
    int32_t partition;
    int32_t slots_n;
    struct sessions sessions;
    struct claims claims; /* of the tokens of this partition, not of its users */
    struct frontier held; /* chat.actions: first source not yet held; older items are repeats */
    struct frontier
        events;         /* chat.actions: the same for items that the view will show; sent as `at` */
    struct idmap alive; /* gateway incarnation → log time of its last GatewayAlive or SessionOpened,
                         * ms */
    bool swept;         /* every restored session's incarnation is in `alive` */
    struct idmap gone; /* while restoring: ids whose end was seen, which is final */
};

/** False without memory. */
CQ_MUST_CHECK bool user_state_init(struct user_state *state, int32_t partition,
                                   int32_t partitions_n, int32_t slots_n);
void user_state_release(struct user_state *state);

/** Take over one value of topic presence. An entry whose tombstone came before is not taken: ids of
 * sessions and devices are never used again, so a value after it is a late record of a zombie. */
CQ_MUST_CHECK enum cq_status user_restore(struct user_state *state, const struct presence *value);

/** The same for a tombstone: the session or device `id` of `user` is gone. */
void user_restore_gone(struct user_state *state, struct cq_id user, bool is_device,
                       struct cq_id id);

/** After the last record: forget what was needed to restore only. */
void user_restore_end(struct user_state *state);

/** Take over one value of topic push.targets, after presence; one of an unknown device is
 * ignored. */
CQ_MUST_CHECK enum cq_status user_restore_push(struct user_state *state,
                                               const struct push_target *value);
void user_restore_push_gone(struct user_state *state, struct cq_id user, struct cq_id device);

/* Topic push.claims: claims_restore, claims_remove. */

/** Take over one value of topic push.mutes. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status user_restore_mute(struct user_state *state,
                                               const struct chat_mute *value);
void user_restore_unmuted(struct user_state *state, struct cq_id user, struct cq_id chat);

struct user_output {
    enum topic topic;
    union {
        struct user_event event; /* TOPIC_USER_EVENTS */
        struct {
            struct presence value; /* user_id is always set */
            bool gone;             /* write a tombstone for the entry named in value */
        } presence;                /* TOPIC_PRESENCE */
        struct {
            int32_t slot;
            struct ws_entry entry;
        } push; /* TOPIC_WS_PUSH */
        struct {
            struct push_target value; /* user_id and device_id are always set */
            bool gone;
        } target; /* TOPIC_PUSH_TARGETS */
        struct {
            struct mobile_push value; /* for one user */
            bool joins; /* the one before, in one record: a message for the same group */
        } mobile;       /* TOPIC_MOBILE_PUSH */
        struct {
            struct push_claim value; /* token is always set */
            bool gone;
        } claim; /* TOPIC_PUSH_CLAIMS */
        struct {
            struct chat_mute value; /* user_id and chat_id are always set */
            bool gone;
        } mute; /* TOPIC_PUSH_MUTES */
        struct {
            struct cq_id key;
            int32_t partition;
            struct user_action action;
        } inbox; /* TOPIC_USER_INBOX */
    } u;
};

struct user_outputs {
    struct user_output *v; /* owned by whoever made it; grows */
    size_t n, cap, max;
};

struct user_step {
    struct user_state *state;
    int64_t offset; /* of the record in user.inbox */
    uint64_t turn;  /* rises with each turn of the process: the outputs of earlier ones are
                     * published */
    int64_t log_ms;
    struct cq_arena *arena;
    struct user_outputs *out;
    size_t room;      /* bytes of output that this part may have, about */
    uint64_t place;   /* in and out: where inside the record this part begins, and the next one */
    size_t bytes;     /* out: of output so far, about; zeroed by the caller */
    uint32_t repeats; /* out: items that were held before; zeroed by the caller */
};

enum {
    SILENT_MS = 3 * 60 * 1000,
    USER_OUTPUTS_SOFT = 8 * 1024, /* a part ends at this many outputs … */
    USER_OUTPUTS_MAX = 16 * 1024, /* … and cannot have more */
    USER_ARENA_SOFT = 32 << 20,   /* and when this much of the turn's arena is used */
    USER_TARGETS_MAX = 4096,      /* sessions that one entry of ws.push names */
    USER_LOST_ITEMS_MAX = 512,    /* messages of one SessionLost */
    USER_GROUP = 32, /* recipients that may share a record of mobile.push: an item's first 32, its
                        next 32. A part ends between groups, so the records are the same wherever
                        it ends */
    USER_ADDRESSES_BYTES_MAX = 4096, /* of all push addresses of a user: tokens, apps, locales */
};

/** Step one record, or the part of it that begins at `place` (0: all of it). CQ_OK: it is done.
 * CQ_AGAIN with a moved place: `out` has a part of it, the next one begins there; the state moves
 * with the last part, so that a replay gives the same. CQ_AGAIN with the same place: there is no
 * room for any part of it. CQ_POISON with *ret_why, at place 0 only. CQ_FATAL without memory or for
 * an output that the rule's row does not name. */
CQ_MUST_CHECK enum cq_status user_step(struct user_step *step, const struct user_inbox *record,
                                       const char **ret_why);

void user_rules_print(FILE *out);

/* ---- shared by the rule files --------------------------------------------------------- */

/** Whether this part should end before it takes anything more. */
bool user_step_full(const struct user_step *step);

struct user_output *user_emit(struct user_step *step, enum topic topic); /* NULL: no room */

/** A record in topic presence: the session or device as it is now, or a tombstone. */
CQ_MUST_CHECK enum cq_status user_emit_session(struct user_step *step, struct cq_id user,
                                               const struct live_session *session, bool gone);

/** Tell the gateway of a session to close it. */
CQ_MUST_CHECK enum cq_status user_emit_close(struct user_step *step, struct cq_id user,
                                             struct cq_id session, int32_t slot,
                                             const char *reason);

/** Tell all sessions of the user of a fact of where a chat stands in his list, by a frame. */
CQ_MUST_CHECK enum cq_status user_tell_marked(struct user_step *step,
                                              const struct user_event *event);

/** A user's devices that can be woken and have no live session. */
struct push_devices {
    struct push_device *v; /* in the arena … */
    struct cq_id *ids;     /* … and their ids */
    size_t n;
    size_t bytes; /* of it in a record, about */
};

/** Fill in those of `entry`, or, with `only`, that one. CQ_AGAIN: the arena is full. */
CQ_MUST_CHECK enum cq_status user_push_devices(struct user_step *step,
                                               const struct user_entry *entry,
                                               const struct cq_id *only, struct push_devices *ret);

/** Until when the user wants no pushes from the chat, ms; 0 for not muted. A mute that comes after
 * this record in the log does not count. */
int64_t user_muted_until(const struct user_step *step, const struct user_entry *entry,
                         struct cq_id chat);

/** What a push for this frame carries: an excerpt in the arena. {NULL,0}: nothing can be shown, or
 * the arena is full. */
struct cq_span user_push_excerpt(struct user_step *step, struct cq_span frame);

/** A push about `item` for `devices`; none for none. Its frame is an excerpt already. `joins`: the
 * output before it was a push of the same message for the same group. */
CQ_MUST_CHECK enum cq_status user_emit_mobile(struct user_step *step,
                                              const struct user_entry *entry,
                                              const struct push_devices *devices,
                                              const struct lost_item *item, bool joins);

CQ_MUST_CHECK enum cq_status rule_delivery_batch(struct user_step *step,
                                                 const struct delivery_batch *batch);

/** An entry for one session. */
CQ_MUST_CHECK enum cq_status user_emit_push(struct user_step *step, struct cq_id user,
                                            struct cq_id session, int32_t slot,
                                            enum ws_entry_kind kind, struct cq_span frame);

/** A frame for each session of this user that was open when the record of this step was written.
 * `says_reads`: each entry says whether the user's reads are hidden, too. */
CQ_MUST_CHECK enum cq_status user_tell_devices(struct user_step *step,
                                               const struct user_entry *user, struct cq_span frame,
                                               bool says_reads);

/** The last output, an entry of ws.push, says whether this user's reads are hidden, as it is known now: a
 * replay of an older action must not undo a newer one. */
void user_push_says_reads(struct user_step *step, const struct user_entry *entry);

/** The same for the table, to be restored from. */
CQ_MUST_CHECK enum cq_status user_emit_reads(struct user_step *step,
                                             const struct user_entry *entry);

/** A fact about a user, as the `index`th of this action; NULL: no room. */
struct user_event *user_emit_event(struct user_step *step, const struct user_action *action,
                                   int32_t index);

/** End the device's registration; nothing when it has none. */
CQ_MUST_CHECK enum cq_status user_forget_push(struct user_step *step,
                                              const struct user_entry *entry,
                                              struct known_device *device);

/** End his mutes, those that are older than this record. */
CQ_MUST_CHECK enum cq_status user_forget_mutes(struct user_step *step, struct user_entry *entry);

/** What became of claim `claim` of `address` at this device, for the partition of the token. */
CQ_MUST_CHECK enum cq_status user_emit_settled(struct user_step *step, struct cq_id user,
                                               struct cq_id device,
                                               const struct push_address *address, int64_t claim,
                                               bool kept);

/** What decides about one kind of action. It stands behind its function, under the name of the kind:
 * a kind without one does not link. */
struct user_rule {
    enum cq_status (*step)(struct user_step *step, const struct user_action *action);
    uint32_t writes; /* topics, see TOPIC_BIT; an output to any other ends the process */
};

#define USER_RULE_DECLARED(kind, constant, name) extern const struct user_rule user_rule_##kind;
USER_ACTION_ACTION_KINDS(USER_RULE_DECLARED)
