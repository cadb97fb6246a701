/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/applied.h - how far the view is, as told by NOTIFY.
 */
#pragma once

#include "edge/rest/server/call.h"

struct applied; /* one listener thread */

/** Start to listen. `database_url` is borrowed until applied_stop(); `*ret` is owned by the caller.
 * CQ_FATAL: no memory, or no thread. */
CQ_MUST_CHECK enum cq_status applied_start(const char *database_url, struct applied **ret);
void applied_stop(struct applied *applied);

/** One past the highest source applied, as far as is known. Any thread. */
int64_t applied_next(const struct applied *applied, enum watched topic, int32_t partition);

/** Whether the database answers. Any thread. */
bool applied_is_up(const struct applied *applied);

/** Whether the view was whole when that was last asked, about a second ago; true before the first
 * answer. Any thread. */
bool applied_is_whole(const struct applied *applied);

/** A descriptor that is readable when something moved. */
int applied_fd(struct applied *applied);
