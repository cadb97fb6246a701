/* SPDX-License-Identifier: MIT */
#include "processors/chat/invites.h"

#include "lib/base/array.h"
#include "processors/chat/requests.h"
#include "schemas/topics.h"

#include <stdlib.h>

static void drop_invites(struct group *group)
{
    for (size_t i = 0; i < group->invites_n; i++)
        free(group->invites[i].uses);
    group->invites_n = 0;
}

void group_free_invites(struct group *group)
{
    drop_invites(group);
    free(group->invites);
    free(group->removed);
}

static bool set_uses(struct invite_kept *invite, const int64_t *uses, size_t n)
{
    invite->uses = n ? malloc(n * sizeof *uses) : NULL;
    if (n && !invite->uses)
        return false;
    for (size_t i = 0; i < n; i++)
        invite->uses[i] = uses[i];
    invite->uses_n = n;
    return true;
}

static enum cq_status add_invite(struct group *group, const struct invite_kept *invite)
{
    struct invite_kept *added;

    if (!array_room(&group->invites, &group->invites_cap, group->invites_n + 1,
                    sizeof *group->invites, 1))
        return CQ_FATAL;
    added = &group->invites[group->invites_n];
    *added = *invite;
    if (!set_uses(added, invite->uses, invite->uses_n))
        return CQ_FATAL;
    group->invites_n++;
    return CQ_OK;
}

enum cq_status group_restore_invites(struct group *group, const struct chat_members *value)
{
    enum cq_status st = CQ_OK;

    drop_invites(group);
    for (size_t i = 0; st == CQ_OK && i < value->invites_n; i++)
        st = add_invite(group, &value->invites[i]);
    group->removed_n = 0;
    if (!array_room(&group->removed, &group->removed_cap, value->removed_n, sizeof *group->removed,
                    1))
        return CQ_FATAL;
    for (size_t i = 0; i < value->removed_n; i++)
        group->removed[group->removed_n++] = value->removed[i];
    return st;
}

/* ---- asked ------------------------------------------------------------------------------ */

/* Made before `seq`, and not ended before it. */
static bool holds(const struct invite_kept *invite, int64_t seq)
{
    return invite->made_seq < seq && (!invite->ended_seq || invite->ended_seq >= seq);
}

static size_t uses_before(const struct invite_kept *invite, int64_t seq)
{
    size_t n = 0;

    while (n < invite->uses_n && invite->uses[n] < seq)
        n++;
    return n;
}

bool invite_is_used_up(const struct invite_kept *invite, int64_t seq)
{
    return invite->most && uses_before(invite, seq) >= (size_t)invite->most;
}

bool invite_is_over(const struct invite_kept *invite, int64_t seq, int64_t log_ms)
{
    return (invite->expires_at_ms && log_ms >= invite->expires_at_ms) ||
           invite_is_used_up(invite, seq);
}

struct invite_kept *invite_find(const struct group *group, struct cq_id id, int64_t seq)
{
    for (size_t i = 0; i < group->invites_n; i++)
        if (id_eq(group->invites[i].invite_id, id) && holds(&group->invites[i], seq))
            return &group->invites[i];
    return NULL;
}

struct invite_kept *invite_open(const struct group *group, struct cq_id hash, int64_t seq,
                                int64_t log_ms)
{
    for (size_t i = 0; i < group->invites_n; i++) {
        struct invite_kept *invite = &group->invites[i];

        if (id_eq(invite->hash, hash) && holds(invite, seq) && !invite_is_over(invite, seq, log_ms))
            return invite;
    }
    return NULL;
}

/* Whether a replay of an action that is `window` offsets older than `seq` can ask for it. */
static bool ended_within(const struct invite_kept *invite, int64_t seq, int64_t window)
{
    return seq_offset(invite->ended_seq) >= seq_offset(seq) - window;
}

bool invites_have_room(const struct group *group, struct cq_id by, int64_t seq, int64_t log_ms)
{
    size_t open = 0, lately = 0, own = 0;

    for (size_t i = 0; i < group->invites_n; i++) {
        const struct invite_kept *invite = &group->invites[i];

        if (invite->made_seq >= seq)
            continue;
        /* what is over and by which somebody still asks does not end, so that its uses stay */
        open += holds(invite, seq) && (!invite_is_over(invite, seq, log_ms) ||
                                       request_by(group, invite->invite_id, seq, log_ms));
        if (holds(invite, seq) || ended_within(invite, seq, INVITES_WINDOW)) {
            lately++;
            own += id_eq(invite->by, by);
        }
    }
    return open < LIMIT_INVITES && own < INVITES_OF_ONE && lately < INVITES_LATELY;
}

/* ---- changed ---------------------------------------------------------------------------- */

struct cq_id *invites_end_over(struct group *group, int64_t seq, int64_t log_ms,
                               struct cq_arena *arena, size_t *ret_n)
{
    struct cq_id *ids = ARENA_ARRAY(arena, struct cq_id, group->invites_n + 1);
    size_t n = 0;

