/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/lines.h - what is shown of a chat between its messages (pure).
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/status.h"
#include "schemas/records.gen.h"

/** The frame that tells this fact, as JSON in `arena`; empty when it is no line. CQ_AGAIN: the arena is full. */
CQ_MUST_CHECK enum cq_status line_render(const struct chat_event *event, struct cq_arena *arena,
                                         struct cq_span *ret);
