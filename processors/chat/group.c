/* SPDX-License-Identifier: MIT */
#include "processors/chat/group.h"

#include "lib/base/array.h"
#include "lib/base/assert.h"
#include "processors/chat/requests.h"
#include "schemas/topics.h"

#include <stdlib.h>

enum { COMINGS_SHIFT = 32 };

void groups_init(struct groups *groups)
{
    idmap_init(&groups->by_id, GROUPS_MAX);
}

static void group_free(struct group *group)
{
    free(group->name);
    free(group->stays);
    free(group->timers);
    free(group->rights);
    group_free_invites(group);
    free(group->requests);
    free(group);
}

void groups_release(struct groups *groups)
{
    struct cq_id id;
    uint64_t value;

    for (size_t at = 0; idmap_next(&groups->by_id, &at, &id, &value);)
        group_free((struct group *)(uintptr_t)value);
    idmap_release(&groups->by_id);
}

struct group *groups_find(const struct groups *groups, struct cq_id id)
{
    const uint64_t *value = idmap_get(&groups->by_id, id);

    return value ? (struct group *)(uintptr_t)*value : NULL;
}

bool groups_full(const struct groups *groups)
{
    return groups->by_id.n >= groups->by_id.max;
}

struct group *groups_add(struct groups *groups, struct cq_id id)
{
    struct group *group = calloc(1, sizeof *group);

    if (!group)
        return NULL;
    group->id = id;
    if (!idmap_put(&groups->by_id, id, (uint64_t)(uintptr_t)group)) {
        free(group);
        return NULL;
    }
    return group;
}

/* Ended stays serve late replays only; the newest are the ones a replay can ask for. */
static void drop_oldest_ended(struct group *group)
{
    for (size_t i = 0; i < group->stays_n; i++)
        if (group->stays[i].left_seq) {
            memmove(&group->stays[i], &group->stays[i + 1],
                    (group->stays_n - i - 1) * sizeof group->stays[0]);
            group->stays_n--;
            return;
        }
}

static bool room_for_stays(struct group *group, size_t n)
{
    return array_room(&group->stays, &group->stays_cap, group->stays_n + n, sizeof *group->stays,
                      4);
}

static enum cq_status add_stay(struct group *group, const struct member_interval *stay)
{
    if (group->stays_n == GROUP_STAYS_MAX)
        drop_oldest_ended(group);
    if (!room_for_stays(group, 1))
        return CQ_FATAL;
    group->stays[group->stays_n++] = *stay;
    return CQ_OK;
}

static enum cq_status set_name(struct group *group, struct cq_span name)
{
    char *copy = name.n ? strndup((const char *)name.p, name.n) : strdup("");

    if (!copy)
        return CQ_FATAL;
    free(group->name);
    group->name = copy;
    return CQ_OK;
}

/* The array that `held`, the address of a pointer, points to becomes a copy of `items`. */
static bool take_copy(void *held, const void *items, size_t n, size_t size)
{
    void *copy = n ? calloc(n, size) : NULL, *old;

    if (n && !copy)
        return false;
    if (n)
        memcpy(copy, items, n * size);
    memcpy(&old, held, sizeof old);
    free(old);
    memcpy(held, &copy, sizeof copy);
    return true;
}

static enum cq_status take_settings(struct group *group, const struct chat_members *value)
{
    if (!take_copy(&group->timers, value->timers, value->timers_n, sizeof *group->timers))
        return CQ_FATAL;
    group->timers_n = group->timers_cap = value->timers_n;
    if (!take_copy(&group->rights, value->rights, value->rights_n, sizeof *group->rights))
        return CQ_FATAL;
    group->rights_n = group->rights_cap = value->rights_n;
    if (group_restore_invites(group, value) != CQ_OK)
        return CQ_FATAL;
    return group_restore_requests(group, value);
}

void group_changed_at(struct group *group, int64_t seq)
{
    if (seq_offset(seq) > group->source_offset)
        group->source_offset = seq_offset(seq);
}