    for (size_t i = 0; ids && i < group->invites_n; i++) {
        struct invite_kept *invite = &group->invites[i];

        if (!holds(invite, seq) || !invite_is_over(invite, seq, log_ms) ||
            request_by(group, invite->invite_id, seq, log_ms))
            continue;
        ids[n++] = invite->invite_id;
        invite_end(group, invite, seq);
    }
    *ret_n = n;
    return ids;
}

static void forget_ended(struct group *group, int64_t seq)
{
    size_t kept = 0;

    for (size_t i = 0; i < group->invites_n; i++) {
        struct invite_kept *invite = &group->invites[i];

        if (invite->ended_seq && !ended_within(invite, seq, 2 * INVITES_WINDOW))
            free(invite->uses);
        else
            group->invites[kept++] = *invite;
    }
    group->invites_n = kept;
}

enum cq_status invite_make(struct group *group, const struct invite_kept *invite)
{
    group_changed_at(group, invite->made_seq);
    forget_ended(group, invite->made_seq);
    for (size_t i = 0; i < group->invites_n; i++)
        if (group->invites[i].made_seq == invite->made_seq)
            return CQ_OK; /* a replay */
    return add_invite(group, invite);
}

void invite_end(struct group *group, struct invite_kept *invite, int64_t seq)
{
    group_changed_at(group, seq);
    if (!invite->ended_seq)
        invite->ended_seq = seq;
}

enum cq_status invite_use(struct group *group, struct invite_kept *invite, int64_t seq)
{
    int64_t *uses;

    group_changed_at(group, seq);
    if (!invite->most || (invite->uses_n && invite->uses[invite->uses_n - 1] >= seq))
        return CQ_OK; /* nobody counts, or a replay: it is there already */
    uses = realloc(invite->uses, (invite->uses_n + 1) * sizeof *uses);
    if (!uses)
        return CQ_FATAL;
    invite->uses = uses;
    invite->uses[invite->uses_n++] = seq;
    return CQ_OK;
}

/* ---- who was removed -------------------------------------------------------------------- */

bool group_was_removed(const struct group *group, struct cq_id user, int64_t seq)
{
    for (size_t i = 0; i < group->removed_n; i++) {
        const struct removal_kept *removal = &group->removed[i];

        if (id_eq(removal->user_id, user) && removal->seq < seq &&
            (!removal->ended_seq || removal->ended_seq >= seq))
            return true;
    }
    return false;
}

/* Those that are of no action any more, whatever is stepped again. */
static void forget_removals(struct group *group, int64_t seq)
{
    size_t kept = 0;

    for (size_t i = 0; i < group->removed_n; i++) {
        const struct removal_kept *removal = &group->removed[i];

        if (!removal->ended_seq ||
            seq_offset(removal->ended_seq) >= seq_offset(seq) - 2 * INVITES_WINDOW)
            group->removed[kept++] = *removal;
    }
    group->removed_n = kept;
}

/* Above the bound the oldest ends, as if he had returned: dropped, it would be missing when an older action is stepped again. */
static void end_oldest_removal(struct group *group, int64_t seq)
{
    struct removal_kept *oldest = NULL;
    size_t n = 0;

    for (size_t i = group->removed_n; i-- > 0;)
        if (!group->removed[i].ended_seq) {
            oldest = &group->removed[i];
            n++;
        }
    if (n >= REMOVED_MAX)
        oldest->ended_seq = seq;
}

/* Without room it is not noted, neither now nor in a replay: room comes only with one that is. */
static enum cq_status add_removal(struct group *group, struct cq_id user, int64_t seq)
{
    forget_removals(group, seq);
    if (group->removed_n >= REMOVED_KEPT)
        return CQ_OK;
    end_oldest_removal(group, seq);
    if (!array_room(&group->removed, &group->removed_cap, group->removed_n + 1,
                    sizeof *group->removed, 1))
        return CQ_FATAL;
    group->removed[group->removed_n++] = (struct removal_kept){ .user_id = user, .seq = seq };
    return CQ_OK;
}

enum cq_status group_note_removals(struct group *group, struct cq_id actor,
                                   const struct member_change *changes, size_t n,
                                   const struct idmap *named, int64_t seq)
{
    enum cq_status st = CQ_OK;

    for (size_t i = 0; i < group->removed_n; i++) {
        struct removal_kept *removal = &group->removed[i];
        const uint64_t *change =
            removal->seq < seq && !removal->ended_seq ? idmap_get(named, removal->user_id) : NULL;

        if (change && *change == MEMBER_CHANGE_KIND_ADD)
            removal->ended_seq = seq;
    }
    if (group->removed_n && group->removed[group->removed_n - 1].seq >= seq)
        return CQ_OK; /* a replay: they are there already, or were forgotten */
    for (size_t i = 0; st == CQ_OK && i < n; i++)
        if (changes[i].change == MEMBER_CHANGE_KIND_REMOVE && !id_eq(changes[i].user_id, actor))
            st = add_removal(group, changes[i].user_id, seq);
    return st;
}
