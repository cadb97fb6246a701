/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/archive/make.h - what an export has in it: the profile, whom its user blocks, his chats with their
 * messages, and the files that these show, all as he may see them.
 */
#pragma once

#include "edge/auth/archives.h"
#include "lib/base/arena.h"

#include <stdatomic.h>

/* Of one export. What finds no room is counted, and told. */
#define ARCHIVE_TEXT_BYTES_MAX ((int64_t)2 << 30)
#define ARCHIVE_FILE_BYTES_MAX ((int64_t)2 << 30)

enum {
    ARCHIVE_PAGE_ROWS = 200,
    ARCHIVE_PAGE_BYTES = 1024 * 1024, /* of text that end a page */
    ARCHIVE_CHATS_ROWS = 100,         /* of one statement */
    ARCHIVE_CHATS_COUNTED = 100000,   /* at most, to tell how much is done */
    ARCHIVE_FILES_MAX = 65536,
    ARCHIVE_RENDERED_MAX = 4 * 1024 * 1024,
};

struct archive_work {
    struct pg *db;          /* of the thread */
    struct store *store;    /* the same */
    struct cq_arena *arena; /* reset by archive_make() */
    struct archive *archive;
    const atomic_bool *stop; /* it is to be given back */
    bool lost;               /* out: another has it, or nobody wants it any more */
    int64_t kept_ms;         /* monotonic; of the last renewal */
};

/** Make the file of this try. CQ_OK: it is in the store, and `archive` has its size, sha256 and left_out. CQ_AGAIN:
 * PostgreSQL or the store does not do it now, or `stop`, or `lost`. CQ_FATAL: a mistake of ours. */
CQ_MUST_CHECK enum cq_status archive_make(struct archive_work *work);