enum cq_status groups_restore(struct groups *groups, const struct chat_members *value)
{
    struct group *group = groups_find(groups, value->chat_id);
    enum cq_status st;

    if (group && group->source_offset >= value->source.offset)
        return CQ_OK;
    if (!group && !(group = groups_add(groups, value->chat_id)))
        return CQ_FATAL;
    group->stays_n = 0;
    st = set_name(group, value->name);
    if (st == CQ_OK)
        st = take_settings(group, value);
    for (size_t i = 0; st == CQ_OK && i < value->members_n; i++)
        st = add_stay(group, &value->members[i]);
    group->source_offset = value->source.offset;
    group->created_seq = value->members_n ? value->members[0].joined_seq : 0;
    return st;
}

static bool present(const struct member_interval *stay, int64_t seq)
{
    return stay->joined_seq < seq && (!stay->left_seq || stay->left_seq >= seq);
}

const struct member_interval *group_stay(const struct group *group, struct cq_id user, int64_t seq)
{
    for (size_t i = group->stays_n; i-- > 0;)
        if (id_eq(group->stays[i].user_id, user) && present(&group->stays[i], seq))
            return &group->stays[i];
    return NULL;
}

bool group_left_often(const struct group *group, struct cq_id user, int64_t seq)
{
    int n = 0;

    for (size_t i = 0; i < group->stays_n; i++)
        n += group->stays[i].left_seq && group->stays[i].left_seq < seq &&
             id_eq(group->stays[i].user_id, user);
    return n >= GROUP_RETURNS_MAX;
}

/* Of each user: how often he came, and which stay of his was the last. */
static bool count_comings(const struct group *group, int64_t seq, struct idmap *ret)
{
    bool good = true;

    for (size_t i = 0; good && i < group->stays_n; i++) {
        const struct member_interval *stay = &group->stays[i];
        const uint64_t *known = idmap_get(ret, stay->user_id);
        uint64_t came = known ? *known >> COMINGS_SHIFT : 0;

        if (stay->joined_seq >= seq)
            continue;
        came += !known || group->stays[*known & UINT32_MAX].left_seq != stay->joined_seq;
        good = idmap_put(ret, stay->user_id, came << COMINGS_SHIFT | i);
    }
    return good;
}

enum cq_status group_came_often(const struct group *group, const struct member_change *changes,
                                size_t n, int64_t seq, bool *ret)
{
    struct idmap comings;
    bool good;

    idmap_init(&comings, group->stays_n);
    good = count_comings(group, seq, &comings);
    *ret = false;
    for (size_t i = 0; good && i < n; i++) {
        const uint64_t *known = idmap_get(&comings, changes[i].user_id);

        *ret = *ret || (changes[i].change == MEMBER_CHANGE_KIND_ADD && known &&
                        *known >> COMINGS_SHIFT >= GROUP_COMES_MAX);
    }
    idmap_release(&comings);
    return good ? CQ_OK : CQ_FATAL;
}

size_t group_count(const struct group *group, int64_t seq)
{
    size_t n = 0;

    for (size_t i = 0; i < group->stays_n; i++)
        n += present(&group->stays[i], seq);
    return n;
}

struct cq_id *group_members(const struct group *group, int64_t seq, struct cq_arena *arena,
                            size_t *ret_n)
{
    struct cq_id *ids = ARENA_ARRAY(arena, struct cq_id, group->stays_n);
    size_t n = 0;

    for (size_t i = 0; ids && i < group->stays_n; i++)
        if (present(&group->stays[i], seq))
            ids[n++] = group->stays[i].user_id;
    *ret_n = n;
    return ids;
}

bool group_saw(const struct group *group, struct cq_id user, int64_t seq)
{
    return group_stay(group, user, seq) != NULL;
}

