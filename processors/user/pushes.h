/* SPDX-License-Identifier: MIT */
/*
 * processors/user/pushes.h - gathers what one turn writes to ws.push into few records: one WsPush a
 * slot, cut at TOPIC_CUT_BYTES.
 */
#pragma once

#include "lib/base/buf.h"
#include "schemas/records.gen.h"

struct pushes; /* opaque; one a role, reused each turn */

typedef enum cq_status pushes_emit_fn(void *arg, int32_t slot, struct cq_span value);

struct pushes *pushes_new(int32_t slots); /* NULL without memory; owned by caller */
void pushes_free(struct pushes *pushes);

/** The entry's frame and targets are borrowed until the flush. Emits a full record on the way. */
CQ_MUST_CHECK enum cq_status pushes_add(struct pushes *pushes, int32_t slot,
                                        const struct ws_entry *entry, pushes_emit_fn *emit,
                                        void *arg);

/** Bytes, about, of what is gathered and not emitted. */
size_t pushes_bytes(const struct pushes *pushes);

CQ_MUST_CHECK enum cq_status pushes_flush(struct pushes *pushes, pushes_emit_fn *emit, void *arg);
