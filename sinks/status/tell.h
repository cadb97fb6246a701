/* SPDX-License-Identifier: MIT */
/*
 * sinks/status/tell.h - whom a turn's moved marks and cursors concern, and the frames they get.
 */
#pragma once

#include "lib/bus/bus.h"
#include "schemas/delivery.h"
#include "sinks/status/store.h"

/**
 * Find the senders in the ranges of `ticks` and queue one tick for each, with both values as they
 * are now, on `out`. The caller awaits the reports before it commits: a repeated tick is harmless,
 * a missing one is not.
 */
CQ_MUST_CHECK enum cq_status tell_senders(struct ticks *ticks, struct pg *db,
                                          struct pg_params *params, struct cq_arena *arena,
                                          struct delivery *delivery, struct producer *out);

/** Queue for each user that read something one frame for the user's other devices, in the same
 * way. */
CQ_MUST_CHECK enum cq_status tell_readers(struct ticks *ticks, struct cq_arena *arena,
                                          struct delivery *delivery, struct producer *out);