struct cq_id *group_witnesses(const struct group *group, int64_t seen, int64_t now,
                              struct cq_arena *arena, size_t *ret_n)
{
    struct cq_id *ids = ARENA_ARRAY(arena, struct cq_id, group->stays_n);
    struct idmap here;
    bool good = group_roster(group, now, &here);
    size_t n = 0;

    for (size_t i = 0; ids && good && i < group->stays_n; i++)
        if (present(&group->stays[i], seen) && idmap_get(&here, group->stays[i].user_id))
            ids[n++] = group->stays[i].user_id;
    idmap_release(&here);
    *ret_n = n;
    return good ? ids : NULL;
}

enum cq_status group_join(struct group *group, struct cq_id user, enum member_role role,
                          int64_t seq)
{
    group_changed_at(group, seq);
    for (size_t i = 0; i < group->stays_n; i++)
        if (id_eq(group->stays[i].user_id, user) && group->stays[i].joined_seq == seq)
            return CQ_OK; /* a replay */
    if (!group->created_seq)
        group->created_seq = seq;
    return add_stay(group,
                    &(struct member_interval){ .user_id = user, .role = role, .joined_seq = seq });
}

/* ---- many changes at once ------------------------------------------------------------- */

bool group_roster(const struct group *group, int64_t seq, struct idmap *ret)
{
    idmap_init(ret, group->stays_n);
    for (size_t i = 0; i < group->stays_n; i++)
        if (present(&group->stays[i], seq) && !idmap_put(ret, group->stays[i].user_id, i))
            return false;
    return true;
}

/* The stays of each user, in their order: a user is found without a walk over all. */
struct chains {
    struct idmap ends; /* user → first and last of his stays */
    uint32_t *next;    /* owned; of each stay; 0: the last */
};

enum { CHAIN_SHIFT = 32 };

static bool chains_add(struct chains *chains, struct cq_id user, size_t i)
{
    const uint64_t *ends = idmap_get(&chains->ends, user);
    uint64_t first = ends ? *ends >> CHAIN_SHIFT : i;

    if (ends)
        chains->next[*ends & UINT32_MAX] = (uint32_t)i;
    return idmap_put(&chains->ends, user, first << CHAIN_SHIFT | i);
}

/* With room for `more` stays. */
static bool chains_build(struct chains *chains, const struct group *group, size_t more)
{
    bool good = true;

    idmap_init(&chains->ends, group->stays_n + more);
    chains->next = calloc(group->stays_n + more + 1, sizeof *chains->next);
    for (size_t i = 0; chains->next && good && i < group->stays_n; i++)
        good = chains_add(chains, group->stays[i].user_id, i);
    return chains->next && good;
}

static void chains_release(struct chains *chains)
{
    idmap_release(&chains->ends);
    free(chains->next);
}

/* The first stay of `user`, or the one after `stay`; NULL: no more. */
static struct member_interval *chain_next(const struct chains *chains, const struct group *group,
                                          struct cq_id user, const struct member_interval *stay)
{
    const uint64_t *ends;
    uint32_t i;

    if (stay) {
        i = chains->next[stay - group->stays];
        return i ? &group->stays[i] : NULL;
    }
    ends = idmap_get(&chains->ends, user);
    return ends ? &group->stays[*ends >> CHAIN_SHIFT] : NULL;
}

/* Whether `stay` goes on until `now`: a change of role ends it, and begins the next one where it ends. */
static bool chain_goes_on(const struct chains *chains, const struct group *group,
                          const struct member_interval *stay, int64_t now)
{
    for (const struct member_interval *next = stay;
         stay->left_seq && stay->left_seq < now &&
         (next = chain_next(chains, group, stay->user_id, next)) != NULL;)
        if (next->joined_seq == stay->left_seq)
            stay = next;
    return present(stay, now);
}

struct cq_id *group_stayers(const struct group *group, int64_t seen, int64_t now,
                            struct cq_arena *arena, size_t *ret_n)
{
    struct cq_id *ids = ARENA_ARRAY(arena, struct cq_id, group->stays_n);
    struct chains chains;
    bool good = chains_build(&chains, group, 0);
    size_t n = 0;

