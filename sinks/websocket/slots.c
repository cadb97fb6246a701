/* SPDX-License-Identifier: MIT */
#include "sinks/websocket/slots.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum cq_status slots_init(struct slots *slots, int32_t n)
{
    if (n < 1 || n > PARTITIONS_MAX)
        return CQ_FATAL;
    *slots = (struct slots){ .slot = calloc((size_t)n, sizeof *slots->slot), .n = n };
    if (!slots->slot)
        return CQ_FATAL;
    for (int32_t i = 0; i < n; i++) {
        slots->slot[i].committed = -1;
        window_init(&slots->slot[i].window, SLOT_WINDOW_MAX);
    }
    return CQ_OK;
}

void slots_release(struct slots *slots)
{
    for (int32_t i = 0; i < slots->n; i++)
        window_release(&slots->slot[i].window);
    free(slots->slot);
    *slots = (struct slots){ 0 };
}

/* A: better than B. */
static bool fuller(const struct slot *a, const struct slot *b)
{
    bool a_packs = a->sessions_n < SLOT_PACK, b_packs = b->sessions_n < SLOT_PACK;

    if (a_packs != b_packs)
        return a_packs;
    return a_packs ? a->sessions_n > b->sessions_n : a->sessions_n < b->sessions_n;
}

int32_t slots_pick(const struct slots *slots)
{
    int32_t best = -1;

    for (int32_t i = 0; i < slots->n; i++)
        if (slots->slot[i].state == SLOT_OURS &&
            (best < 0 || fuller(&slots->slot[i], &slots->slot[best])))
            best = i;
    return best;
}

static void set_state(struct slots *slots, int32_t i, enum slot_state state)
{
    CQ_ASSERT(i >= 0 && i < slots->n, i, slots->n);
    slots->ours_n += (state == SLOT_OURS) - (slots->slot[i].state == SLOT_OURS);
    slots->slot[i].state = state;
    slots->slot[i].paused = false; /* an assignment starts unpaused */
    CQ_ASSERT(slots->ours_n >= 0 && slots->ours_n <= slots->n, slots->ours_n, slots->n);
}

int64_t slots_assigned(struct slots *slots, int32_t i, int64_t committed, bool *ret_same)
{
    struct slot *slot = &slots->slot[i];
    /* No other gateway had it in between if nothing was committed beyond our first open record. */
    bool same = slot->state != SLOT_AWAY && slot->window.next >= 0 &&
                committed <= window_position(&slot->window);

    *ret_same = same || slot->sessions_n == 0 ||
                (slot->state != SLOT_AWAY && slot->window.next < 0 && committed < 0);
    set_state(slots, i, SLOT_OURS);
    if (same)
        return slot->window.next;
    window_restart(&slot->window, committed);
    slot->committed = committed;
    return committed;
}

void slots_park(struct slots *slots, int32_t i, int64_t now_ms)
{
    if (slots->slot[i].state != SLOT_OURS)
        return;
    set_state(slots, i, SLOT_PARKED);
    slots->slot[i].parked_at_ms = now_ms;
}

void slots_away(struct slots *slots, int32_t i)
{
    set_state(slots, i, SLOT_AWAY);
    window_restart(&slots->slot[i].window, -1);
    slots->slot[i].committed = -1;
}

bool slots_dirty(const struct slots *slots, int32_t i, int64_t *ret_position)
{
    const struct slot *slot = &slots->slot[i];

    *ret_position = window_position(&slot->window);
    return slot->state == SLOT_OURS && *ret_position >= 0 && *ret_position != slot->committed;
}
