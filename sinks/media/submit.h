/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/submit.h - one action into the log at a time, and its report: for a thread that may
 * wait.
 */
#pragma once

#include "lib/base/auto.h"
#include "lib/base/status.h"
#include "schemas/records.gen.h"

struct submitter;

/** Owned by caller. */
CQ_MUST_CHECK enum cq_status submitter_new(const char *brokers, const char *client_id,
                                           int32_t partitions, struct submitter **ret);
void submitter_free(struct submitter *submitter); /* NULL is fine */
CQ_DEFINE_AUTO(submitter, struct submitter *, submitter_free)

/** CQ_OK: the log has it, there. CQ_AGAIN: unknown; half a minute may have passed. CQ_POISON: it is
 * no action that the log takes. */
CQ_MUST_CHECK enum cq_status submitter_send(struct submitter *submitter,
                                            const struct chat_action *action,
                                            int32_t *ret_partition, int64_t *ret_offset);
