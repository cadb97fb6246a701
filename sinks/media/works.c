/* SPDX-License-Identifier: MIT */
#include "sinks/media/works.h"

#include "lib/base/assert.h"

bool works_room(const struct works *works)
{
    return works->n < WORKS_MAX && !line_is_full(&works->line);
}

struct work *works_add(struct works *works)
{
    int32_t i = 0;

    CQ_ASSERT(works->n < WORKS_MAX, works->n);
    while (works->v[i].state != WORK_FREE)
        i++;
    works->n++;
    works->v[i] = (struct work){ .state = WORK_LOOK, .place = -1 };
    return &works->v[i];
}

void works_move(struct work *work, enum work_state to)
{
    CQ_ASSERT(to == WORK_TELL ? work->state == WORK_LOOK || work->state == WORK_TOLD
                              : to == WORK_TOLD && work->state == WORK_TELL,
              work->state, to);
    work->state = to;
}

void works_remove(struct works *works, struct work *work)
{
    CQ_ASSERT(work->state != WORK_FREE && works->n > 0, work->state, works->n);
    if (work->place >= 0)
        line_leave(&works->line, work->place);
    *work = (struct work){ .place = -1 };
    works->n--;
}

struct work *works_at(struct works *works, int32_t place)
{
    for (int32_t i = 0; i < WORKS_MAX; i++)
        if (works->v[i].state == WORK_LOOK && works->v[i].place == place)
            return &works->v[i];
    return NULL;
}

bool works_has(const struct works *works, struct cq_id media)
{
    for (int32_t i = 0; i < WORKS_MAX; i++)
        if (works->v[i].state != WORK_FREE && !works->v[i].dropped &&
            id_eq(works->v[i].media, media))
            return true;
    return false;
}

int64_t works_undone(const struct works *works, int32_t partition, int64_t next)
{
    for (int32_t i = 0; i < WORKS_MAX; i++) {
        const struct work *work = &works->v[i];

        if (work->state != WORK_FREE && !work->dropped && work->partition == partition &&
            work->offset < next)
            next = work->offset;
    }
    return next;
}

static bool is_idle(const struct works *works, const struct work *work)
{
    CQ_ASSERT(work->state != WORK_LOOK || (work->place >= 0 && work->place < LINE_MAX),
              work->place);
    return work->state == WORK_TELL ||
           (work->state == WORK_LOOK && works->line.places[work->place].state == LINE_WAITING);
}

void works_drop(struct works *works, int32_t partition)
{
    for (int32_t i = 0; i < WORKS_MAX; i++) {
        struct work *work = &works->v[i];

        if (work->state == WORK_FREE || work->partition != partition)
            continue;
        if (is_idle(works, work))
            works_remove(works, work);
        else
            work->dropped = true;
    }
}