    for (size_t i = 0; ids && good && i < group->stays_n; i++)
        if (present(&group->stays[i], seen) && chain_goes_on(&chains, group, &group->stays[i], now))
            ids[n++] = group->stays[i].user_id;
    chains_release(&chains);
    *ret_n = n;
    return good ? ids : NULL;
}

/* As group_join; there is room. */
static bool chain_join(struct chains *chains, struct group *group, struct cq_id user,
                       enum member_role role, int64_t seq)
{
    for (struct member_interval *stay = NULL;
         (stay = chain_next(chains, group, user, stay)) != NULL;)
        if (stay->joined_seq == seq)
            return true; /* a replay */
    /* group_apply() made room for one a change */
    CQ_ASSERT(group->stays_n < group->stays_cap, group->stays_n, group->stays_cap);
    group->stays[group->stays_n] =
        (struct member_interval){ .user_id = user, .role = role, .joined_seq = seq };
    return chains_add(chains, user, group->stays_n++);
}

static void chain_leave(const struct chains *chains, struct group *group, struct cq_id user,
                        int64_t seq)
{
    for (struct member_interval *stay = NULL;
         (stay = chain_next(chains, group, user, stay)) != NULL;)
        if (stay->joined_seq < seq && !stay->left_seq)
            stay->left_seq = seq;
}

/* The stay ends and another one begins, so that roles are as exact as membership. */
static bool chain_set_role(struct chains *chains, struct group *group, struct cq_id user,
                           enum member_role role, int64_t seq)
{
    for (struct member_interval *stay = NULL;
         (stay = chain_next(chains, group, user, stay)) != NULL;) {
        if (stay->joined_seq == seq)
            stay->role = role; /* joined in this very change, or a replay of it */
        if (stay->joined_seq >= seq)
            return true; /* a replay under a newer stay */
    }
    chain_leave(chains, group, user, seq);
    return chain_join(chains, group, user, role, seq);
}

static bool chain_apply(struct chains *chains, struct group *group,
                        const struct member_change *change, int64_t seq)
{
    struct cq_id user = change->user_id;

    switch (change->change) {
    case MEMBER_CHANGE_KIND_ADD:
        for (struct member_interval *stay = NULL;
             (stay = chain_next(chains, group, user, stay)) != NULL;)
            if (present(stay, seq))
                return true;
        return chain_join(chains, group, user, MEMBER_ROLE_MEMBER, seq);
    case MEMBER_CHANGE_KIND_REMOVE:
        chain_leave(chains, group, user, seq);
        return true;
    case MEMBER_CHANGE_KIND_PROMOTE:
        return chain_set_role(chains, group, user, MEMBER_ROLE_ADMIN, seq);
    case MEMBER_CHANGE_KIND_DEMOTE:
        return chain_set_role(chains, group, user, MEMBER_ROLE_MEMBER, seq);
    case MEMBER_CHANGE_KIND_MAKE_OWNER:
        return chain_set_role(chains, group, user, MEMBER_ROLE_OWNER, seq);
    case MEMBER_CHANGE_KIND_N:
        break;
    }
    return false;
}

/* Keep GROUP_STAYS_MAX: the oldest that had ended before `seq` go. There are enough of them, since
 * no more than LIMIT_GROUP_MEMBERS are present. */
static void drop_ended(struct group *group, int64_t seq)
{
    size_t kept = 0;
    size_t much = group->stays_n > GROUP_STAYS_MAX ? group->stays_n - GROUP_STAYS_MAX : 0;

    for (size_t i = 0; much && i < group->stays_n; i++) {
        const struct member_interval *stay = &group->stays[i];

        if (stay->left_seq && stay->left_seq < seq && i - kept < much)
            continue;
        group->stays[kept++] = *stay;
    }
    group->stays_n = much ? kept : group->stays_n;
}

