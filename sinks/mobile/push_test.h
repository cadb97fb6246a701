/* SPDX-License-Identifier: MIT */
/*
 * sinks/mobile/push_test.h - one push to each device of a user, by hand, with everything said about
 * it.
 */
#pragma once

#include "lib/pg/pg.h"
#include "sinks/mobile/provider.h"

#include <stdio.h>

enum { PUSH_TEST_PROVIDERS_MAX = 3 };

struct push_test_provider {
    struct provider *provider; /* NULL: not configured */
    uint32_t kinds;            /* 1 << enum push_kind: the addresses that it serves */
    bool outside;              /* its services are where clients say */
};

struct push_test {
    struct pg *db;
    struct push_test_provider asked[PUSH_TEST_PROVIDERS_MAX];
    bool private_too; /* of `outside`: addresses of one's own network, too */
    const char *ca_file;
    struct cq_id user;
    bool send; /* false: Google validates only, nobody else is asked */
    FILE *out;
};

/** CQ_OK: every registered device could be woken (or, without `send`, nothing speaks against it).
 * CQ_POISON: some could not, or there is none. CQ_AGAIN, CQ_FATAL: of the database. */
CQ_MUST_CHECK enum cq_status push_test_run(const struct push_test *test);
