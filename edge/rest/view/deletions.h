/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/deletions.h - objects of the store that are to go, and those that must stay: the
 * tables media.deletions and media.holds. The role `media` (sinks/media/remove.h) does the work.
 */
#pragma once

#include "lib/pg/pg.h"

/** The file is about to be taken away: the role `media` looks from now on whether it was, and takes
 * its object. Again is fine. */
CQ_MUST_CHECK enum cq_status deletion_note(struct pg *db, struct cq_id media, const char *key,
                                           int64_t now_ms);

/** The new file `media` is about to share the object `key` with the file `same`. *ret_held false:
 * the object is on its way out. From there on it stays. */
CQ_MUST_CHECK enum cq_status object_hold(struct pg *db, struct cq_id media, const char *key,
                                         struct cq_id same, int64_t now_ms, bool *ret_held);
