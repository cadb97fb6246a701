/* SPDX-License-Identifier: MIT */
#include "ingest/trust.h"

#include "lib/base/assert.h"
#include "lib/base/count.h"

#include <string.h>

static void set_state(struct trust *trust, enum trust_state to)
{
    trust->state = to;
    count_set(COUNT_LOG_CUT, to == TRUST_CUT);
}

void trust_init(struct trust *trust)
{
    memset(trust, 0, sizeof *trust);
    set_state(trust, TRUST_CHECKING);
}

bool trust_begin(struct trust *trust, uint64_t connects, int64_t now_ms, bool *ret_full)
{
    bool moved = trust->state == TRUST_WHOLE && trust->connects != connects;

    if (trust->asking || (!moved && now_ms < trust->due_ms))
        return false;
    if (moved)
        set_state(trust, TRUST_CHECKING);
    trust->asking = true;
    *ret_full = trust->state != TRUST_WHOLE;
    return true;
}

void trust_take(struct trust *trust, const struct trust_found *found, int64_t now_ms)
{
    CQ_ASSERT(trust->asking);
    trust->asking = false;
    trust->due_ms = now_ms + TRUST_AGAIN_MS;
    if (found->st == CQ_AGAIN)
        return;
    trust->known = true;
    if (found->st != CQ_OK) {
        trust->cut = found->cut;
        trust->due_ms = now_ms + TRUST_CUT_EVERY_MS;
        set_state(trust, TRUST_CUT);
        return;
    }
    trust->connects = found->connects;
    trust->due_ms = now_ms + TRUST_EVERY_MS;
    memcpy(trust->spoken, found->spoken, sizeof trust->spoken);
    set_state(trust, TRUST_WHOLE);
}

void trust_fell(struct trust *trust, const struct bus_cut *cut)
{
    trust->cut = *cut;
    set_state(trust, TRUST_CUT);
}

enum trust_verdict trust_judge_held(const struct trust *trust, int topic, int32_t partition,
                                    int64_t offset)
{
    if (trust->state != TRUST_WHOLE)
        return trust->state == TRUST_CUT ? TRUST_DOUBT : TRUST_HOLD;
    return offset >= 0 && partition >= 0 && partition < PARTITIONS_MAX &&
                   offset < trust->spoken[topic][partition]
               ? TRUST_DOUBT
               : TRUST_PASS;
}
