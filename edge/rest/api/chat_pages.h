/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/chat_pages.h - chats as JSON, a page at a time.
 *
 * A page has at most a number of rows, and ends behind the first row that takes it past
 * REST_PAGE_BYTES. It always has one row when there is one, so that paging comes to an end.
 */
#pragma once

#include "edge/rest/server/call.h"
#include "edge/rest/view/chats.h"

enum { CHAT_LIST_DEFAULT = 200, CHAT_LIST_MAX = 500, CHAT_CHANGES_MAX = 200 };

/** A page of an answer ends behind the row that takes it past this; a row is at most 200 KB. */
enum { REST_PAGE_BYTES = 1024 * 1024 };

/** A place in the list: chats with messages or members first, the latest first; then those that
 * were opened and nobody wrote in. */
struct chat_list {
    int64_t limit;    /* in: rows of the page, 1 to CHAT_LIST_MAX */
    bool is_behind;   /* in and out: `last` is the last row told; false: begin */
    bool is_unopened; /* in and out: that row is one of the second kind */
    struct chat_place last;
    int64_t n; /* out: rows of this page */
    bool more; /* out: another page comes behind `last` */
};

/** Append the caller's next page to the reply, separated by commas, and move `list` behind it. */
CQ_MUST_CHECK enum cq_status chat_list_page(struct call *call, struct pg *db,
                                            struct chat_list *list);

/** Append the chats that the caller pinned, the last one first. */
CQ_MUST_CHECK enum cq_status chat_list_pinned(struct call *call, struct pg *db);

/** A row of a page of changes: where it stands in the order of (partition, seq), and where its JSON
 * ends in the reply. */
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

/** Append the caller's chats that changed at or after `lows` (a seq for each of `n` partitions) to
 * the reply, in the order of (partition, seq of the change), separated by commas. */
CQ_MUST_CHECK enum cq_status chat_changes_page(struct call *call, struct pg *db,
                                               const int64_t *lows, int32_t n,
                                               struct chat_changes *ret);
