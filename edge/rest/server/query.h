/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/query.h - the parameters behind the question mark (pure).
 */
#pragma once

#include "edge/rest/server/call.h"

/** Value of a query parameter, decoded into the arena; {NULL,0} when it is absent. */
struct cq_span call_param(struct call *call, const char *name);

/** The same as a whole number. False when it is there and is no number. *ret stays as it is when it
 * is absent. */
CQ_MUST_CHECK bool call_param_i64(struct call *call, const char *name, int64_t *ret);
