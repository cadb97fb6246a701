/* SPDX-License-Identifier: MIT */
/*
 * admin.h - what an operator runs by hand: `chasqui admin …`.
 */
#pragma once

#include "lib/base/status.h"
#include "lib/bus/bus.h"

#include <stdio.h>

/** The verb and its words; the exit code. */
int admin_run(int argc, char **argv);

void admin_usage(FILE *out);

/** Every topic is there with the partitions that the settings say, and every version that this build
 * writes is announced. CQ_AGAIN: the broker is away. */
CQ_MUST_CHECK enum cq_status admin_topics_check(char *reterr, size_t reterr_n);

/** Tell `fn` of each setting of a topic that is not as the table of topics says; `arg` is NULL.
 * Statuses of bus_topics_drift(). */
CQ_MUST_CHECK enum cq_status admin_topics_drift(bus_drift_fn *fn, char *reterr, size_t reterr_n);
