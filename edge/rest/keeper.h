/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/keeper.h - a thread that sweeps schema auth and watches how much of all codes is used
 * (gauge codes_used_percent). No request depends on it; with PostgreSQL away it waits.
 */
#pragma once

#include "edge/auth/budgets.h"

struct keeper;

/** `database_url` is copied. `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status keeper_start(const char *database_url, struct keeper **ret);

/** Ends the thread, within a statement's time. NULL is fine. */
void keeper_stop(struct keeper *keeper);
