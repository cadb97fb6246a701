/* SPDX-License-Identifier: MIT */
/*
 * edge/ws/watches.h - of the chats whose signals this gateway passes on: behind which slots there
 * is somebody who looks. Soft: what is not renewed is gone in half a minute, and after a restart
 * the next renewals fill it again. Pure: times are passed in.
 */
#pragma once

#include "lib/base/idmap.h"

enum {
    WATCH_MS = 30 * 1000,     /* from a renewal on */
    WATCH_SLOTS_MAX = 32,     /* that look at one chat; later ones are not told */
    WATCHES_MAX = 128 * 1024, /* all: 14 MiB with the map */
};

struct watch {
    struct cq_id subject;
    int64_t until_ms; /* 0: free */
    int64_t since_ms;
    int32_t slot;
    uint32_t next; /* at the same subject, or in the free list; UINT32_MAX: the last */
};

struct watches {
    struct idmap by_subject; /* → index of the first */
    struct watch *watch;     /* owned */
    uint32_t cap, free, n;
    uint32_t sweep; /* where the next sweep begins */
};

void watches_init(struct watches *watches);
void watches_release(struct watches *watches);

/** Somebody behind `slot` looks at `subject`. False: at a bound. */
bool watches_renew(struct watches *watches, struct cq_id subject, int32_t slot, int64_t now_ms);

/** The slots behind which somebody looks, at most WATCH_SLOTS_MAX of them into `out`; how many. */
size_t watches_of(const struct watches *watches, struct cq_id subject, int64_t now_ms,
                  int32_t out[WATCH_SLOTS_MAX]);

/** Since when somebody has looked at it without a pause; INT64_MAX: nobody does. */
int64_t watches_since(const struct watches *watches, struct cq_id subject, int64_t now_ms);

/** Nobody behind `slot` looks at `subject` any more. */
void watches_drop(struct watches *watches, struct cq_id subject, int32_t slot);

/** Called with a subject whose last watch has just been forgotten; it may add none. */
typedef void watches_gone_fn(void *arg, struct cq_id subject);

/** Forget what was not renewed, a part of them at each call: all in a hundred calls. `gone` may be
 * NULL. */
void watches_sweep(struct watches *watches, int64_t now_ms, watches_gone_fn *gone, void *arg);
