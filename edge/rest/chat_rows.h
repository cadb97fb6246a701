/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/chat_rows.h - chats as one user sees them, as JSON, a page at a time.
 *
 * A page has at most a number of rows, and ends behind the first row that takes it past
 * REST_PAGE_BYTES. It always has one row when there is one, so that paging comes to an end.
 */
#pragma once

#include "edge/rest/rest.h"

enum { CHAT_LIST_DEFAULT = 200, CHAT_LIST_MAX = 500, CHAT_CHANGES_MAX = 200 };

/** One chat with its present members, in c->out; nothing when the caller never was in it. */
CQ_MUST_CHECK enum cq_status chat_row_one(struct call *c, struct pg *db, struct cq_id chat);

/** A direct chat that has no event yet, in c->out. */
CQ_MUST_CHECK enum cq_status chat_row_unopened(struct call *c, struct pg *db, struct cq_id chat,
                                               struct cq_id peer);

/** A place in the list: chats with messages or members first, the latest first; then those that
 * were opened and nobody wrote in. */
struct chat_list {
    int64_t limit; /* in: rows of the page, 1 to CHAT_LIST_MAX */
    bool behind;   /* in and out: (at, chat) is the last row told; false: begin */
    bool unopened; /* in and out: that row is one of the second kind */
    int64_t at;    /* ms */
    struct cq_id chat;
    int64_t n; /* out: rows of this page */
    bool more; /* out: another page comes behind (at, chat) */
};

/** The caller's next page, comma-parted, in c->out; moves `l` behind it. */
CQ_MUST_CHECK enum cq_status chat_list_page(struct call *c, struct pg *db, struct chat_list *l);

/** A row of a page of changes: where it stands in the order of (partition, seq), and where its JSON
 * ends in c->out. */
struct chat_change {
    int32_t part;
    int64_t seq;
    size_t end;
};

struct chat_changes {
    int n;
    bool more; /* what lies behind the last row was not told */
    struct chat_change row[CHAT_CHANGES_MAX];
};

/** The caller's chats that changed at or after `lows` (a seq for each of `n` partitions), in the
 * order of (partition, seq of the change), comma-parted, in c->out. */
CQ_MUST_CHECK enum cq_status chat_changes_page(struct call *c, struct pg *db, const int64_t *lows,
                                               int32_t n, struct chat_changes *ret);
