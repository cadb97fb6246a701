/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/rest.h - what all of edge/rest shares: settings at start, the threads, the submits to
 * the log.
 */
#pragma once

#include "edge/auth/budgets.h"
#include "edge/rest/call.h"
#include "edge/rest/door.h"
#include "ingest/log_disk.h"
#include "lib/jwt/token.h"

struct workers;
struct waiters;
struct code_lane;

/** What concerns files. */
struct media_conf {
    struct store_conf store; /* where is "": there is none */
    const char *origin;      /* of its links; "" for none */
    int64_t max_bytes[MESSAGE_TYPE_N];
    int64_t daily_bytes, part_bytes;
    char piece_words[112]; /* what is said to a larger piece */
    int64_t link_s;        /* a link of the store's to download with lives that long at least */
    uint8_t link_key[32];
    int workers_n;
};

enum {
    /* a piece of the size we name and its head fill one buffer of h2o's: with a byte more it would
     * take one of twice the size */
    MEDIA_HEAD_ROOM = 8 * 1024,
};

/** The largest piece that clients are told of. */
static inline int64_t media_piece_most(const struct media_conf *m)
{
    return m->part_bytes - MEDIA_HEAD_ROOM;
}

/** Fixed at start; read by every thread. */
struct rest_conf {
    struct token_keys *keys;
    const char *database_url, *database_read_url; /* read: "" for the same */
    const char *brokers;
    const char *ws_url, *code_driver, *origins, *web_root, *ws_upstream;
    struct log_disk *log_disk; /* borrowed; of the loop thread */
    struct code_lane *codes;   /* NULL: codes are in the answer */
    struct auth_limits limits;
    int64_t rate_per_minute;
    int32_t partitions;
    int workers_n;
    struct media_conf media;
    struct door_conf door; /* all but who grants */
    struct address_ranges trusted;
    void (*tell_failed)(const struct call *c); /* loop thread; NULL: nobody is told */
};

/* ---- mailbox.c: calls handed from one thread to another ------------------------------- */

struct mailbox; /* any thread puts; one takes */

struct mailbox *mailbox_new(size_t max); /* NULL without memory */
void mailbox_free(struct mailbox *m);

/** False when it is full. */
CQ_MUST_CHECK bool mailbox_put(struct mailbox *m, struct call *c);

/** Everything there is, first in first out, linked by `next`; NULL for nothing. Never waits. */
struct call *mailbox_take_all(struct mailbox *m);

/** One, waiting until there is one or the box is closed (NULL). */
struct call *mailbox_take_wait(struct mailbox *m);
void mailbox_close(struct mailbox *m);

/** Readable when there is something (read 8 bytes off it first). */
int mailbox_fd(struct mailbox *m);

/* ---- workers.c: steps run here -------------------------------------------------------- */

/** `n` threads that take calls from `in`, run one step and put them to `done`; with `media` each
 * has a store. */
CQ_MUST_CHECK enum cq_status workers_start(const struct rest_conf *conf, int n, bool media,
                                           struct mailbox *in, struct mailbox *done,
                                           struct workers **ret);
void workers_stop(struct workers *w);

/* ---- applied.c: how far the view is, as told by NOTIFY -------------------------------- */

struct applied; /* one listener thread */

CQ_MUST_CHECK enum cq_status applied_start(const struct rest_conf *conf, struct applied **ret);
void applied_stop(struct applied *a);

/** One past the highest source applied, as far as is known. Any thread. */
int64_t applied_next(const struct applied *a, enum watched topic, int32_t partition);

/** The database answers. Any thread. */
bool applied_is_up(const struct applied *a);

/** The view was whole when it was last asked, about a second ago; true before that. Any thread. */
bool applied_is_whole(const struct applied *a);

/** Readable when something moved. */
int applied_fd(struct applied *a);

/* ---- routes.c ------------------------------------------------------------------------- */

enum {
    ROUTE_MEDIA = 1,  /* runs where a store is at hand */
    ROUTE_RAW = 2,    /* the body is no JSON, and may be as large as a part of a file */
    ROUTE_LINK = 4,   /* a signed link does in place of a token */
    ROUTE_FANOUT = 8, /* all members are told: fewer at once */
    ROUTE_LOGIN = 16, /* the way in: not while the doors are closed */
};

struct route {
    const char *method;
    const char *pattern; /* {} stands for an id */
    bool needs_token;
    call_fn *fn;
    const char *doc;
    unsigned flags;
};

/** The row for a method and path, ids into `ids`; NULL for none. */
const struct route *route_find(struct cq_span method, struct cq_span path, struct cq_id ids[2]);

enum { ROUTE_METHODS_MAX = 64 };

/** The methods that a path has, comma-separated with OPTIONS, as text of less than `cap` (at least
 * ROUTE_METHODS_MAX) bytes; "" when it is no route. */
