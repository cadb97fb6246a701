/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/sweep.h - uploads that nobody finished are taken away, by a thread of its own.
 */
#pragma once

#include "lib/base/status.h"
#include "lib/store/store.h"

struct sweep;

struct sweep_conf {
    const char *database_url;
    struct store_conf store;
    int64_t pending_ms; /* older than this */
};

CQ_MUST_CHECK enum cq_status sweep_start(const struct sweep_conf *conf, struct sweep **ret);
void sweep_stop(struct sweep *s); /* NULL is fine */
