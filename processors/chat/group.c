/* SPDX-License-Identifier: MIT */
#include "processors/chat/group.h"

#include "lib/base/array.h"
#include "lib/base/assert.h"
#include "processors/chat/requests.h"
#include "schemas/topics.h"

#include <stdlib.h>

void groups_init(struct groups *g)
{
    idmap_init(&g->by_id, GROUPS_MAX);
}

static void group_free(struct group *g)
{
    free(g->name);
    free(g->stays);
    free(g->timers);
    free(g->rights);
    group_free_invites(g);
    free(g->requests);
    free(g);
}

void groups_release(struct groups *g)
{
    struct cq_id id;
    uint64_t value;

    for (size_t at = 0; idmap_next(&g->by_id, &at, &id, &value);)
        group_free((struct group *)(uintptr_t)value);
    idmap_release(&g->by_id);
}

struct group *groups_find(const struct groups *g, struct cq_id id)
{
    const uint64_t *value = idmap_get(&g->by_id, id);

    return value ? (struct group *)(uintptr_t)*value : NULL;
}

bool groups_full(const struct groups *g)
{
    return g->by_id.n >= g->by_id.max;
}

struct group *groups_add(struct groups *g, struct cq_id id)
{
    struct group *group = calloc(1, sizeof *group);

    if (!group)
        return NULL;
    group->id = id;
    if (!idmap_put(&g->by_id, id, (uint64_t)(uintptr_t)group)) {
        free(group);
        return NULL;
    }
    return group;
}

/* Ended stays serve late replays only; the newest are the ones a replay can ask for. */
static void drop_oldest_ended(struct group *g)
{
    for (size_t i = 0; i < g->stays_n; i++)
        if (g->stays[i].left_seq) {
            memmove(&g->stays[i], &g->stays[i + 1], (g->stays_n - i - 1) * sizeof g->stays[0]);
            g->stays_n--;
            return;
        }
}

static bool room_for_stays(struct group *g, size_t n)
{
    return array_room(&g->stays, &g->stays_cap, g->stays_n + n, sizeof *g->stays, 4);
}

static enum cq_status add_stay(struct group *g, const struct member_interval *stay)
{
    if (g->stays_n == GROUP_STAYS_MAX)
        drop_oldest_ended(g);
    if (!room_for_stays(g, 1))
        return CQ_FATAL;
    g->stays[g->stays_n++] = *stay;
    return CQ_OK;
}

static enum cq_status set_name(struct group *g, struct cq_span name)
{
    char *copy = name.n ? strndup((const char *)name.p, name.n) : strdup("");

    if (!copy)
        return CQ_FATAL;
    free(g->name);
    g->name = copy;
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

static enum cq_status take_settings(struct group *g, const struct chat_members *value)
{
    if (!take_copy(&g->timers, value->timers, value->timers_n, sizeof *g->timers))
        return CQ_FATAL;
    g->timers_n = g->timers_cap = value->timers_n;
    if (!take_copy(&g->rights, value->rights, value->rights_n, sizeof *g->rights))
        return CQ_FATAL;
    g->rights_n = g->rights_cap = value->rights_n;
    if (group_restore_invites(g, value) != CQ_OK)
        return CQ_FATAL;
    return group_restore_requests(g, value);
}

void group_changed_at(struct group *g, int64_t seq)
{
    if (seq_offset(seq) > g->source_offset)
        g->source_offset = seq_offset(seq);
}

enum cq_status groups_restore(struct groups *g, const struct chat_members *value)
{
    struct group *group = groups_find(g, value->chat_id);
    enum cq_status st;

    if (group && group->source_offset >= value->source.offset)
        return CQ_OK;
    if (!group && !(group = groups_add(g, value->chat_id)))
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

static bool present(const struct member_interval *s, int64_t seq)
{
    return s->joined_seq < seq && (!s->left_seq || s->left_seq >= seq);
}

const struct member_interval *group_stay(const struct group *g, struct cq_id user, int64_t seq)
{
    for (size_t i = g->stays_n; i-- > 0;)
        if (id_eq(g->stays[i].user_id, user) && present(&g->stays[i], seq))
            return &g->stays[i];
    return NULL;
}

bool group_left_often(const struct group *g, struct cq_id user, int64_t seq)
{
    int n = 0;

    for (size_t i = 0; i < g->stays_n; i++)
        n += g->stays[i].left_seq && g->stays[i].left_seq < seq && id_eq(g->stays[i].user_id, user);
    return n >= GROUP_RETURNS_MAX;
}

size_t group_count(const struct group *g, int64_t seq)
{
    size_t n = 0;

    for (size_t i = 0; i < g->stays_n; i++)
        n += present(&g->stays[i], seq);
    return n;
}

struct cq_id *group_members(const struct group *g, int64_t seq, struct cq_arena *a, size_t *ret_n)
{
    struct cq_id *ids = ARENA_ARRAY(a, struct cq_id, g->stays_n);
    size_t n = 0;

