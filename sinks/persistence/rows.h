/* SPDX-License-Identifier: MIT */
/*
 * sinks/persistence/rows.h - events as rows of the view (pure). Rows about a chat begin with its
 * part (lib/base/id.h), as their keys do.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/idmap.h"
#include "schemas/limits.h"
#include "schemas/records.gen.h"

enum {
    ROWS_MESSAGES = 2048,
    ROWS_CHATS = 2048,
    ROWS_MEMBERS = 8192,
    ROWS_OPS = 4096,
    ROWS_USERS = 2048,
    ROWS_DEVICES = 2048,
    ROWS_REJECTED = 2048,
    ROWS_MEDIA = 512,
    ROWS_CHANGES = 2048,
    ROWS_TALLIES = 8192,
    ROWS_HIDDEN = 4096,
    ROWS_PINS = 256, /* a statement each */
    ROWS_STARS = 2048,
    ROWS_INVITES = 1024,
    ROWS_LINES = 2048,
    ROWS_ENDINGS = 2048,
    ROWS_LINES_BYTES = 8 * 1024 * 1024, /* a line is a frame: of everybody in a group 80 KB */
    ROWS_TEXTS_BYTES = 2 * 1024 * 1024,
    ROWS_POLLS = 256,
    ROWS_VOTES = 2048,
    ROWS_TARGETS = ROWS_CHANGES + ROWS_HIDDEN + ROWS_PINS + ROWS_STARS,
    ROWS_CHANGE_MAX =
        LIMIT_GROUP_MEMBERS + 2, /* ops of one change of a group: everybody, and the heir */
};

/** A change of rows that exist already, in the order of the log. */
struct row_op {
    enum row_op_kind {
        OP_LEAVE,
        OP_ROLE,
        OP_DEVICE_GONE,
        OP_USER_GONE,
        OP_MUTE,
        OP_PUSH,
        OP_PUSH_GONE,
        OP_ABOUT,
        OP_PICTURE,
        OP_SETTING,
        OP_RETURN,
        OP_BLOCK,
        OP_UNBLOCK,
        OP_MARKS,
        OP_INVITE_USED,
        OP_INVITE_ENDED,
        OP_REQUEST,
        OP_REQUEST_ENDED,
        OP_LET_IN
    } kind;
    struct cq_id chat,
        user; /* OP_DEVICE_GONE, OP_PUSH_GONE: user is the device; OP_INVITE_…: the link */
    struct cq_id peer; /* OP_BLOCK; OP_REQUEST: the link */
    struct cq_id by;   /* OP_REQUEST: who had made it */
    int32_t part;      /* of the chat: OP_LEAVE, OP_ROLE, OP_LET_IN, OP_RETURN */
    int64_t seq;       /* or the time; of what a user has set, the source as a seq */
    int64_t until_ms;  /* OP_MUTE, OP_REQUEST */
    int64_t at_ms;     /* OP_LEAVE, OP_BLOCK, OP_UNBLOCK, OP_REQUEST */
    int32_t role;
    const struct push_target *push;  /* OP_PUSH; borrowed */
    struct cq_span about;            /* OP_ABOUT; borrowed */
    struct cq_id picture;            /* OP_PICTURE; zero: none */
    int32_t setting, value;          /* OP_SETTING */
    struct chat_marks_changed marks; /* OP_MARKS */
};

/** What view.settings has of a user: whom he shows what, an enum audience; and 1 where his reads are
 * hidden. */
enum { SETTING_LAST_SEEN, SETTING_PICTURE, SETTING_ABOUT, SETTING_HIDES_READS, SETTING_N };

/* ---- tables that rows are only put into ----------------------------------------------- */

/*
 * Such a table is its columns: X(row, number, type in SQL, member of the row, column), the first
 * by FIRST. Its row is made of them here, its statement in tables.c: what is there already stays.
 */
#define ROWS_COLUMNS_chat_names(FIRST, X, row) \
    FIRST(row, 1, int4, part, "part")          \
    X(row, 2, uuid, chat, "chat_id")           \
    X(row, 3, int8, seq, "seq")                \
    X(row, 4, text, name, "name")

