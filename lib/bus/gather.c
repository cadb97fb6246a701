/* SPDX-License-Identifier: MIT */
#include "lib/bus/gather.h"

bool gather_note(struct gather *gather, int64_t now_ms, int32_t records)
{
    bool was = gather->on;
    int32_t requests;

    if (!gather->wait_ms)
        return false;
    requests = GATHER_SPELL_MS / gather->wait_ms;
    gather->records += records;
    if (gather->records > requests)
        gather->on = true;
    if (now_ms - gather->spell_ms < GATHER_SPELL_MS)
        return gather->on != was;
    if (gather->records < requests / 2)
        gather->on = false;
    gather->spell_ms = now_ms;
    gather->records = 0;
    return gather->on != was;
}
