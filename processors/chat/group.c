/* SPDX-License-Identifier: MIT */
#include "processors/chat/group.h"

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

static enum cq_status add_stay(struct group *g, const struct member_interval *stay)
{
    if (g->stays_n == GROUP_STAYS_MAX)
        drop_oldest_ended(g);
    if (g->stays_n == g->stays_cap) {
        size_t cap = g->stays_cap ? g->stays_cap * 2 : 4;
        struct member_interval *stays = realloc(g->stays, cap * sizeof *stays);

        if (!stays)
            return CQ_FATAL;
        g->stays = stays;
        g->stays_cap = cap;
    }
    g->stays[g->stays_n++] = *stay;
    return CQ_OK;
}

static enum cq_status set_name(struct group *g, struct cq_span name)
{
    char *copy = strndup((const char *)name.p, name.n);

    if (!copy)
        return CQ_FATAL;
    free(g->name);
    g->name = copy;
    return CQ_OK;
}

static void changed_at(struct group *g, int64_t seq)
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

enum cq_status group_join(struct group *g, struct cq_id user, enum member_role role, int64_t seq)
{
    changed_at(g, seq);
    for (size_t i = 0; i < g->stays_n; i++)
        if (id_eq(g->stays[i].user_id, user) && g->stays[i].joined_seq == seq)
            return CQ_OK; /* a replay */
    if (!g->created_seq)
        g->created_seq = seq;
    return add_stay(g,
                    &(struct member_interval){ .user_id = user, .role = role, .joined_seq = seq });
}

void group_leave(struct group *g, struct cq_id user, int64_t seq)
{
    changed_at(g, seq);
    for (size_t i = 0; i < g->stays_n; i++) {
        struct member_interval *s = &g->stays[i];

        if (id_eq(s->user_id, user) && s->joined_seq < seq && !s->left_seq)
            s->left_seq = seq;
    }
}

enum cq_status group_set_role(struct group *g, struct cq_id user, enum member_role role,
                              int64_t seq)
{
    for (size_t i = 0; i < g->stays_n; i++) {
        struct member_interval *s = &g->stays[i];

        if (!id_eq(s->user_id, user))
            continue;
        if (s->joined_seq == seq) { /* joined in this very change, or a replay of it */
            s->role = role;
            changed_at(g, seq);
            return CQ_OK;
        }
        if (s->joined_seq > seq)
            return CQ_OK; /* a replay under a newer stay */
    }
    group_leave(g, user,
                seq); /* the stay goes on as another one: roles are as exact as membership */
    return group_join(g, user, role, seq);
}

enum cq_status group_rename(struct group *g, struct cq_span name, int64_t seq)
{
    if (seq_offset(seq) < g->source_offset)
        return CQ_OK; /* a replay under a newer change: the name of today may be newer */
    changed_at(g, seq);
    return set_name(g, name);
}