enum cq_status group_apply(struct group *group, const struct member_change *changes, size_t n,
                           int64_t seq)
{
    struct chains chains;
    bool good = chains_build(&chains, group, n) && room_for_stays(group, n);

    for (size_t i = 0; good && i < n; i++)
        good = chain_apply(&chains, group, &changes[i], seq);
    chains_release(&chains);
    if (n)
        group_changed_at(group, seq);
    if (!group->created_seq && group->stays_n)
        group->created_seq = seq;
    drop_ended(group, seq);
    return good ? CQ_OK : CQ_FATAL;
}

enum cq_status group_rename(struct group *group, struct cq_span name, int64_t seq)
{
    if (seq_offset(seq) < group->source_offset)
        return CQ_OK; /* a replay under a newer change: the name of today may be newer */
    group_changed_at(group, seq);
    return set_name(group, name);
}

/* ---- timers ----------------------------------------------------------------------------- */

int64_t group_timer(const struct group *group, int64_t seq)
{
    for (size_t i = group ? group->timers_n : 0; i-- > 0;)
        if (group->timers[i].seq < seq)
            return group->timers[i].seconds;
    return 0;
}

enum cq_status group_set_timer(struct group *group, int64_t seconds, int64_t seq)
{
    if (group->timers_n && group->timers[group->timers_n - 1].seq >= seq)
        return CQ_OK; /* a replay: what was set then is there already, or was dropped */
    group_changed_at(group, seq);
    if (group->timers_n == GROUP_TIMERS_MAX)
        memmove(group->timers, group->timers + 1, --group->timers_n * sizeof group->timers[0]);
    if (!array_room(&group->timers, &group->timers_cap, group->timers_n + 1, sizeof *group->timers,
                    2))
        return CQ_FATAL;
    group->timers[group->timers_n++] = (struct timer_interval){ .seq = seq, .seconds = seconds };
    return CQ_OK;
}

/* ---- rights ----------------------------------------------------------------------------- */

/* What holds of a right that was never set. */
static enum right_holders holders_at_first(enum right right)
{
    switch (right) {
    case RIGHT_SEND:
        return RIGHT_HOLDERS_EVERYONE;
    case RIGHT_INFO:
    case RIGHT_ADD:
    case RIGHT_N:
        break;
    }
    return RIGHT_HOLDERS_ADMINS;
}

enum right_holders group_holders(const struct group *group, enum right right, int64_t seq)
{
    for (size_t i = group->rights_n; i-- > 0;)
        if (group->rights[i].right == right && group->rights[i].seq < seq)
            return group->rights[i].holders;
    return holders_at_first(right);
}

/* Of each right the newest are kept, so that one that is set often drives out no other. */
static void drop_oldest_of(struct group *group, enum right right)
{
    size_t first = group->rights_n, n = 0;

    for (size_t i = group->rights_n; i-- > 0;)
        if (group->rights[i].right == right) {
            first = i;
            n++;
        }
    if (n < GROUP_RIGHTS_MAX)
        return;
    group->rights_n--;
    memmove(group->rights + first, group->rights + first + 1,
            (group->rights_n - first) * sizeof group->rights[0]);
}

enum cq_status group_set_holders(struct group *group, enum right right, enum right_holders holders,
                                 int64_t seq)
{
    for (size_t i = 0; i < group->rights_n; i++)
        if (group->rights[i].right == right && group->rights[i].seq >= seq)
            return CQ_OK; /* a replay: what was set then is there already, or was dropped */
    group_changed_at(group, seq);
    drop_oldest_of(group, right);
    if (!array_room(&group->rights, &group->rights_cap, group->rights_n + 1, sizeof *group->rights,
                    3))
        return CQ_FATAL;
    group->rights[group->rights_n++] =
        (struct right_interval){ .seq = seq, .right = right, .holders = holders };
    return CQ_OK;
}
