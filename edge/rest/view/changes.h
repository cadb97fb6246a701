/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/changes.h - what is new for one user: how far the view is, messages and ticks.
 */
#pragma once

#include "edge/rest/view/messages.h"
#include "lib/bus/frontier.h"

/** How far the view is, as of the snapshot that is open: chat.events as source positions, and
 * delivery.status. */
CQ_MUST_CHECK enum cq_status view_positions(struct pg *db, int32_t partitions,
                                            struct frontier *ret_events,
                                            struct frontier *ret_status);

/** Messages that were sent, or last changed, at or after `lows` (a seq for each of `n` partitions),
 * in the order of these places: at most `limit` rows, and fewer when their content is more than
 * `bytes`. Rows may hold nothing, and a message may come twice: it is the same each time. `*ret` is
 * owned by the caller, here and below. */
CQ_MUST_CHECK enum cq_status view_messages_since(struct pg *db, struct cq_id user,
                                                 const int64_t *lows, int32_t n, int64_t limit,
                                                 int64_t bytes, struct pg_result **ret);

/** Where a row stands; the message itself is read by message_at(), unless the place is empty. */
struct message_place {
    int32_t part; /* of chat.events */
    int64_t seq;  /* of the message, or of its last change */
    bool empty;   /* what was sent here has another place, or is nothing that the user may see */
};
struct message_place message_since_place(const struct pg_result *rows, int i);

/** How many there would be without `bytes`, up to `limit`. */
int64_t messages_since_found(const struct pg_result *rows);

/** Changes by the user that were accepted and fit no message, at or behind `next` (an offset of chat.actions for
 * each of `n` partitions), in the order of (partition, offset). */
struct stale_row {
    struct cq_span client, code; /* borrowed from the rows */
    struct cq_id id, chat;
    int64_t at_ms;
    int32_t part;   /* of chat.actions, which is that of chat.events … */
    int64_t offset; /* … and where the change stands there */
};
CQ_MUST_CHECK enum cq_status view_stale_since(struct pg *db, struct cq_id user, const int64_t *next,
                                              int32_t n, int64_t limit, struct pg_result **ret);
struct stale_row stale_at(const struct pg_result *rows, int i);

/** Up to which seq of a chat all others have the messages, or have read them. */
struct tick_row {
    struct cq_id chat;
    int64_t delivered, read;
    struct cq_span except; /* see chat_row; borrowed from the rows */
    int32_t part;          /* where it stands in delivery.status: its partition … */
    int64_t next;          /* … and one past its offset */
};

/** Those that stand behind `next` of delivery.status, in the order of their places there. */
CQ_MUST_CHECK enum cq_status view_ticks_since(struct pg *db, struct cq_id user, const int64_t *next,
                                              int32_t n, int64_t limit, struct pg_result **ret);
struct tick_row tick_at(const struct pg_result *rows, int i);