void route_methods(struct cq_span path, char *out, size_t cap);

/* ---- handlers, one file a noun -------------------------------------------------------- */

call_fn handle_register, handle_login, handle_verify, handle_refresh, handle_me,
    handle_me_edit;                                                              /* accounts.c */
call_fn handle_lookup;                                                           /* contacts.c */
call_fn handle_logout, handle_devices, handle_device_end;                        /* devices.c */
call_fn handle_chat_make, handle_chats, handle_chat, handle_chat_rename;         /* chats.c */
call_fn handle_members_add, handle_member_remove, handle_member_role;            /* members.c */
call_fn handle_message_send, handle_history, handle_read, handle_receipts;       /* messages.c */
call_fn handle_sync;                                                             /* sync.c */
call_fn handle_media_create, handle_media_complete, handle_media_link;           /* media.c */
call_fn handle_tus_create, handle_tus_head, handle_tus_patch, handle_tus_delete; /* media_tus.c */
call_fn handle_media_get, handle_media_thumbnail;                                /* media_get.c */
call_fn handle_push_set, handle_push_drop, handle_mute_set, handle_mute_drop;    /* push.c */
call_fn handle_config;                                                           /* accounts.c */

/** Submit that the device is ended, then step 1, which has to revoke it: what the log does not know
 * is not over for the sockets. (devices.c) */
enum call_next unlink_device(struct call *c, struct cq_id user, struct cq_id device,
                             const char *reason);

/* ---- views.c: what handlers read ------------------------------------------------------ */

struct chat_view {
    struct cq_id id;
    bool is_group;
    bool has_row; /* false: a direct chat that nobody wrote in yet */
    bool present; /* still a member */
    int64_t role; /* enum member_role */
    struct cq_id peer;
};

/** The chat as `user` may see it; *ret_there false when there is none, or the user never was in it.
 */
CQ_MUST_CHECK enum cq_status view_chat(struct pg *db, struct cq_id chat, struct cq_id user,
                                       struct chat_view *ret, bool *ret_there);

/** Code with which the action at (partition, offset) was rejected, in the arena; {NULL,0}: not
 * (yet). */
CQ_MUST_CHECK enum cq_status view_rejection(struct call *c, struct pg *db,
                                            const struct call_submit *s, struct cq_span *ret);

/** A page of an answer ends behind the row that takes it past this; a row is at most 200 KB. */
enum { REST_PAGE_BYTES = 1024 * 1024 };

/** Up to when, in ms, somebody of the stay `s` may know who has what; null: without an end. */
#define VIEW_UNTIL(s) "CASE WHEN " s ".left_seq IS NOT NULL THEN coalesce(" s ".left_at, 0) END"

/** Columns of a message m, in the order in which view_message reads them; m has those of
 * view.messages and `until`, as VIEW_UNTIL has it. */
#define VIEW_MESSAGE_COLUMNS                                                                       \
    "m.id, m.chat_id, m.seq, m.sender_id, m.client_id, m.type, m.content, m.sent_at, "             \
    "(SELECT p.user_id FROM view.chats k JOIN view.members p USING (part, chat_id) "               \
    "WHERE k.part = m.part AND k.chat_id = m.chat_id AND k.kind = 0 AND p.user_id <> m.sender_id " \
    "LIMIT 1), "                                                                                   \
    "view.delivered_at(m.part, m.chat_id, m.seq, m.sender_id, 0::smallint), "                      \
    "view.delivered_at(m.part, m.chat_id, m.seq, m.sender_id, 1::smallint), "                      \
    "m.media_id, CASE WHEN m.media_id IS NOT NULL THEN "                                           \
    "view.media_json(m.media_id, m.sender_id) END, m.until"

/** How many columns these are: what a statement adds after them begins there. */
enum { VIEW_MESSAGE_COLUMNS_N = 14 };

/** One message as JSON from the columns at `col` and after. */
void view_message(struct cq_buf *out, const struct pg_result *rows, int row, int col);

enum view_found { VIEW_ABSENT, VIEW_SAME, VIEW_OTHER };

/** A message of a chat by its id: not (yet) in the view, what `want` says, or another one that has
 * the id because the same client id was used for it. Appends its JSON to c->out. */
CQ_MUST_CHECK enum cq_status view_message_by_id(struct call *c, struct pg *db, struct cq_id chat,
                                                struct cq_id id, const struct message_sent *want,
                                                enum view_found *ret);

/** Whether the media is ready and this user's own: only then a message may show it. */
CQ_MUST_CHECK enum cq_status view_media_owned(struct pg *db, struct cq_id media, struct cq_id user,
                                              bool *ret);

/** How many of these ids are registered: from schema auth, which knows it before the view does. */
CQ_MUST_CHECK enum cq_status view_count_users(struct pg *db, const struct cq_id *ids, size_t n,
                                              int64_t *ret);
