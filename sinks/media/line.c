/* SPDX-License-Identifier: MIT */
#include "sinks/media/line.h"

#include "lib/base/assert.h"

static const int64_t never_ms = INT64_MAX;

void line_init(struct line *line, int64_t budget_ms, int32_t at_once)
{
    *line = (struct line){ .budget_ms = budget_ms, .at_once = at_once };
}

/* ---- owners --------------------------------------------------------------------------- */

/* What the owner has left now: it grows by the budget each minute, up to the budget. */
static int64_t owner_left(const struct line *line, const struct line_owner *owner, int64_t now_ms)
{
    int64_t passed_ms = now_ms > owner->at_ms ? now_ms - owner->at_ms : 0;
    int64_t left_ms;

    if (passed_ms > LINE_MINUTE_MS * 1000) /* no product below is too large */
        passed_ms = LINE_MINUTE_MS * 1000;
    left_ms = owner->left_ms + passed_ms * line->budget_ms / LINE_MINUTE_MS;
    return left_ms < line->budget_ms ? left_ms : line->budget_ms;
}

/* The owner's entry, or one to be reused for it: an unused one, otherwise the one with no file in
 * line and most of its budget left, so that least is forgotten. NULL: all have files in line. */
static struct line_owner *owner_of(struct line *line, struct cq_id id, int64_t now_ms)
{
    struct line_owner *best = NULL;

    for (int32_t i = 0; i < LINE_OWNERS; i++) {
        struct line_owner *owner = &line->owners[i];

        if (owner->used && id_eq(owner->id, id))
            return owner;
        if (owner->places || (best && !best->used))
            continue;
        if (!best || !owner->used ||
            owner_left(line, owner, now_ms) > owner_left(line, best, now_ms))
            best = owner;
    }
    if (!best)
        return NULL;
    *best = (struct line_owner){
        .id = id, .used = true, .left_ms = line->budget_ms, .at_ms = now_ms, .served = 0
    };
    return best;
}

/* ---- places --------------------------------------------------------------------------- */

enum line_answer line_join(struct line *line, struct cq_id owner, int64_t now_ms, int32_t *ret)
{
    struct line_owner *line_owner;
    int32_t i = 0;

    if (line_is_full(line))
        return LINE_FULL;
    line_owner = owner_of(line, owner, now_ms);
    if (!line_owner)
        return LINE_FULL;
    if (line_owner->places == LINE_OWNER_MAX)
        return LINE_TOO_MANY;
    while (line->places[i].state != LINE_FREE)
        i++;
    line->places[i] =
        (struct line_place){ LINE_WAITING, (int32_t)(line_owner - line->owners), 0, ++line->order };
    line_owner->places++;
    line->n++;
    *ret = i;
    return LINE_TAKEN;
}

static bool is_before(const struct line *line, const struct line_place *a,
                      const struct line_place *b)
{
    const struct line_owner *x = &line->owners[a->owner], *y = &line->owners[b->owner];

    return x->served != y->served ? x->served < y->served : a->order < b->order;
}

int32_t line_next(struct line *line, int64_t now_ms)
{
    struct line_owner *owner;
    int32_t best = -1;

    for (int32_t i = 0; i < LINE_MAX; i++) {
        const struct line_place *place = &line->places[i];

        if (place->state != LINE_WAITING || place->due_ms > now_ms)
            continue;
        owner = &line->owners[place->owner];
        if (owner->working >= line->at_once || owner_left(line, owner, now_ms) <= 0)
            continue;
        if (best < 0 || is_before(line, place, &line->places[best]))
            best = i;
    }
    if (best < 0)
        return -1;
    owner = &line->owners[line->places[best].owner];
    line->places[best].state = LINE_WORKING;
    owner->served = ++line->served;
    owner->working++;
    line->working++;
    return best;
}

void line_charge(struct line *line, int32_t place, int64_t cost_ms, int64_t now_ms)
{
    struct line_owner *owner = &line->owners[line->places[place].owner];

    owner->left_ms = owner_left(line, owner, now_ms) - (cost_ms > 0 ? cost_ms : 0);
    owner->at_ms = now_ms;
}

static void stop_working(struct line *line, struct line_place *place)
{
    if (place->state != LINE_WORKING)
        return;
    CQ_ASSERT(line->owners[place->owner].working > 0 && line->working > 0,
              line->owners[place->owner].working, line->working);
    place->state = LINE_WAITING;
    line->owners[place->owner].working--;
    line->working--;
}

void line_wait(struct line *line, int32_t place, int64_t due_ms)
{
    CQ_ASSERT(line->places[place].state != LINE_FREE, place);
    stop_working(line, &line->places[place]);
    line->places[place].due_ms = due_ms;
}

void line_rest(struct line *line, int32_t place)
{
    line_wait(line, place, never_ms);
}

void line_leave(struct line *line, int32_t place)
{
    struct line_place *line_place = &line->places[place];

    if (line_place->state == LINE_FREE)
        return;
    stop_working(line, line_place);
    CQ_ASSERT(line->owners[line_place->owner].places > 0 && line->n > 0,
              line->owners[line_place->owner].places, line->n);
    line_place->state = LINE_FREE;
    line->owners[line_place->owner].places--;
    line->n--;
}
