/* SPDX-License-Identifier: MIT */
#include "ingest/trust.h"

#include "lib/base/assert.h"
#include "lib/base/count.h"

#include <string.h>

static void set_state(struct trust *t, enum trust_state to)
{
    t->state = to;
    count_set(COUNT_LOG_CUT, to == TRUST_CUT);
}

void trust_init(struct trust *t)
{
    memset(t, 0, sizeof *t);
    set_state(t, TRUST_CHECKING);
}

bool trust_begin(struct trust *t, uint64_t connects, int64_t now_ms, bool *ret_full)
{
    bool moved = t->state == TRUST_WHOLE && t->connects != connects;

    if (t->asking || (!moved && now_ms < t->due_ms))
        return false;
    if (moved)
        set_state(t, TRUST_CHECKING);
    t->asking = true;
    *ret_full = t->state != TRUST_WHOLE;
    return true;
}

void trust_take(struct trust *t, const struct trust_found *found, int64_t now_ms)
{
    CQ_ASSERT(t->asking);
    t->asking = false;
    t->due_ms = now_ms + TRUST_AGAIN_MS;
    if (found->st == CQ_AGAIN)
        return;
    t->known = true;
    if (found->st != CQ_OK) {
        t->cut = found->cut;
        t->due_ms = now_ms + TRUST_CUT_EVERY_MS;
        set_state(t, TRUST_CUT);
        return;
    }
    t->connects = found->connects;
    t->due_ms = now_ms + TRUST_EVERY_MS;
    memcpy(t->spoken, found->spoken, sizeof t->spoken);
    set_state(t, TRUST_WHOLE);
}

void trust_fell(struct trust *t, const struct bus_cut *cut)
{
    t->cut = *cut;
    set_state(t, TRUST_CUT);
}

enum trust_verdict trust_judge_held(const struct trust *t, int topic, int32_t partition,
                                    int64_t offset)
{
    if (t->state != TRUST_WHOLE)
        return t->state == TRUST_CUT ? TRUST_DOUBT : TRUST_HOLD;
    return offset >= 0 && partition >= 0 && partition < PARTITIONS_MAX &&
                   offset < t->spoken[topic][partition]
               ? TRUST_DOUBT
               : TRUST_PASS;
}
