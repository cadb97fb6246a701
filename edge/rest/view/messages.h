/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/messages.h - messages as one reader sees them, and who has one.
 */
#pragma once

#include "lib/pg/pg.h"
#include "schemas/records.gen.h"

/** In which partition the part of table `t` is, as a number from 0 on; `lows` has a value for each
 * partition. */
#define VIEW_PARTITION(t, lows) t ".part % cardinality(" lows "::int8[])"

/** Whether the reader is told what others have read; asked once a statement. */
#define VIEW_SEES_READS(reader) "(SELECT view.tells_reads(" reader "))"

/** Columns of a message m, in the order in which message_at() reads them; m is what view.message_for()
 * says, which decides what a reader may see. */
#define VIEW_MESSAGE_COLUMNS(reader)                                                                   \
    "m.id, m.chat_id, m.seq, m.sender_id, m.client_id, m.type, m.content, m.sent_at, "                 \
    "CASE WHEN (SELECT k.kind FROM view.chats k WHERE k.part = m.part AND k.chat_id = m.chat_id) = 0 " \
    "THEN (SELECT p.user_id FROM view.members p WHERE p.part = m.part AND p.chat_id = m.chat_id "      \
    "AND p.user_id <> m.sender_id LIMIT 1) END, "                                                      \
    "ticked.delivered_at, "                                                                            \
    "CASE WHEN " VIEW_SEES_READS(                                                                      \
        reader) " THEN ticked.seen_at END, "                                                           \
                "m.media_id, CASE WHEN m.media_id IS NOT NULL THEN "                                   \
                "view.media_json(m.media_id, m.sender_id) END, m.until, m.edited_seq, m.edited_at, "   \
                "m.deleted, m.deleted_seq, m.deleted_by, m.deleted_at, "                               \
                "m.reply_id, m.reply_seq, m.mentions, m.forwarded, m.reactions, m.my_reaction, "       \
                "m.my_reaction_seq, m.expires_at, m.gone, m.starred, "                                 \
                "view.contents_of(m.part, m.chat_id, m.seq, m.edited_seq, m.deleted OR m.gone <> 0), " \
                "CASE WHEN NOT m.deleted AND m.gone = 0 THEN (SELECT "                                 \
                "view.poll_for(q.part, q.chat_id, q.target, " reader ") FROM view.polls q "            \
                "WHERE q.part = m.part AND q.chat_id = m.chat_id AND q.target = m.seq) END"

/** What these columns want behind m in FROM: when all others had the message, and had read it. */
#define VIEW_MESSAGE_TICKED \
    "CROSS JOIN LATERAL view.ticked_at(m.part, m.chat_id, m.seq, m.sender_id) ticked "

/** How many columns these are: what a statement adds after them begins there. */
enum { VIEW_MESSAGE_COLUMNS_N = 32 };

/** Why a reader sees nothing of a message any more, as view.message_for() says it. */
enum message_gone { GONE_NOT, GONE_EXPIRED, GONE_HIDDEN };

/** Spans are borrowed from the rows. */
struct message_row {
    struct cq_id id, chat, sender;
    struct cq_id peer, media_id; /* zero: none */
    enum message_type type;
    struct cq_span client_id, content;
    struct cq_span media; /* what the file is, as JSON; {NULL,0}: nothing is known */
    int64_t seq, sent_at_ms;
    int64_t delivered_at_ms, seen_at_ms; /* 0: not yet, or after what the reader may know */
    int64_t edited_seq, edited_at_ms;    /* of the edit that `content` is of; 0: none */
    bool deleted;                        /* `content` is empty, and there is no file */
    struct cq_id deleted_by;             /* these three are zero when the reader had left before */
    int64_t deleted_seq, deleted_at_ms;
    bool has_reply;
    struct quoted reply;          /* what it answers, whether or not the reader may see that */
    const struct cq_id *mentions; /* borrowed from the rows */
    size_t mentions_n;
    int32_t forwarded;          /* how often; 0: not */
    struct cq_span reactions;   /* counted, as JSON; {NULL,0}: none */
    struct cq_span my_reaction; /* empty: none, or taken back … */
    int64_t my_reaction_seq;    /* … at this seq; 0: there never was one */
    int64_t expires_at_ms;      /* 0: never */
    enum message_gone gone;     /* `content` is empty then, and there is no file */
    bool starred;               /* by the reader */
    struct cq_span contents; /* what it shows beside its text, as members of JSON; empty: nothing */
    struct cq_span poll;     /* JSON of view.poll_for(); {NULL,0}: it asks nothing */
};

