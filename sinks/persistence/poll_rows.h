/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/poll_rows.h - polls, votes and ends of polls as rows of the view (pure), for rows.c.
 */
#pragma once

#include "sinks/persistence/rows.h"

/** The poll of a MessageAccepted. The caller has seen that there is room. */
void poll_row_add(struct rows *rows, const struct chat_event *event);

/** A VoteChanged, a PollClosed. Statuses of rows_chat_event. */
CQ_MUST_CHECK enum cq_status vote_row_add(struct rows *rows, const struct chat_event *event);
CQ_MUST_CHECK enum cq_status end_row_add(struct rows *rows, const struct chat_event *event);
