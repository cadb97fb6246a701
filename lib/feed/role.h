/* SPDX-License-Identifier: MIT */
/*
 * lib/feed/role.h - the process of a sink that is a feed. For the role.c of each.
 */
#pragma once

#include "lib/feed/feed.h"

/* What differs between them beside feed_conf. */
struct feed_role {
    const char *consumer;
    const struct feed_topic *topics;
    size_t topics_n;
    const struct bus_watched *outputs; /* NULL: none */
    size_t outputs_n;
    const char *notify;
    const struct feed_ops *ops;
    void *arg;
    const char *incomplete, *filled; /* log lines: the view lacks something, or no more */
};

/** The `owned` of feed_ops, as a log line. */
void feed_role_owned(void *arg, const char *topic, int32_t partition, int64_t from, bool ours);

/** Turns until `*stop`. `st`: what became of what was made before; CQ_OK: go. Returns the process's
 * exit code. */
int feed_role_run(const struct feed_role *role, enum cq_status st, const volatile int *stop);
