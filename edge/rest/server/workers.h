/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/workers.h - the threads that run the steps of calls, each with a connection of
 * its own to the database.
 */
#pragma once

#include "edge/rest/server/conf.h"
#include "edge/rest/server/mailbox.h"

struct workers;

/** `n` threads that take calls from `in`, run one step and put them to `done`; with `media` each
 * has a store. All but `*ret`, which is owned by the caller, is borrowed. CQ_FATAL: no memory,
 * thread or store. */
CQ_MUST_CHECK enum cq_status workers_start(const struct server_conf *conf, int n, bool media,
                                           struct mailbox *in, struct mailbox *done,
                                           struct workers **ret);

/** Closes `in` and joins the threads, each after its step. NULL is fine. */
void workers_stop(struct workers *workers);
