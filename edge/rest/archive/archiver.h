/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/archive/archiver.h - a thread that makes exports, one at a time, and takes those away whose end has
 * come. Any number of processes do it beside one another; what one leaves half done another begins anew.
 */
#pragma once

#include "lib/base/status.h"
#include "lib/store/store.h"

struct archiver;

struct archiver_conf {
    const char *database_url; /* copied */
    struct store_conf store;  /* copied */
    int64_t total_bytes;      /* that all exports may take up */
};

/** `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status archiver_start(const struct archiver_conf *conf,
                                            struct archiver **ret);

/** Ends the thread as soon as its statement or its call to the store has ended. NULL is fine. */
void archiver_stop(struct archiver *archiver);
