/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/works.h - the files between their MediaReady and the broker's report that their
 * MediaProcessed is stored (pure). One thread.
 */
#pragma once

#include "schemas/limits.h"
#include "sinks/media/line.h"
#include "sinks/media/pool.h"

enum { WORKS_MAX = LINE_MAX + 256 }; /* those that are not in line only wait to be told */

enum work_state {
    WORK_FREE,
    WORK_LOOK, /* in line, or at work in the pool */
    WORK_TELL, /* what was found is to be told, from `due_ms` on */
    WORK_TOLD, /* the broker's report is awaited */
};

struct work {
    enum work_state state; /* set by works_move() alone */
    bool dropped;          /* its partition has another owner now: the result is dropped */
    int32_t partition;
    int64_t offset;
    int32_t place; /* in line; -1: none */
    int tries;     /* that ended by a kill */
    int64_t due_ms;
    struct cq_id media, chat, user, device, peer;
    bool has_peer;
    char client_id[LIMIT_CLIENT_ID_BYTES];
    size_t client_id_n;
    char key[STORE_KEY_MAX], type[POOL_TYPE_MAX], thumbnail[STORE_KEY_MAX];
    struct look_found found;
};

struct works {
    struct work v[WORKS_MAX];
    struct line line;
    int32_t n; /* that are not free */
};

/** Whether another file gets in. */
bool works_room(const struct works *works);

/** A free one, in state WORK_LOOK and not in line yet; there must be room. */
struct work *works_add(struct works *works);

/** The one writer of a state between works_add() and works_remove(). Asserts the order. */
void works_move(struct work *work, enum work_state to);

/** It leaves the line, too. */
void works_remove(struct works *works, struct work *work);

/** The one at this place in line; NULL: none. */
struct work *works_at(struct works *works, int32_t place);

/** Whether a file is at hand already, for a partition that is still ours: its MediaReady came
 * twice, because its owner's client asked again before the view had it. */
bool works_has(const struct works *works, struct cq_id media);

/** The lowest offset of a partition that is not done; `next` when all before it are. */
int64_t works_undone(const struct works *works, int32_t partition, int64_t next);

/** The partition is another's: what waits is forgotten, what is at work or on its way is
 * dropped. */
void works_drop(struct works *works, int32_t partition);
