/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/group.h - who is, and was, in the groups of one partition, and in the direct chats
 * in which somebody blocks the other, or did. Asked at the exact seq
 * of an action, so that replaying an action over a newer state gives what it gave the first time.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/idmap.h"
#include "schemas/limits.h"
#include "schemas/records.gen.h"

enum {
    /* timers of a chat that are kept: more than a turn has records, so that those since the commit, and the one
     * before, are among them */
    GROUP_TIMERS_MAX = 1024,
    GROUP_RIGHTS_MAX = GROUP_TIMERS_MAX, /* of each right, for the same reason */
    GROUPS_MAX = 4 * 1024 * 1024,        /* in one partition */
    GROUP_STAYS_MAX = 4096, /* stays kept; beyond it the oldest ended ones are dropped */
    GROUP_RETURNS_MAX = 8,  /* of a user, as often as he left, by links that ask nobody */
    GROUP_COMES_MAX =
        64, /* of a user, whoever lets him in, by the stays kept: the view walks his stays */
};

/* What is kept of a chat: of a group, or of a direct chat that has, or had, a timer. */
struct group {
    struct cq_id id;
    int64_t source_offset; /* of the last change */
    int64_t created_seq;
    char *name;                    /* owned; empty in a direct chat */
    struct member_interval *stays; /* owned; one a user, stay and role, in order of joined_seq */
    size_t stays_n, stays_cap;
    struct timer_interval *timers; /* owned; in order of seq */
    size_t timers_n, timers_cap;
    struct right_interval *rights; /* owned; in order of seq; of a group */
    size_t rights_n, rights_cap;
    struct invite_kept *invites; /* owned, as are their uses; in order of made_seq; see invites.h */
    size_t invites_n, invites_cap;
    struct removal_kept *removed; /* owned; in order of seq */
    size_t removed_n, removed_cap;
    struct request_kept *requests; /* owned; in order of seq; see requests.h */
    size_t requests_n, requests_cap;
};

struct groups {
    struct idmap by_id; /* id → struct group *, owned */
};

void groups_init(struct groups *groups);
void groups_release(struct groups *groups);

struct group *groups_find(const struct groups *groups, struct cq_id id);

/** The group was changed at `seq`: its value in topic members is of then, or newer. */
void group_changed_at(struct group *group, int64_t seq);

/** Whether there is no room for one more. */
bool groups_full(const struct groups *groups);

/** An empty group; CQ_AGAIN never. NULL without memory or at GROUPS_MAX. Owned by the table. */
struct group *groups_add(struct groups *groups, struct cq_id id);

/** Take over a value of topic members unless what is here is from the same source or a newer
 * one. */
CQ_MUST_CHECK enum cq_status groups_restore(struct groups *groups,
                                            const struct chat_members *value);

/** The stay `user` is in just before `seq` (joined below it, not left before it), or NULL. */
const struct member_interval *group_stay(const struct group *group, struct cq_id user, int64_t seq);

/** Everybody in the group just before `seq`, in the arena; NULL when it is full. */
struct cq_id *group_members(const struct group *group, int64_t seq, struct cq_arena *arena,
                            size_t *ret_n);
size_t group_count(const struct group *group, int64_t seq);

/** Whether so many stays of `user` ended before `seq`, of those kept, that somebody has to let him in. A change of role ends
 * one, too. */
bool group_left_often(const struct group *group, struct cq_id user, int64_t seq);

/** Whether somebody whom `changes` add had come GROUP_COMES_MAX times before `seq`, by the stays that are kept. A change of
 * role is no coming. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status group_came_often(const struct group *group,
                                              const struct member_change *changes, size_t n,
                                              int64_t seq, bool *ret);

/** Whether a stay of `user` has the message at `seq`, whatever became of it since. */
bool group_saw(const struct group *group, struct cq_id user, int64_t seq);

/** Those who saw the message at `seen`, and are in the group just before `now`; in the arena, NULL when
 * it is full, or without memory. */
struct cq_id *group_witnesses(const struct group *group, int64_t seen, int64_t now,
                              struct cq_arena *arena, size_t *ret_n);

/** Those of them who were in the group all the time between; as group_witnesses(). */
struct cq_id *group_stayers(const struct group *group, int64_t seen, int64_t now,
                            struct cq_arena *arena, size_t *ret_n);

/** `user` is in it from `seq` on; applying it again changes nothing. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status group_join(struct group *group, struct cq_id user,
                                        enum member_role role, int64_t seq);

/** Who is in the group just before `seq`: user → index into `stays`. Owned by caller, to be
 * released in either case. False without memory. */
CQ_MUST_CHECK bool group_roster(const struct group *group, int64_t seq, struct idmap *ret);

/** Apply the changes of one action in their order, in time that grows with their number and not
 * with its product with the stays. Applying them again changes nothing. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status group_apply(struct group *group, const struct member_change *changes,
                                         size_t n, int64_t seq);
CQ_MUST_CHECK enum cq_status group_rename(struct group *group, struct cq_span name, int64_t seq);

/** How long a message at `seq` stays, in seconds; 0: for good. NULL has no timer. */
int64_t group_timer(const struct group *group, int64_t seq);

/** From `seq` on; applying it again changes nothing. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status group_set_timer(struct group *group, int64_t seconds, int64_t seq);

/** Who has `right` just before `seq`. Everyone sends, owner and admins do the rest, unless it was set. */
enum right_holders group_holders(const struct group *group, enum right right, int64_t seq);

/** From `seq` on; applying it again changes nothing. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status group_set_holders(struct group *group, enum right right,
                                               enum right_holders holders, int64_t seq);
