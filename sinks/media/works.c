/* SPDX-License-Identifier: MIT */
#include "sinks/media/works.h"

#include "lib/base/assert.h"

bool works_room(const struct works *s)
{
    return s->n < WORKS_MAX && !line_is_full(&s->line);
}

struct work *works_add(struct works *s)
{
    int32_t i = 0;

    CQ_ASSERT(s->n < WORKS_MAX, s->n);
    while (s->v[i].state != WORK_FREE)
        i++;
    s->n++;
    s->v[i] = (struct work){ .state = WORK_LOOK, .place = -1 };
    return &s->v[i];
}

void works_remove(struct works *s, struct work *w)
{
    CQ_ASSERT(w->state != WORK_FREE && s->n > 0, w->state, s->n);
    if (w->place >= 0)
        line_leave(&s->line, w->place);
    *w = (struct work){ .place = -1 };
    s->n--;
}

struct work *works_at(struct works *s, int32_t place)
{
    for (int32_t i = 0; i < WORKS_MAX; i++)
        if (s->v[i].state == WORK_LOOK && s->v[i].place == place)
            return &s->v[i];
    return NULL;
}

bool works_has(const struct works *s, struct cq_id media)
{
    for (int32_t i = 0; i < WORKS_MAX; i++)
        if (s->v[i].state != WORK_FREE && !s->v[i].dropped && id_eq(s->v[i].media, media))
            return true;
    return false;
}

int64_t works_undone(const struct works *s, int32_t partition, int64_t next)
{
    for (int32_t i = 0; i < WORKS_MAX; i++) {
        const struct work *w = &s->v[i];

        if (w->state != WORK_FREE && !w->dropped && w->partition == partition && w->offset < next)
            next = w->offset;
    }
    return next;
}

static bool is_idle(const struct works *s, const struct work *w)
{
    CQ_ASSERT(w->state != WORK_LOOK || (w->place >= 0 && w->place < LINE_MAX), w->place);
    return w->state == WORK_TELL ||
           (w->state == WORK_LOOK && s->line.places[w->place].state == LINE_WAITING);
}

void works_drop(struct works *s, int32_t partition)
{
    for (int32_t i = 0; i < WORKS_MAX; i++) {
        struct work *w = &s->v[i];

        if (w->state == WORK_FREE || w->partition != partition)
            continue;
        if (is_idle(s, w))
            works_remove(s, w);
        else
            w->dropped = true;
    }
}
