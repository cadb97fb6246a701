/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/gather.h - whether the broker is to gather records for a consumer that is in no hurry.
 *
 * A fetch that gathers is answered once there are 64 KiB, or after `wait_ms`: few requests for many
 * records. While little comes that costs more than it saves, because an empty fetch is a request
 * like any other. So a consumer gathers only while more records come than it would make requests.
 * Pure: the time comes with the call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    GATHER_BYTES = 65536,
    GATHER_SPELL_MS = 1000,
};

struct gather {
    int32_t wait_ms;  /* how long a fetch waits while it gathers; 0: it never gathers */
    bool on;          /* written by gather_note() only */
    int64_t spell_ms; /* when this spell began */
    int32_t records;  /* in this spell */
};

/** `records` more came, at `now_ms` (monotonic). True: `on` has changed.
 *
 * It begins as soon as a spell has more records than a spell of gathering fetches has requests; it
 * ends with a spell that has fewer than half as many. */
bool gather_note(struct gather *gather, int64_t now_ms, int32_t records);
