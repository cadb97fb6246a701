/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/restore.h - the state of a partition from the log: groups from topic members,
 * window and last event from the tail of chat.events, times from those of chat.actions.
 */
#pragma once

#include "lib/bus/bus.h"
#include "processors/chat/rules.h"

/** Fill a fresh `state`; records of chat.actions below `committed` are done. Blocks. Statuses of reader_scan; CQ_FATAL also for records of ours that do not
 * decode. */
CQ_MUST_CHECK enum cq_status chat_restore(struct reader *reader, struct chat_state *state,
                                          int64_t committed);

/** The text of a commit that `admin log-was-cut` moved back: "a" and the offset of chat.actions
 * below which every event is written to chat.events again, although one with the same source may be
 * there: if so, it is where no consumer reads any more. 0 for any other text. */
int64_t chat_again_parse(const char *meta);

/** The text of `again`, none for 0; its length. */
size_t chat_again_format(int64_t again, char *buf, size_t cap);
