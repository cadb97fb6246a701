/* SPDX-License-Identifier: MIT */
/*
 * processors/role.h - the process of a processor: a stage over one topic, and one state for each
 * partition that it owns. For the role.c of each, which says what a state is and what a step does.
 */
#pragma once

#include "lib/base/partitions.h"
#include "lib/bus/stage.h"
#include "schemas/topics.h"

enum { PROCESSOR_OUTPUTS_MAX = 8 };

struct processor {
    const char *name; /* group, and worker in dead letters */
    enum topic input;
    const enum topic *outputs; /* the topics that it writes to */
    size_t outputs_n;
    const struct stage_ops *ops;
    void *arg;
    void (*release)(void *state); /* what it owns; not the state itself */

    int32_t slots_n; /* where it writes to ws.push */

    int32_t partitions_n;
    struct reader *reader;        /* owned */
    void *states[PARTITIONS_MAX]; /* owned; NULL: not ours */
    struct bus_watched watched[PROCESSOR_OUTPUTS_MAX];
    struct proven proven[TOPIC_PROVEN_MAX];
};

/** Settings and the reader. CQ_FATAL: the library refuses its settings. */
CQ_MUST_CHECK enum cq_status processor_init(struct processor *processor);

/** The partition's state from here on, instead of the one before; stolen, from malloc. */
void processor_keep(struct processor *processor, int32_t partition, void *state);

/** Forget the state of a partition, if there is one. */
void processor_drop(struct processor *processor, int32_t partition);

/** Turns until `*stop`; then gives up all that it owns. `st`: what became of what was made before;
 * CQ_OK: go. Returns the process's exit code. */
int processor_run(struct processor *processor, enum cq_status st, const volatile int *stop);