#define ROWS_COLUMNS_members(FIRST, X, row)   \
    FIRST(row, 1, int4, part, "part")         \
    X(row, 2, uuid, chat, "chat_id")          \
    X(row, 3, uuid, user, "user_id")          \
    X(row, 4, int8, joined_seq, "joined_seq") \
    X(row, 5, int4, role, "role")             \
    X(row, 6, uuid, invited_by, "invited_by")

#define ROWS_COLUMNS_invites(FIRST, X, row)   \
    FIRST(row, 1, int4, part, "part")         \
    X(row, 2, uuid, chat, "chat_id")          \
    X(row, 3, uuid, invite, "invite_id")      \
    X(row, 4, uuid, hash, "hash")             \
    X(row, 5, uuid, by, "by_user")            \
    X(row, 6, text, client, "client_id")      \
    X(row, 7, int8, seq, "made_seq")          \
    X(row, 8, int8, made_ms, "made_at")       \
    X(row, 9, int8, expires_ms, "expires_at") \
    X(row, 10, int4, most, "most")            \
    X(row, 11, int4, approval, "approval")

#define ROWS_COLUMNS_lines(FIRST, X, row) \
    FIRST(row, 1, int4, part, "part")     \
    X(row, 2, uuid, chat, "chat_id")      \
    X(row, 3, int8, seq, "seq")           \
    X(row, 4, text, line, "line")

#define ROWS_COLUMNS_endings(FIRST, X, row) \
    FIRST(row, 1, int4, part, "part")       \
    X(row, 2, uuid, chat, "chat_id")        \
    X(row, 3, uuid, user, "user_id")        \
    X(row, 4, int8, seq, "seq")

#define ROWS_COLUMNS_devices(FIRST, X, row)  \
    FIRST(row, 1, uuid, device, "device_id") \
    X(row, 2, uuid, user, "user_id")         \
    X(row, 3, text, platform, "platform")    \
    X(row, 4, text, label, "label")          \
    X(row, 5, int8, added_ms, "added_at")

#define ROWS_COLUMNS_rejected(FIRST, X, row)               \
    FIRST(row, 1, int4, source_partition, "src_partition") \
    X(row, 2, int8, source_offset, "src_offset")           \
    X(row, 3, uuid, id, "id")                              \
    X(row, 4, uuid, chat, "chat_id")                       \
    X(row, 5, uuid, user, "user_id")                       \
    X(row, 6, text, client, "client_id")                   \
    X(row, 7, text, code, "code")                          \
    X(row, 8, int8, at_ms, "at_ms")

#define ROWS_COLUMNS_media_ends(FIRST, X, row) \
    FIRST(row, 1, uuid, media, "media_id")     \
    X(row, 2, uuid, user, "user_id")           \
    X(row, 3, int8, at_ms, "deleted_at")       \
    X(row, 4, int8, seq, "seq")

#define ROWS_COLUMNS_media(FIRST, X, row)         \
    FIRST(row, 1, uuid, media, "media_id")        \
    X(row, 2, uuid, owner, "owner_id")            \
    X(row, 3, uuid, chat, "chat_id")              \
    X(row, 4, int4, type, "type")                 \
    X(row, 5, text, content_type, "content_type") \
    X(row, 6, bytea, sha256, "sha256")            \
    X(row, 7, text, name, "name")                 \
    X(row, 8, text, key, "key")                   \
    X(row, 9, int8, size, "size")                 \
    X(row, 10, int8, ready_ms, "ready_at")        \
    X(row, 11, int8, seq, "seq")

/* The C type of each type in SQL. */
#define ROWS_C_int4 int32_t
#define ROWS_C_int8 int64_t
#define ROWS_C_uuid struct cq_id
#define ROWS_C_text struct cq_span
#define ROWS_C_bytea struct cq_span
#define ROWS_MEMBER_(row, number, type, member, column) ROWS_C_##type member;
#define ROWS_STRUCT_(table, row, max)                         \
    struct row {                                              \
        ROWS_COLUMNS_##table(ROWS_MEMBER_, ROWS_MEMBER_, row) \
    };

/* ---- a struct a table; its columns and its statement are in tables.c ------------------ */

