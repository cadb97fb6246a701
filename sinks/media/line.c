/* SPDX-License-Identifier: MIT */
#include "sinks/media/line.h"

#include "lib/base/assert.h"

static const int64_t never_ms = INT64_MAX;

void line_init(struct line *l, int64_t budget_ms, int32_t at_once)
{
    *l = (struct line){ .budget_ms = budget_ms, .at_once = at_once };
}

/* ---- owners --------------------------------------------------------------------------- */

/* What the owner has left now: it grows by the budget each minute, up to the budget. */
static int64_t owner_left(const struct line *l, const struct line_owner *o, int64_t now_ms)
{
    int64_t passed_ms = now_ms > o->at_ms ? now_ms - o->at_ms : 0;
    int64_t left_ms;

    if (passed_ms > LINE_MINUTE_MS * 1000) /* no product below is too large */
        passed_ms = LINE_MINUTE_MS * 1000;
    left_ms = o->left_ms + passed_ms * l->budget_ms / LINE_MINUTE_MS;
    return left_ms < l->budget_ms ? left_ms : l->budget_ms;
}

/* The owner's entry, or one to be reused for it: an unused one, otherwise the one with no file in
 * line and most of its budget left, so that least is forgotten. NULL: all have files in line. */
static struct line_owner *owner_of(struct line *l, struct cq_id id, int64_t now_ms)
{
    struct line_owner *best = NULL;

    for (int32_t i = 0; i < LINE_OWNERS; i++) {
        struct line_owner *o = &l->owners[i];

        if (o->used && id_eq(o->id, id))
            return o;
        if (o->places || (best && !best->used))
            continue;
        if (!best || !o->used || owner_left(l, o, now_ms) > owner_left(l, best, now_ms))
            best = o;
    }
    if (!best)
        return NULL;
    *best = (struct line_owner){
        .id = id, .used = true, .left_ms = l->budget_ms, .at_ms = now_ms, .served = 0
    };
    return best;
}

/* ---- places --------------------------------------------------------------------------- */

enum line_answer line_join(struct line *l, struct cq_id owner, int64_t now_ms, int32_t *ret)
{
    struct line_owner *o;
    int32_t i = 0;

    if (line_is_full(l))
        return LINE_FULL;
    o = owner_of(l, owner, now_ms);
    if (!o)
        return LINE_FULL;
    if (o->places == LINE_OWNER_MAX)
        return LINE_TOO_MANY;
    while (l->places[i].state != LINE_FREE)
        i++;
    l->places[i] = (struct line_place){ LINE_WAITING, (int32_t)(o - l->owners), 0, ++l->order };
    o->places++;
    l->n++;
    *ret = i;
    return LINE_TAKEN;
}

static bool is_before(const struct line *l, const struct line_place *a, const struct line_place *b)
{
    const struct line_owner *x = &l->owners[a->owner], *y = &l->owners[b->owner];

    return x->served != y->served ? x->served < y->served : a->order < b->order;
}

int32_t line_next(struct line *l, int64_t now_ms)
{
    struct line_owner *o;
    int32_t best = -1;

    for (int32_t i = 0; i < LINE_MAX; i++) {
        const struct line_place *p = &l->places[i];

        if (p->state != LINE_WAITING || p->due_ms > now_ms)
            continue;
        o = &l->owners[p->owner];
        if (o->working >= l->at_once || owner_left(l, o, now_ms) <= 0)
            continue;
        if (best < 0 || is_before(l, p, &l->places[best]))
            best = i;
    }
    if (best < 0)
        return -1;
    o = &l->owners[l->places[best].owner];
    l->places[best].state = LINE_WORKING;
    o->served = ++l->served;
    o->working++;
    l->working++;
    return best;
}

void line_charge(struct line *l, int32_t place, int64_t cost_ms, int64_t now_ms)
{
    struct line_owner *o = &l->owners[l->places[place].owner];

    o->left_ms = owner_left(l, o, now_ms) - (cost_ms > 0 ? cost_ms : 0);
    o->at_ms = now_ms;
}

static void stop_working(struct line *l, struct line_place *p)
{
    if (p->state != LINE_WORKING)
        return;
    CQ_ASSERT(l->owners[p->owner].working > 0 && l->working > 0, l->owners[p->owner].working,
              l->working);
    p->state = LINE_WAITING;
    l->owners[p->owner].working--;
    l->working--;
}

void line_wait(struct line *l, int32_t place, int64_t due_ms)
{
    CQ_ASSERT(l->places[place].state != LINE_FREE, place);
    stop_working(l, &l->places[place]);
    l->places[place].due_ms = due_ms;
}

void line_rest(struct line *l, int32_t place)
{
    line_wait(l, place, never_ms);
}

void line_leave(struct line *l, int32_t place)
{
    struct line_place *p = &l->places[place];

    if (p->state == LINE_FREE)
        return;
    stop_working(l, p);
    CQ_ASSERT(l->owners[p->owner].places > 0 && l->n > 0, l->owners[p->owner].places, l->n);
    p->state = LINE_FREE;
    l->owners[p->owner].places--;
    l->n--;
}
