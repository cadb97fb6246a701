/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/invites.h - the links by which others may join a group, and whom no link lets in by
 * itself, since he was removed. As all of a group they are asked at the exact seq of an action.
 */
#pragma once

#include "processors/chat/group.h"

enum {
    /* Offsets that a replay can go back at most: a turn has no more records. What ended before is of no
     * action any more. It is kept for twice as long, so that what is counted of then is the same in a replay. */
    INVITES_WINDOW = 4096,
    INVITES_LATELY = 256, /* links that hold, or ended within the window; above that none is made */
    INVITES_OF_ONE = 20,  /* of those, made by one user: he takes not all the places */
    REMOVED_MAX = 1024,   /* of who was removed: above that the oldest ends */
    REMOVED_KEPT = 2048,  /* with those that ended lately: above that none is noted */
};

void group_free_invites(struct group *group);

/** Take over those of a value of topic members. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status group_restore_invites(struct group *group,
                                                   const struct chat_members *value);

/** The link of that id that was made and not ended before `seq`; or NULL. */
struct invite_kept *invite_find(const struct group *group, struct cq_id id, int64_t seq);

/** The link with that hash by which somebody may join at `seq`, at the log's time `log_ms`: not ended, not
 * over, not used up; or NULL. */
struct invite_kept *invite_open(const struct group *group, struct cq_id hash, int64_t seq,
                                int64_t log_ms);

/** Whether as many as may have joined by it before `seq`. */
bool invite_is_used_up(const struct invite_kept *invite, int64_t seq);

/** Whether nobody can join by a link any more, although it was not ended. */
bool invite_is_over(const struct invite_kept *invite, int64_t seq, int64_t log_ms);

/** Whether `by` may make another link at `seq`, once those that are over are ended. */
bool invites_have_room(const struct group *group, struct cq_id by, int64_t seq, int64_t log_ms);

/** Those that hold just before `seq` and are over, and by which no request is open, end there; their ids, in the arena. NULL when it is full. */
struct cq_id *invites_end_over(struct group *group, int64_t seq, int64_t log_ms,
                               struct cq_arena *arena, size_t *ret_n);

/** From made_seq on; making it again changes nothing. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status invite_make(struct group *group, const struct invite_kept *invite);

void invite_end(struct group *group, struct invite_kept *invite, int64_t seq);

/** Somebody joins by it at `seq`; again it changes nothing. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status invite_use(struct group *group, struct invite_kept *invite,
                                        int64_t seq);

/** Who was removed by another, and has not returned before `seq`. */
bool group_was_removed(const struct group *group, struct cq_id user, int64_t seq);

/** What changes of members at `seq`, by `actor`, mean for that; again it changes nothing. `named`: the change of
 * each who has one. CQ_FATAL without memory. */
CQ_MUST_CHECK enum cq_status group_note_removals(struct group *group, struct cq_id actor,
                                                 const struct member_change *changes, size_t n,
                                                 const struct idmap *named, int64_t seq);
