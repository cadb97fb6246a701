/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/remove.h - objects of files that their owners took away, by the rows of
 * media.deletions: an object goes with the last file that shares it. Each call is one step of the
 * sweep (sweep.h), in its transaction.
 */
#pragma once

#include "lib/pg/pg.h"
#include "lib/store/store.h"

enum {
    REMOVE_AGAIN_MS = 50 * 1000,          /* until the view knows that it was taken away … */
    REMOVE_GIVE_UP_MS = 24 * 3600 * 1000, /* … or does not, because the log never had it */
    /* A last look, for what a process that looked into the file meanwhile has left, and for the
     * object, when somebody was about to share it and did not. Behind REMOVE_HOLD_MS; again after
     * as long while only a hold keeps the object. */
    REMOVE_LATE_MS = 25 * 3600 * 1000,
    REMOVE_HOLD_MS = 24 * 3600 * 1000,         /* a hold of a file that the view knows ends */
    REMOVE_HOLD_MOST_MS = 20 * REMOVE_HOLD_MS, /* … and one that it does not know */
};

/** What the store did not delete. */
struct remove_stuck {
    struct cq_id media;
    int64_t asked_ms; /* when it was taken away; 0: there is none */
};

/** The next row that is due. *ret_one: there was one, and the store did what was asked. When it did
 * not, it is in *ret_stuck (store_why() has the reason), and waits behind the others that are due.
 * CQ_AGAIN: the database is away. */
CQ_MUST_CHECK enum cq_status remove_next(struct pg *db, struct store *store, int64_t now_ms,
                                         struct remove_stuck *ret_stuck, bool *ret_one);

/** Forget holds that are over, 500 at most. *ret_one: there were so many. */
CQ_MUST_CHECK enum cq_status remove_holds(struct pg *db, int64_t now_ms, bool *ret_one);
