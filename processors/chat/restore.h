/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/restore.h - the state of a partition from the log: groups from topic members,
 * window and last event from the tail of chat.events.
 */
#pragma once

#include "lib/bus/bus.h"
#include "processors/chat/rules.h"

/** Fill a fresh `s`. Blocks. Statuses of reader_scan; CQ_FATAL also for records of ours that do not
 * decode. */
CQ_MUST_CHECK enum cq_status chat_restore(struct reader *r, struct chat_state *s);