/* Of a message, or of an edit. */
struct preview_row {
    struct cq_span text; /* as members of JSON */
    struct cq_id media;
    bool no_text, no_media; /* NULL */
};

struct message_row {
    int32_t part, type;
    struct cq_id chat, id, sender, media;
    int64_t seq, sent_ms;
    struct cq_span client, content_type, content, key;
    bool no_key, no_media; /* `key`, `media` is NULL */
    struct cq_id reply;
    int64_t reply_seq;
    bool no_reply;           /* `reply`, `reply_seq` are NULL */
    struct cq_span mentions; /* ids, one behind the other */
    int32_t forwarded;       /* how often; 0: not */
    int32_t own;             /* 1: also numbered among its sender's, as in a direct chat */
    int64_t expires_ms;
    bool stays;              /* `expires_ms` is NULL */
    struct cq_span contents; /* what it shows beside its text, as members of JSON */
    bool no_contents;        /* `contents` is NULL */
    struct preview_row shown;
};

/* What a message is to a user: his own, which only groups count here, or one that mentions him. */
enum { TALLY_OWN, TALLY_MENTION };

struct tally_row {
    int32_t part, kind;
    struct cq_id chat, user;
    int64_t seq;
};

struct chat_row {
    int32_t part, kind;
    struct cq_id chat, created_by;
    struct cq_span name;
    int64_t name_seq, created_ms, last_seq, changed_seq;
    bool has_both; /* the members of a direct chat are among the rows; not a column */
    int64_t timer_s, timer_seq;
    struct cq_span description;
    int64_t description_seq;
    int32_t send_by, info_by, add_by; /* enum right_holders; of a group */
    int64_t rights_seq;
    struct cq_id picture, picture_by;
    bool no_picture; /* these two are NULL */
    int64_t picture_seq;
    int64_t line_seq;
    int64_t requested_seq;
};

struct user_row {
    struct cq_id user;
    struct cq_span name;
    int64_t registered_ms;
    int64_t source; /* as a seq */
};

/* Of MediaProcessed. */
struct media_found_row {
    struct cq_id media;
    int32_t width, height;
    int64_t duration_ms, seq;
    struct cq_span thumbnail_key, fault;
};

/* Of what changes a message, whose row stands or is in `messages`; its statements are in changes.c. */
struct change_row {
    int32_t part;
    struct cq_id chat, message, by;
    int64_t target; /* seq of the message */
    int64_t seq, at_ms;
    int64_t edited_seq, deleted_seq, reacted_seq; /* of these `seq`, as the change is; else 0 */
    struct cq_span content_type, content, key;
    struct cq_span reaction;
    bool no_key; /* `key` is NULL */
    struct preview_row shown;
    struct cq_id edit; /* the id of the edit, under which it may come again; zero: it is none */
};

/* A message that `user` hides; its statements are in hidden.c. */
struct hidden_row {
    int32_t part;
    struct cq_id chat, user, message;
    int64_t target; /* seq of the message */
    int64_t seq;
};

/* A pin of a message, or its end; its statement is in pins.c. */
struct pin_row {
    int32_t part;
    struct cq_id chat, by, message;
    int64_t target; /* seq of the message */
    int64_t seq, at_ms;
    bool pinned;
};

/* A message that `user` starred, or does not any more; its statements are in pins.c. */
struct star_row {
    int32_t part, starred;
    struct cq_id chat, user, message;
    int64_t target; /* seq of the message */
    int64_t seq, at_ms;
};

/* What a message asks; its statement is in polls.c. An option that is not there is empty. */
struct poll_row {
    int32_t part, choices, anonymous;
    struct cq_id chat, message;
    int64_t target; /* seq of the message */
    struct cq_span options[LIMIT_POLL_OPTIONS];
    int64_t closes_ms;
    bool stays_open; /* `closes_ms` is NULL */
};

/* A vote in a poll, or its end; its statements are in polls.c. */
struct vote_row {
    int32_t part, is_end, chosen, chosen_n;
    struct cq_id chat, user, message;
    int64_t target;     /* seq of the message */
    int64_t seq, at_ms; /* the log's time */
};

