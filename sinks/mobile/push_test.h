/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/push_test.h - one push to each device of a user, by hand, with everything said about
 * it.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/mobile/provider.h"

#include <stdio.h>

struct push_test {
    struct pg *db;
    struct provider *fcm, *apns; /* NULL: not configured */
    const char *ca_file;
    struct cq_id user;
    bool send; /* false: Google validates only, Apple is not asked */
    FILE *out;
};

/** CQ_OK: every registered device could be woken (or, without `send`, nothing speaks against it).
 * CQ_POISON: some could not, or there is none. CQ_AGAIN, CQ_FATAL: of the database. */
CQ_MUST_CHECK enum cq_status push_test_run(const struct push_test *test);
