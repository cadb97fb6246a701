/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/doors.h - while schema `auth` is being restored ("doors closed") nobody can log in, and
 * no device is told that it is logged out because its row is not back yet. Set by an operator, with
 * `chasqui admin doors`.
 */
#pragma once

#include "lib/pg/pg.h"

/** Both may be repeated. CQ_OK: in effect from the next request on. */
CQ_MUST_CHECK enum cq_status doors_close(struct pg *db);
CQ_MUST_CHECK enum cq_status doors_open(struct pg *db);
