/* SPDX-License-Identifier: MIT */
/*
 * ingest/log_check.h - asks the broker, on a thread of its own, whether chat.actions and user.inbox
 * still reach as far as anything says that they did: commits of their consumers, sources of the
 * records made from them, recorded floors, and our own reports.
 */
#pragma once

#include "ingest/trust.h"

struct log_check; /* opaque; one asks, its own thread works */

/** `wake_fd`: an eventfd that is made readable when an answer is there. NULL: no memory or bad
 * settings. */
struct log_check *log_check_start(const char *brokers, int32_t partitions, int wake_fd);

/** Ends soon: a check that waits for the broker is left behind and frees itself. NULL is fine. */
void log_check_stop(struct log_check *lc);

struct log_question {
    uint64_t connects;
    bool full;
    int64_t reached[TRUST_TOPICS][PARTITIONS_MAX]; /* one past our own reports */
};

/** Begin a check; not while one runs. `question` is copied. */
void log_check_ask(struct log_check *lc, const struct log_question *question);

/** The answer, once; false: not yet. */
bool log_check_take(struct log_check *lc, struct trust_found *ret);

/** The topic of index `topic` of struct trust. */
const char *log_check_topic(int topic);
