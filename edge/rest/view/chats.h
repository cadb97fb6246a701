/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/chats.h - chats as one user sees them: whether he is in a chat, one chat, a page
 * of the list, a page of a sync; and what became of what he asked of them.
 */
#pragma once

#include "edge/rest/view/chat_columns.h"
#include "edge/rest/view/marks.h"
#include "edge/rest/view/messages.h"
#include "edge/rest/view/requests.h"
#include "lib/base/arena.h"

/* ---- who is in it --------------------------------------------------------------------- */

struct chat_view {
    struct cq_id id;
    bool is_group;
    bool has_row; /* false: a direct chat that nobody wrote in yet */
    bool present; /* still a member */
    bool blocked; /* a direct chat that the user is not in, since he blocks the other */
    int64_t role; /* enum member_role */
    struct cq_id peer;
};

/** The chat as `user` may see it. *ret_there is false when there is none, or when the user never
 * was in it. */
CQ_MUST_CHECK enum cq_status view_chat(struct pg *db, struct cq_id chat, struct cq_id user,
                                       struct chat_view *ret, bool *ret_there);

/** Schema auth remembers whom a user opened a chat with, before the log knows of it. */
CQ_MUST_CHECK enum cq_status view_pair_opened(struct pg *db, struct cq_id chat, struct cq_id user,
                                              struct cq_id peer, int64_t at_ms);

/* ---- what became of a write ----------------------------------------------------------- */

/** The code with which the action at (partition, offset) was rejected, in the arena; {NULL,0}: it
 * was not, or not yet. */
CQ_MUST_CHECK enum cq_status view_rejection(struct pg *db, struct cq_arena *arena,
                                            int32_t partition, int64_t offset, struct cq_span *ret);

/** What the view says of a user once a change of members is applied: a role, or one of these. */
enum { SHOWN_ABSENT = -1, SHOWN_PRESENT = -2 };

/** Whether the view shows of each of the users what `shown` has, or that he came or went at `seq` or
 * later: one statement for all of them. */
CQ_MUST_CHECK enum cq_status view_members_shown(struct pg *db, struct cq_id chat,
                                                const struct cq_id *users, const int64_t *shown,
                                                size_t n, int64_t seq, bool *ret);

/** Whether a group was given a name at `seq`, whatever its name is now. */
CQ_MUST_CHECK enum cq_status view_name_given(struct pg *db, struct cq_id chat, int64_t seq,
                                             bool *ret);

CQ_MUST_CHECK enum cq_status view_timer_shown(struct pg *db, struct cq_id chat, int64_t seconds,
                                              bool *ret);

/** Whether the timer was set at `seq` or later. */
CQ_MUST_CHECK enum cq_status view_timer_set(struct pg *db, struct cq_id chat, int64_t seq,
                                            bool *ret);

/** The same of what a group says of itself, and of its rights. */
CQ_MUST_CHECK enum cq_status view_description_set(struct pg *db, struct cq_id chat, int64_t seq,
                                                  bool *ret);
CQ_MUST_CHECK enum cq_status view_picture_set(struct pg *db, struct cq_id chat, int64_t seq,
                                              bool *ret);
CQ_MUST_CHECK enum cq_status view_rights_set(struct pg *db, struct cq_id chat, int64_t seq,
                                             bool *ret);

/* ---- rows ----------------------------------------------------------------------------- */

#define CHAT_NUMBER_(member) int64_t member;
#define CHAT_JSON_(member) struct cq_span member;
#define CHAT_MEMBER_(kind, name, member, sql) CHAT_##kind##_(member)

/** Spans are borrowed from the rows. */
struct chat_row {
    struct cq_id id, peer; /* peer: of a direct chat; zero: not known */
    bool is_group, present;
    enum member_role role;
    struct cq_span name;
    int64_t my_delivered, my_read; /* seqs */
    int64_t muted_until_ms;
    int64_t timer_s; /* how long messages stay; 0: for good */
    CHAT_COLUMNS(
        CHAT_MEMBER_) /* seqs, and how many; `except`: what ticks say nothing of; of groups */
    int32_t part;
    int64_t at; /* its place in the page: ms in the list, a seq among changes */
    bool has_message;
    struct message_row message; /* the last one */
};

struct chat_row chat_at(const struct pg_result *rows, int i);

/** One row; none when the user never was in the chat. `*ret` is owned by the caller, here and
 * below. */
CQ_MUST_CHECK enum cq_status view_chat_row(struct pg *db, struct cq_id user, struct cq_id chat,
                                           struct pg_result **ret);

/** Who is in it now; of a direct chat both, whoever blocks whom. */
struct member_row {
    struct cq_id user;
    struct cq_span name;
    enum member_role role;
    struct cq_id invited_by; /* whose link he came by; zero: none */
};

CQ_MUST_CHECK enum cq_status view_chat_members(struct pg *db, struct cq_id chat,
                                               struct pg_result **ret);
struct member_row member_at(const struct pg_result *rows, int i);

/** Where a page of the list begins: behind the row of (at, chat). */
struct chat_place {
    int64_t at;
    struct cq_id chat;
};

/** Chats with messages or members, the latest first; `behind` NULL: from the beginning. */
CQ_MUST_CHECK enum cq_status view_chats_latest(struct pg *db, struct cq_id user, int64_t limit,
                                               const struct chat_place *behind,
                                               struct pg_result **ret);

/** The chats that he pinned, the last one first; LIMIT_PINS at most. */
CQ_MUST_CHECK enum cq_status view_chats_pinned(struct pg *db, struct cq_id user,
                                               struct pg_result **ret);

/** Direct chats that the user opened and nobody wrote in. */
CQ_MUST_CHECK enum cq_status view_chats_opened(struct pg *db, struct cq_id user, int64_t limit,
                                               const struct chat_place *behind,
                                               struct pg_result **ret);

struct opened_row {
    struct cq_id chat, peer;
    struct cq_span name;
    int64_t at;
    struct cq_span marks; /* JSON; empty: there are none */
};

struct opened_row opened_at(const struct pg_result *rows, int i);

/** Chats that changed at or after `lows` (a seq for each of `n` partitions), in the order of
 * (partition, seq of the change). */
CQ_MUST_CHECK enum cq_status view_chats_changed(struct pg *db, struct cq_id user,
                                                const int64_t *lows, int32_t n, int64_t limit,
                                                struct pg_result **ret);
