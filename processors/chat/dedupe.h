/* SPDX-License-Identifier: MIT */
/*
 * processors/chat/dedupe.h - the messages of the last ten minutes of one partition, so that a
 * client id sent twice is one message. Bounded: beyond DEDUPE_MAX the oldest are dropped early, and
 * only the view's unique index still finds a repeat.
 */
#pragma once

#include "lib/base/idmap.h"

enum { DEDUPE_MAX = 256 * 1024, DEDUPE_MS = 10 * 60 * 1000 };

struct dedupe_entry {
    struct cq_id id;  /* message */
    int64_t seq;      /* the first one it got */
    int64_t at_ms;    /* log time of the first */
    uint64_t content; /* fingerprint of type and content: the same id must mean the same message */
};

struct dedupe {
    struct dedupe_entry *ring; /* owned; [tail, head) modulo cap */
    size_t cap;
    uint64_t head, tail;
    struct idmap by_id; /* id → position in the ring */
};

void dedupe_init(struct dedupe *dedupe);
void dedupe_release(struct dedupe *dedupe);

/** The entry of `id` that is at most DEDUPE_MS older than `at_ms`, or NULL. Borrowed until the next
 * add. */
const struct dedupe_entry *dedupe_find(const struct dedupe *dedupe, struct cq_id id, int64_t at_ms);

/** Remember it unless the id is there already; forgets what is older than DEDUPE_MS. CQ_FATAL
 * without memory. */
CQ_MUST_CHECK enum cq_status dedupe_add(struct dedupe *dedupe, const struct dedupe_entry *entry);
