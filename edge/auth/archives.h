/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/archives.h - exports of accounts, as jobs: asked for by a device, made by one process at a time, gone
 * after two days. Schema auth.
 *
 * A process holds a job by its try, a number that no other try of the same job has, until a lease ends that it
 * renews. Each try writes a file of its own (archive_key()), so that a process that was taken for dead spoils
 * nothing, and whoever takes the job away knows all files that there can be.
 */
#pragma once

#include "edge/auth/budgets.h"
#include "lib/store/store.h"

enum {
    ARCHIVES_A_DAY = 2, /* of a user */
    ARCHIVE_FAILS_MAX = 5,
    /* Longer than any statement may take (lib/pg/pg.c): who waits for one is not taken for dead. */
    ARCHIVE_LEASE_MS = 40 * 1000,
};
#define ARCHIVE_TTL_MS (2 * AUTH_DAY_MS)

/** The numbers are in auth.archives: never reuse one. */
enum archive_state { ARCHIVE_OPEN, ARCHIVE_MADE, ARCHIVE_FAILED };

struct archive {
    struct cq_id id, user, device; /* device: that asked, and alone may have the file */
    enum archive_state state;
    int64_t asked_ms, ends_ms;
    int32_t tries, fails;
    int64_t percent;
    int64_t size; /* these three of one that is made */
    uint8_t sha256[32];
    int64_t left_out;
};

/** The key of the file of a try. */
void archive_key(struct cq_id id, int32_t tries, char out[STORE_KEY_MAX]);

enum archive_asked { ARCHIVE_ASKED, ARCHIVE_BUSY, ARCHIVE_LIMITED };

/** Begin an export for the account with this number; one that was made before goes. ARCHIVE_BUSY: there is one on
 * its way. ARCHIVE_LIMITED: `*ret_wait_ms` says for how long. `*ret_own` false, and nothing done: the number is not
 * this user's. */
CQ_MUST_CHECK enum cq_status archive_ask(struct pg *db, const struct auth_limits *limits,
                                         const struct archive *ask, const char *number,
                                         bool *ret_own, enum archive_asked *ret,
                                         int64_t *ret_wait_ms);

/** The last one that the user asked for. */
CQ_MUST_CHECK enum cq_status archive_latest(struct pg *db, struct cq_id user, int64_t now_ms,
                                            struct archive *ret, bool *ret_found);

/* ---- for those who make them ---------------------------------------------------------- */

/** Whether there is an open one on which nobody works, and the view is whole. Then `*ret_bytes`: what those take
 * up that are made, until their files are removed, and the most that those may on which somebody works. */
CQ_MUST_CHECK enum cq_status archive_due(struct pg *db, int64_t now_ms, bool *ret_due,
                                         int64_t *ret_bytes);

/** Take an open one on which nobody works, unless the view is incomplete: its try is the caller's from here on, and
 * it counts for `most` bytes. One that has failed too often comes out as ARCHIVE_FAILED, and is so for good. */
CQ_MUST_CHECK enum cq_status archive_claim(struct pg *db, int64_t now_ms, int64_t most,
                                           struct archive *ret, bool *ret_found);

/** Renew the lease. *ret_held false: another has it, or nobody wants it any more. */
CQ_MUST_CHECK enum cq_status archive_keep(struct pg *db, const struct archive *archive,
                                          int64_t now_ms, bool *ret_held);

/** It is made, with its size, sha256 and left_out; it goes ARCHIVE_TTL_MS later. */
CQ_MUST_CHECK enum cq_status archive_made(struct pg *db, const struct archive *archive,
                                          int64_t now_ms, bool *ret_held);

/** Give it back, for a try at `at_ms`. `counts`: this try has failed. */
CQ_MUST_CHECK enum cq_status archive_give_back(struct pg *db, const struct archive *archive,
                                               int64_t at_ms, bool counts);

/** One whose end has come and on which nobody works; nobody else takes it for a lease. */
CQ_MUST_CHECK enum cq_status archive_claim_ended(struct pg *db, int64_t now_ms, struct archive *ret,
                                                 bool *ret_found);

/** Its files are gone, and it is, too. */
CQ_MUST_CHECK enum cq_status archive_forget(struct pg *db, struct cq_id id);
