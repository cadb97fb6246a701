/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/submits.h - calls whose submits are on their way into the log. Loop thread.
 */
#pragma once

#include "edge/rest/server/call.h"
#include "ingest/ingest.h"
#include "ingest/log_disk.h"

enum { CALLS_MAX = 4096 /* at work at once; above that 503 */ };

struct submits;

/** Both are borrowed; what `ingest` reports is to be told by submits_report(). NULL without memory.
 */
struct submits *submits_new(struct ingest *ingest, struct log_disk *log_disk);
void submits_free(struct submits *submits);

/** Produce what the call wants to write. True: it is waited for, until submits_report() or
 * submits_expire() gives it back. False: the call has its reply. */
CQ_MUST_CHECK bool submits_produce(struct submits *submits, struct call *call, int64_t now_ms);

/** A report of `ingest`. Returns the call whose reports are now all there, which is to be run
 * again; or NULL. */
struct call *submits_report(struct submits *submits, uint64_t opaque, int32_t partition,
                            int64_t offset, enum cq_status st);

/** Tell each call whose broker is silent beyond its deadline that the outcome is unknown, and hand
 * it to `expired`; reports that come later find no call. */
void submits_expire(struct submits *submits, int64_t now_ms,
                    void (*expired)(void *arg, struct call *call), void *arg);
