/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/chat_columns.h - what a chat shows beside its name and members, one row each:
 * X(kind, name in JSON, member of struct chat_row, SQL). The SQL stands in the statements of
 * chats.c, and may use the macros there; edge/rest/render/chats.c writes the rest.
 *
 *     NUMBER   int64_t
 *     JSON     struct cq_span, JSON as PostgreSQL has made it; NULL: the chat has no such member
 */
#pragma once

/* Who has a right. */
#define HOLDERS(column) "(ARRAY['everyone', 'admins'])[" column " + 1]"

/* Of a group that the reader is in now, as is its description. */
#define RIGHTS                                                                             \
    "CASE WHEN c.kind = 1 AND p.left_seq IS NULL THEN json_build_object('send', " HOLDERS( \
        "c.send_by") ", 'info', " HOLDERS("c.info_by") ", 'add', " HOLDERS("c.add_by") ")::text END"

#define CHAT_COLUMNS(X)                                                                          \
    X(JSON, "description", description,                                                          \
      "CASE WHEN c.description <> '' AND p.left_seq IS NULL THEN to_json(c.description)::text "  \
      "END")                                                                                     \
    X(JSON, "picture", picture,                                                                  \
      "CASE WHEN c.picture_id IS NOT NULL AND p.left_seq IS NULL THEN "                          \
      "(SELECT to_json(view.picture_of_group(c.part, c.chat_id))::text) END")                    \
    X(JSON, "deleted", deleted,                                                                  \
      "CASE WHEN c.kind = 0 AND u.deleted_at IS NOT NULL THEN 'true' END")                       \
    X(JSON, "rights", rights, RIGHTS)                                                            \
    X(NUMBER, "lineSeq", line_seq,                                                               \
      "CASE WHEN p.left_seq IS NULL THEN c.line_seq WHEN c.kind = 1 THEN p.left_seq ELSE 0 END") \
    X(NUMBER, "unread", unread, UNREAD("false"))                                                 \
    X(NUMBER, "unreadMentions", mentioned, UNREAD("true"))                                       \
    X(NUMBER, "delivered", delivered, TICK("0"))                                                 \
    X(NUMBER, "read", read, "CASE WHEN " VIEW_SEES_READS("$1") " THEN " TICK("1") " ELSE 0 END") \
    X(JSON, "except", except,                                                                    \
      "CASE WHEN c.kind = 0 THEN view.except_for(c.part, c.chat_id, $1) END")                    \
    X(JSON, "requests", requests, REQUESTS)                                                      \
    X(JSON, "marks", marks, VIEW_MARKS("$1", "c.chat_id"))                                       \
    X(JSON, "pins", pins, PINS)

/* To who may add how many ask to be let in; of a group that nobody ever asked nothing. */
#define REQUESTS                                                                               \
    "CASE WHEN c.requested_seq <> 0 AND p.left_seq IS NULL AND (p.role <> 0 OR c.add_by = 0) " \
    "THEN (SELECT count(*)::text FROM view.requests r WHERE r.part = c.part "                  \
    "AND r.chat_id = c.chat_id AND " VIEW_REQUEST_OPEN("r") ") END"

/* The oldest first; of one that shows nothing its place alone. */
#define PINS                                                                                                \
    "CASE WHEN c.pinned_seq <> 0 AND p.left_seq IS NULL THEN (SELECT json_agg(CASE WHEN n.id IS NULL THEN " \
    "json_build_object('seq', n.seq, 'messageSeq', n.target) ELSE json_build_object('seq', n.seq, "         \
    "'messageId', n.id, 'messageSeq', n.target, 'by', n.by_user, 'at', n.at_ms) END "                       \
    "ORDER BY n.seq)::text FROM view.pins_for(c.part, c.chat_id, $1) n) END"
