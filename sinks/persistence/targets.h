/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/targets.h - messages that a fact of a chat names by id and seq (pure): whether each is one is
 * asked in rejected.c.
 */
#pragma once

#include "sinks/persistence/rows.h"

/** The fact changes, hides, pins or stars this message. Called once for each row of `changes`, `hidden`, `pins`
 * and `stars`, so there is room. */
void target_add(struct rows *rows, const struct chat_event *event, struct cq_id message,
                int64_t seq);
