/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/slots.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum cq_status slots_init(struct slots *s, int32_t n)
{
    if (n < 1 || n > PARTITIONS_MAX)
        return CQ_FATAL;
    *s = (struct slots){ .slot = calloc((size_t)n, sizeof *s->slot), .n = n };
    if (!s->slot)
        return CQ_FATAL;
    for (int32_t i = 0; i < n; i++) {
        s->slot[i].committed = -1;
        window_init(&s->slot[i].window, SLOT_WINDOW_MAX);
    }
    return CQ_OK;
}

void slots_release(struct slots *s)
{
    for (int32_t i = 0; i < s->n; i++)
        window_release(&s->slot[i].window);
    free(s->slot);
    *s = (struct slots){ 0 };
}

/* A: better than B. */
static bool fuller(const struct slot *a, const struct slot *b)
{
    bool a_packs = a->sessions_n < SLOT_PACK, b_packs = b->sessions_n < SLOT_PACK;

    if (a_packs != b_packs)
        return a_packs;
    return a_packs ? a->sessions_n > b->sessions_n : a->sessions_n < b->sessions_n;
}

int32_t slots_pick(const struct slots *s)
{
    int32_t best = -1;

    for (int32_t i = 0; i < s->n; i++)
        if (s->slot[i].state == SLOT_OURS && (best < 0 || fuller(&s->slot[i], &s->slot[best])))
            best = i;
    return best;
}

static void set_state(struct slots *s, int32_t i, enum slot_state state)
{
    CQ_ASSERT(i >= 0 && i < s->n, i, s->n);
    s->ours_n += (state == SLOT_OURS) - (s->slot[i].state == SLOT_OURS);
    s->slot[i].state = state;
    s->slot[i].paused = false; /* an assignment starts unpaused */
    CQ_ASSERT(s->ours_n >= 0 && s->ours_n <= s->n, s->ours_n, s->n);
}

int64_t slots_assigned(struct slots *s, int32_t i, int64_t committed, bool *ret_same)
{
    struct slot *sl = &s->slot[i];
    /* No other gateway had it in between if nothing was committed beyond our first open record. */
    bool same =
        sl->state != SLOT_AWAY && sl->window.next >= 0 && committed <= window_position(&sl->window);

    *ret_same = same || sl->sessions_n == 0 ||
                (sl->state != SLOT_AWAY && sl->window.next < 0 && committed < 0);
    set_state(s, i, SLOT_OURS);
    if (same)
        return sl->window.next;
    window_restart(&sl->window, committed);
    sl->committed = committed;
    return committed;
}

void slots_park(struct slots *s, int32_t i, int64_t now_ms)
{
    if (s->slot[i].state != SLOT_OURS)
        return;
    set_state(s, i, SLOT_PARKED);
    s->slot[i].parked_at_ms = now_ms;
}

void slots_away(struct slots *s, int32_t i)
{
    set_state(s, i, SLOT_AWAY);
    window_restart(&s->slot[i].window, -1);
    s->slot[i].committed = -1;
}

bool slots_dirty(const struct slots *s, int32_t i, int64_t *ret_position)
{
    const struct slot *sl = &s->slot[i];

    *ret_position = window_position(&sl->window);
    return sl->state == SLOT_OURS && *ret_position >= 0 && *ret_position != sl->committed;
}
