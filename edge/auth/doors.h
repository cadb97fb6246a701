/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/doors.h - while schema `auth` is being restored nobody logs in, and nobody is told that
 * he is logged out because his row is not back yet. An operator's words, by `chasqui admin`.
 */
#pragma once

#include "lib/pg/pg.h"

/** Both may be said again. CQ_OK: from the next request on. */
CQ_MUST_CHECK enum cq_status doors_close(struct pg *c);
CQ_MUST_CHECK enum cq_status doors_open(struct pg *c);