/* A message that a fact names by id and seq; its statement is in rejected.c. */
struct target_row {
    int32_t part, source_partition;
    struct cq_id chat, message, by, change;
    int64_t source_offset, at_ms;
    int64_t target; /* seq of the message */
    struct cq_span client;
};

/* The tables, in the order in which they are written: X(table of the view, its row, how many at
 * most), and PUT for one that rows are only put into. A table of this list without its columns
 * above does not compile, nor does one without columns and statement in tables.c. */
#define ROWS_TABLES(X, PUT)                    \
    X(messages, message_row, ROWS_MESSAGES)    \
    X(chats, chat_row, ROWS_CHATS)             \
    PUT(chat_names, chat_name_row, ROWS_CHATS) \
    PUT(members, member_row, ROWS_MEMBERS)     \
    PUT(invites, invite_row, ROWS_INVITES)     \
    PUT(lines, line_row, ROWS_LINES)           \
    PUT(endings, ending_row, ROWS_ENDINGS)     \
    X(tallies, tally_row, ROWS_TALLIES)        \
    X(users, user_row, ROWS_USERS)             \
    PUT(devices, device_row, ROWS_DEVICES)     \
    PUT(media_ends, media_end_row, ROWS_MEDIA) \
    PUT(rejected, rejected_row, ROWS_REJECTED) \
    PUT(media, media_row, ROWS_MEDIA)          \
    X(media_found, media_found_row, ROWS_MEDIA)

#define ROWS_NONE_(table, row, max)
ROWS_TABLES(ROWS_NONE_, ROWS_STRUCT_)

/** Everything one transaction writes; spans and ids are borrowed from the records of the turn. */
struct rows {
#define ROWS_TABLE_(table, row, max) \
    struct {                         \
        size_t n;                    \
        struct row v[max];           \
    } table;
    ROWS_TABLES(ROWS_TABLE_, ROWS_TABLE_)
#undef ROWS_TABLE_
    struct cq_arena *arena;        /* of lines */
    struct cq_arena *texts;        /* owned: what is rendered for these rows */
    struct idmap chat_at, user_at; /* → index; a chat, and a user, is one row */
    size_t ops_n;
    struct row_op ops[ROWS_OPS]; /* after all rows */
    size_t changes_n, edits_n, deletions_n, reactions_n;
    struct change_row changes[ROWS_CHANGES]; /* after these, since they ask who was there */
    size_t hidden_n;
    struct hidden_row hidden[ROWS_HIDDEN]; /* after messages */
    size_t pins_n, stars_n;
    struct pin_row pins[ROWS_PINS];    /* after changes */
    struct star_row stars[ROWS_STARS]; /* after messages, before changes and what is hidden */
    size_t polls_n, votes_n, ends_n;
    struct poll_row polls[ROWS_POLLS]; /* after messages, before changes */
    struct vote_row votes[ROWS_VOTES]; /* after polls and changes */
    size_t targets_n;
    struct target_row targets[ROWS_TARGETS]; /* after messages */
};

struct rows *rows_new(void); /* NULL without memory; owned by caller */
void rows_free(struct rows *rows);
void rows_clear(struct rows *rows);

/** One operation more, as it is. CQ_AGAIN: the table is full. For the mappings of one fact. */
CQ_MUST_CHECK enum cq_status row_op_add(struct rows *rows, struct row_op op);

/** Map one fact. CQ_OK; CQ_AGAIN when some table is full: write what is there first. */
CQ_MUST_CHECK enum cq_status rows_chat_event(struct rows *rows, const struct chat_event *event);
CQ_MUST_CHECK enum cq_status rows_user_event(struct rows *rows, const struct user_event *event);
/** `target` is borrowed until the rows are written. */
CQ_MUST_CHECK enum cq_status rows_push_target(struct rows *rows, const struct push_target *target);

/** A tombstone; CQ_POISON when the key is none of ours. */
CQ_MUST_CHECK enum cq_status rows_push_gone(struct rows *rows, struct cq_span key);
CQ_MUST_CHECK enum cq_status rows_rejection(struct rows *rows, const struct rejection *rejection);
