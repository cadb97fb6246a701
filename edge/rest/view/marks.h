/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/marks.h - where chats stand in a user's own list.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/pg/pg.h"

/** What `reader` has marked of `chat`, both SQL: JSON, or NULL when he never did. */
#define VIEW_MARKS(reader, chat)                                                                                                                \
    "(SELECT json_strip_nulls(json_build_object('seq', e.seq, 'archived', e.archived, "                                                         \
    "'pinnedSeq', e.pinned_seq, 'markedUnread', e.unread, 'readSeq', e.read_seq, 'draft', e.draft, 'draftAfter', e.draft_after, 'mutedUntil', " \
    "e.muted_until))::text FROM view.marks_of(" reader ", " chat ") e)"

/** What decides whether a chat may be marked. */
struct marks_room {
    int64_t pinned_n; /* other chats of the user whose pins count */
    int64_t
        marked_n; /* other chats of which he has anything marked; at most LIMIT_MARKS are counted */
    int64_t read; /* seq up to which he has read this one */
    int64_t last; /* seq of what came last in it */
};

CQ_MUST_CHECK enum cq_status view_marks_room(struct pg *db, struct cq_id user, struct cq_id chat,
                                             struct marks_room *ret);

/** What `user` has marked of the chat, as JSON in the arena; {NULL,0}: he never did. */
CQ_MUST_CHECK enum cq_status view_marks(struct pg *db, struct cq_arena *arena, struct cq_id user,
                                        struct cq_id chat, struct cq_span *ret);

/** The place of the last fact about any of the user's marks and mutes; 0: there is none. */
CQ_MUST_CHECK enum cq_status view_marks_place(struct pg *db, struct cq_id user, int64_t *ret);

/** Chats whose marks changed behind the place `after`, in the order of their last facts; with 0 those of
 * which anything is marked. `*ret` is owned by the caller. */
CQ_MUST_CHECK enum cq_status view_marks_since(struct pg *db, struct cq_id user, int64_t after,
                                              int64_t limit, struct pg_result **ret);

struct marks_row {
    struct cq_id chat;
    int64_t place;
    struct cq_span marks; /* JSON, borrowed from the rows */
};

struct marks_row marks_at(const struct pg_result *rows, int i);