struct message_row message_at(const struct pg_result *rows, int row, int col);

/** A message of a chat by its id, as `reader` may see it: one row, or none. `*ret` is owned by the caller,
 * here and below. */
CQ_MUST_CHECK enum cq_status view_message(struct pg *db, struct cq_id chat, struct cq_id id,
                                          struct cq_id reader, struct pg_result **ret);

/** Whether row 0 of view_message() was sent as `want`: all that others see of it, as processors/chat
 * compares them. Of one that was deleted, or is gone, nobody knows any more: it counts as such. */
bool message_was(const struct pg_result *rows, const struct message_sent *want);

/** What the view knows of an edit. */
enum edit_known {
    EDIT_UNKNOWN,
    EDIT_SAME,  /* it was made, whether or not a later one has overtaken it */
    EDIT_OTHER, /* its id stands for another content */
};

/** Whether a message has been edited under the id `edit` of change_id(), and to `content` and `preview` (NULL: none). Of a message that
 * was deleted, or whose time is over, nothing is known. */
CQ_MUST_CHECK enum cq_status view_edit(struct pg *db, struct cq_id chat, struct cq_id message,
                                       struct cq_id edit, struct cq_span content,
                                       const struct preview *preview, enum edit_known *ret);

/** Where messages of a chat are: a row each, in the order of `ids`; of what `reader` may not see, an empty one. */
CQ_MUST_CHECK enum cq_status view_places(struct pg *db, struct cq_id chat, const struct cq_id *ids,
                                         size_t n, struct cq_id reader, struct pg_result **ret);

struct place_row {
    int64_t seq; /* 0: there is none for the reader */
    bool gone;   /* nothing of it is to be seen any more */
};
struct place_row place_at(const struct pg_result *rows, int i);

/** How many messages of a chat `user` hid, up to `most`. */
CQ_MUST_CHECK enum cq_status view_count_hidden(struct pg *db, struct cq_id chat, struct cq_id user,
                                               int64_t most, int64_t *ret);

/** A page of what `user` may read of a chat: what lies between the first joining and the last
 * leaving. */
struct history_ask {
    struct cq_id chat, user;
    int64_t after, before; /* seqs, both outside of it */
    int64_t limit, bytes;  /* rows, and bytes of content that end it */
    bool forward;          /* from `after` on; otherwise from `before` back */
};

CQ_MUST_CHECK enum cq_status view_history(struct pg *db, const struct history_ask *ask,
                                          struct pg_result **ret);

/** How many there would be without `bytes`, up to one more than the page. */
int64_t history_found(const struct pg_result *rows);

struct receipt_row {
    struct cq_id user;
    bool delivered, read;
    int64_t delivered_at_ms, read_at_ms; /* 0: not yet, or nobody knows when */
};

/** Where a message of this sender is. *ret_found false: there is none that he still sees. */
CQ_MUST_CHECK enum cq_status view_sent_message(struct pg *db, struct cq_id id, struct cq_id sender,
                                               struct cq_id *ret_chat, int64_t *ret_seq,
                                               bool *ret_found);

/** Who has it, as its sender may know. */
CQ_MUST_CHECK enum cq_status view_receipts(struct pg *db, struct cq_id chat, int64_t seq,
                                           struct cq_id sender, struct pg_result **ret);
struct receipt_row receipt_at(const struct pg_result *rows, int i);