    for (size_t i = 0; ids && i < g->stays_n; i++)
        if (present(&g->stays[i], seq))
            ids[n++] = g->stays[i].user_id;
    *ret_n = n;
    return ids;
}

bool group_saw(const struct group *g, struct cq_id user, int64_t seq)
{
    return group_stay(g, user, seq) != NULL;
}

struct cq_id *group_witnesses(const struct group *g, int64_t seen, int64_t now, struct cq_arena *a,
                              size_t *ret_n)
{
    struct cq_id *ids = ARENA_ARRAY(a, struct cq_id, g->stays_n);
    struct idmap here;
    bool good = group_roster(g, now, &here);
    size_t n = 0;

    for (size_t i = 0; ids && good && i < g->stays_n; i++)
        if (present(&g->stays[i], seen) && idmap_get(&here, g->stays[i].user_id))
            ids[n++] = g->stays[i].user_id;
    idmap_release(&here);
    *ret_n = n;
    return good ? ids : NULL;
}

enum cq_status group_join(struct group *g, struct cq_id user, enum member_role role, int64_t seq)
{
    group_changed_at(g, seq);
    for (size_t i = 0; i < g->stays_n; i++)
        if (id_eq(g->stays[i].user_id, user) && g->stays[i].joined_seq == seq)
            return CQ_OK; /* a replay */
    if (!g->created_seq)
        g->created_seq = seq;
    return add_stay(g,
                    &(struct member_interval){ .user_id = user, .role = role, .joined_seq = seq });
}

/* ---- many changes at once ------------------------------------------------------------- */

bool group_roster(const struct group *g, int64_t seq, struct idmap *ret)
{
    idmap_init(ret, g->stays_n);
    for (size_t i = 0; i < g->stays_n; i++)
        if (present(&g->stays[i], seq) && !idmap_put(ret, g->stays[i].user_id, i))
            return false;
    return true;
}

/* The stays of each user, in their order: a user is found without a walk over all. */
struct chains {
    struct idmap ends; /* user → first and last of his stays */
    uint32_t *next;    /* owned; of each stay; 0: the last */
};

enum { CHAIN_SHIFT = 32 };

static bool chains_add(struct chains *c, struct cq_id user, size_t i)
{
    const uint64_t *ends = idmap_get(&c->ends, user);
    uint64_t first = ends ? *ends >> CHAIN_SHIFT : i;

    if (ends)
        c->next[*ends & UINT32_MAX] = (uint32_t)i;
    return idmap_put(&c->ends, user, first << CHAIN_SHIFT | i);
}

/* With room for `more` stays. */
static bool chains_build(struct chains *c, const struct group *g, size_t more)
{
    bool good = true;

    idmap_init(&c->ends, g->stays_n + more);
    c->next = calloc(g->stays_n + more + 1, sizeof *c->next);
    for (size_t i = 0; c->next && good && i < g->stays_n; i++)
        good = chains_add(c, g->stays[i].user_id, i);
    return c->next && good;
}

static void chains_release(struct chains *c)
{
    idmap_release(&c->ends);
    free(c->next);
}

/* The first stay of `user`, or the one after `s`; NULL: no more. */
static struct member_interval *chain_next(const struct chains *c, const struct group *g,
                                          struct cq_id user, const struct member_interval *s)
{
    const uint64_t *ends;
    uint32_t i;

