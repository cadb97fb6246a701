/* SPDX-License-Identifier: MIT */
/*
 * processors/user/sessions.h - the live sessions and known devices of the users of one partition.
 */
#pragma once

#include "lib/base/idmap.h"
#include "schemas/limits.h"
#include "schemas/records.gen.h"

enum {
    USERS_MAX = 16 * 1024 * 1024, /* with a device, in one partition */
    USER_SESSIONS_MAX = 32,       /* the oldest is closed for a new one */
    USER_MUTES_MAX = 512,         /* the one that ends first goes for a new one */
    INCARNATIONS_MAX = 4096,
};

struct live_session {
    struct cq_id id;
    struct cq_id device;
    struct cq_id incarnation;
    int32_t slot;
    int64_t source_offset; /* of its SessionOpened */
};

/* Where a device can be woken: one block of memory, the address's texts behind the struct. */
struct known_push {
    int64_t source_offset; /* of its PushRegistered */
    int64_t at_ms;
    int64_t claim; /* offset of its PushClaimed in the partition of the token; -1: none */
    struct push_address address;
};

struct known_device {
    struct cq_id id;
    int64_t source_offset;   /* of its DeviceLinked */
    struct known_push *push; /* owned by the entry; NULL: it cannot be woken */
};

struct muted_chat {
    struct cq_id chat;
    int64_t until_ms;
    int64_t source_offset; /* of its ChatMuted */
};

struct user_entry {
    struct cq_id id;
    struct live_session *sessions; /* owned; oldest first */
    struct known_device *devices;  /* owned; oldest first */
    struct muted_chat *mutes;      /* owned; in no order */
    uint8_t sessions_n, devices_n;
    uint16_t mutes_n;
    bool hides_reads;     /* his read receipts are off … */
    int64_t hides_source; /* … as the action at this offset said */
};

struct sessions {
    struct idmap users; /* id → struct user_entry *, owned */
};

void sessions_init(struct sessions *sessions);
void sessions_release(struct sessions *sessions);

struct user_entry *sessions_user(const struct sessions *sessions, struct cq_id user);

/** The entry, made when it is missing; NULL without memory or at USERS_MAX. */
struct user_entry *sessions_user_make(struct sessions *sessions, struct cq_id user);

/** Add at the end, or replace the one of the same id (a device keeps where it can be woken). The
 * caller made room first. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status user_add_session(struct user_entry *entry,
                                              const struct live_session *session);
CQ_MUST_CHECK enum cq_status user_add_device(struct user_entry *entry,
                                             const struct known_device *device);

struct live_session *user_session(const struct user_entry *entry, struct cq_id session);
struct known_device *user_device(const struct user_entry *entry, struct cq_id device);

/** Replace where a device can be woken; the texts are copied. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status device_set_push(struct known_device *device, int64_t source_offset,
                                             int64_t at_ms, int64_t claim,
                                             const struct push_address *address);
void device_drop_push(struct known_device *device);

struct muted_chat *user_muted(const struct user_entry *entry, struct cq_id chat);

/** The one that ends first; NULL: none is muted. */
struct muted_chat *user_muted_least(const struct user_entry *entry);

/** Add, or replace the one of the same chat. The caller made room first. CQ_FATAL without
 * memory. */
CQ_MUST_CHECK enum cq_status user_mute(struct user_entry *entry, const struct muted_chat *muted);
void user_unmute(struct user_entry *entry, struct cq_id chat);

/** His reads are hidden, or not, as the action at this offset says; an older one changes nothing. */
void user_hide_reads(struct user_entry *entry, bool hidden, int64_t offset);

/** Opened at this offset of user.inbox, or before: in a replay one may be known that opened
 * later. */
bool session_opened_by(const struct live_session *session, int64_t offset);

/** It has a session that was opened by then. */
bool user_device_online(const struct user_entry *entry, struct cq_id device, int64_t offset);

void user_remove_session(struct user_entry *entry, struct cq_id session);
void user_remove_device(struct user_entry *entry, struct cq_id device);