    if (s) {
        i = c->next[s - g->stays];
        return i ? &g->stays[i] : NULL;
    }
    ends = idmap_get(&c->ends, user);
    return ends ? &g->stays[*ends >> CHAIN_SHIFT] : NULL;
}

/* As group_join; there is room. */
static bool chain_join(struct chains *c, struct group *g, struct cq_id user, enum member_role role,
                       int64_t seq)
{
    for (struct member_interval *s = NULL; (s = chain_next(c, g, user, s)) != NULL;)
        if (s->joined_seq == seq)
            return true; /* a replay */
    /* group_apply() made room for one a change */
    CQ_ASSERT(g->stays_n < g->stays_cap, g->stays_n, g->stays_cap);
    g->stays[g->stays_n] =
        (struct member_interval){ .user_id = user, .role = role, .joined_seq = seq };
    return chains_add(c, user, g->stays_n++);
}

static void chain_leave(const struct chains *c, struct group *g, struct cq_id user, int64_t seq)
{
    for (struct member_interval *s = NULL; (s = chain_next(c, g, user, s)) != NULL;)
        if (s->joined_seq < seq && !s->left_seq)
            s->left_seq = seq;
}

/* The stay ends and another one begins, so that roles are as exact as membership. */
static bool chain_set_role(struct chains *c, struct group *g, struct cq_id user,
                           enum member_role role, int64_t seq)
{
    for (struct member_interval *s = NULL; (s = chain_next(c, g, user, s)) != NULL;) {
        if (s->joined_seq == seq)
            s->role = role; /* joined in this very change, or a replay of it */
        if (s->joined_seq >= seq)
            return true; /* a replay under a newer stay */
    }
    chain_leave(c, g, user, seq);
    return chain_join(c, g, user, role, seq);
}

static bool chain_apply(struct chains *c, struct group *g, const struct member_change *change,
                        int64_t seq)
{
    struct cq_id user = change->user_id;

    switch (change->change) {
    case MEMBER_CHANGE_KIND_ADD:
        for (struct member_interval *s = NULL; (s = chain_next(c, g, user, s)) != NULL;)
            if (present(s, seq))
                return true;
        return chain_join(c, g, user, MEMBER_ROLE_MEMBER, seq);
    case MEMBER_CHANGE_KIND_REMOVE:
        chain_leave(c, g, user, seq);
        return true;
    case MEMBER_CHANGE_KIND_PROMOTE:
        return chain_set_role(c, g, user, MEMBER_ROLE_ADMIN, seq);
    case MEMBER_CHANGE_KIND_DEMOTE:
        return chain_set_role(c, g, user, MEMBER_ROLE_MEMBER, seq);
    case MEMBER_CHANGE_KIND_MAKE_OWNER:
        return chain_set_role(c, g, user, MEMBER_ROLE_OWNER, seq);
    case MEMBER_CHANGE_KIND_N:
        break;
    }
    return false;
}

/* Keep GROUP_STAYS_MAX: the oldest that had ended before `seq` go. There are enough of them, since
 * no more than LIMIT_GROUP_MEMBERS are present. */
static void drop_ended(struct group *g, int64_t seq)
{
    size_t kept = 0;
    size_t much = g->stays_n > GROUP_STAYS_MAX ? g->stays_n - GROUP_STAYS_MAX : 0;

    for (size_t i = 0; much && i < g->stays_n; i++) {
        const struct member_interval *s = &g->stays[i];

        if (s->left_seq && s->left_seq < seq && i - kept < much)
            continue;
        g->stays[kept++] = *s;
    }
    g->stays_n = much ? kept : g->stays_n;
}

enum cq_status group_apply(struct group *g, const struct member_change *changes, size_t n,
                           int64_t seq)
{
    struct chains c;
    bool good = chains_build(&c, g, n) && room_for_stays(g, n);

    for (size_t i = 0; good && i < n; i++)
        good = chain_apply(&c, g, &changes[i], seq);
    chains_release(&c);
    if (n)
        group_changed_at(g, seq);
    if (!g->created_seq && g->stays_n)
        g->created_seq = seq;
    drop_ended(g, seq);
    return good ? CQ_OK : CQ_FATAL;
}

enum cq_status group_rename(struct group *g, struct cq_span name, int64_t seq)
{
    if (seq_offset(seq) < g->source_offset)
        return CQ_OK; /* a replay under a newer change: the name of today may be newer */
    group_changed_at(g, seq);
    return set_name(g, name);
}

/* ---- timers ----------------------------------------------------------------------------- */

int64_t group_timer(const struct group *g, int64_t seq)
{
    for (size_t i = g ? g->timers_n : 0; i-- > 0;)
        if (g->timers[i].seq < seq)
            return g->timers[i].seconds;
    return 0;
}

enum cq_status group_set_timer(struct group *g, int64_t seconds, int64_t seq)
{
    if (g->timers_n && g->timers[g->timers_n - 1].seq >= seq)
        return CQ_OK; /* a replay: what was set then is there already, or was dropped */
    group_changed_at(g, seq);
    if (g->timers_n == GROUP_TIMERS_MAX)
        memmove(g->timers, g->timers + 1, --g->timers_n * sizeof g->timers[0]);
    if (!array_room(&g->timers, &g->timers_cap, g->timers_n + 1, sizeof *g->timers, 2))
        return CQ_FATAL;
    g->timers[g->timers_n++] = (struct timer_interval){ .seq = seq, .seconds = seconds };
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

enum right_holders group_holders(const struct group *g, enum right right, int64_t seq)
{
    for (size_t i = g->rights_n; i-- > 0;)
        if (g->rights[i].right == right && g->rights[i].seq < seq)
            return g->rights[i].holders;
    return holders_at_first(right);
}

/* Of each right the newest are kept, so that one that is set often drives out no other. */
static void drop_oldest_of(struct group *g, enum right right)
{
    size_t first = g->rights_n, n = 0;

    for (size_t i = g->rights_n; i-- > 0;)
        if (g->rights[i].right == right) {
            first = i;
            n++;
        }
    if (n < GROUP_RIGHTS_MAX)
        return;
    g->rights_n--;
    memmove(g->rights + first, g->rights + first + 1, (g->rights_n - first) * sizeof g->rights[0]);
}

enum cq_status group_set_holders(struct group *g, enum right right, enum right_holders holders,
                                 int64_t seq)
{
    for (size_t i = 0; i < g->rights_n; i++)
        if (g->rights[i].right == right && g->rights[i].seq >= seq)
            return CQ_OK; /* a replay: what was set then is there already, or was dropped */
    group_changed_at(g, seq);
    drop_oldest_of(g, right);
    if (!array_room(&g->rights, &g->rights_cap, g->rights_n + 1, sizeof *g->rights, 3))
        return CQ_FATAL;
    g->rights[g->rights_n++] =
        (struct right_interval){ .seq = seq, .right = right, .holders = holders };
    return CQ_OK;
}
