/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/media.h - files: uploads on their way (schema media), and what the view knows of those
 * that are ready. Shared by the media*.c files; worker threads.
 */
#pragma once

#include "edge/rest/rest.h"
#include "lib/base/hash.h"

enum {
    MEDIA_TYPE_MAX = 127,
    MEDIA_LINK_S = 1800, /* a link of ours lives this long at least */
    MEDIA_LINK_STEP_S =
        3600, /* its end is a multiple of this, so that the same link is given for a while */
    MEDIA_DIRECT_PUT_S = 900, /* a link of the store's to upload with */
    MEDIA_LEFT_LINK_S = 60,   /* a link of ours for somebody who is not in the chat any more */
    MEDIA_LINK_KEEP_S = 30,   /* how long an answer to a link may be kept without asking again */
};

/** An upload that is not ready yet; spans live in the call's arena. */
struct upload {
    struct cq_id id, user, chat;
    enum message_type type;
    struct cq_span declared_type, name, memo, content_type;
    int64_t size, received;
    bool has_hash; /* sha256 is set: as declared, or, once stored, as it is */
    uint8_t sha256[32];
    struct sha256_state hash;     /* of what was received */
    char key[STORE_KEY_MAX];      /* where it is in the end */
    char incoming[STORE_KEY_MAX]; /* where a link leads to, */
    char proven[STORE_KEY_MAX];   /* and one that is good for these bytes only */
    int64_t links_until_ms; /* a link to `incoming` or `proven` may be good until then; 0: none */
    bool stored;
    bool fresh; /* the client is going to send it, whatever is here already */
};

/** What the view knows of a file that is ready. */
struct media {
    struct cq_id id;
    enum message_type type;
    struct cq_span content_type, name;
    uint8_t sha256[32];
    int64_t size, width, height, duration_ms;
    char key[STORE_KEY_MAX], thumbnail[STORE_KEY_MAX]; /* thumbnail "": none */
    bool is_now; /* the reader owns it, or is in a chat now where it is shown to him */
};

/** What a link of ours proves: this device of this user may GET the path, until then. */
struct media_proof {
    struct cq_id user, device;
    int64_t until_s;
    bool has_left; /* made for somebody who was not in the chat any more: any stay will do */
};

/* ---- media_rows.c --------------------------------------------------------------------- */

/** The keys that belong to an id. */
void upload_keys(struct upload *u);

/** Count against the day's quota and insert, in one. *ret_full: the quota is used up. */
CQ_MUST_CHECK enum cq_status upload_insert(struct call *c, struct pg *db, const struct upload *u,
                                           bool *ret_full);

/** In an open transaction, lock and read. *ret_found false when there is none of this user;
 * *ret_busy when another request has it. */
CQ_MUST_CHECK enum cq_status upload_lock(struct call *c, struct pg *db, struct cq_id id,
                                         struct upload *ret, bool *ret_found, bool *ret_busy);

/** The same without the lock. */
CQ_MUST_CHECK enum cq_status upload_read(struct call *c, struct pg *db, struct cq_id id,
                                         struct upload *ret, bool *ret_found);

/** Write what was received, its hash and memo. */
CQ_MUST_CHECK enum cq_status upload_moved(struct call *c, struct pg *db, const struct upload *u,
                                          struct cq_span memo);

/** It is whole and checked. From here on the role `media` brings it into the log, if nobody else
 * does: what it needs for that is written, too. */
CQ_MUST_CHECK enum cq_status upload_stored(struct call *c, struct pg *db, const struct upload *u,
                                           const struct chat_view *view);

/** There is no such upload any more. Where a link for it was handed out, its row stays for the role
 * `media`, which takes away what still comes by that link. */
CQ_MUST_CHECK enum cq_status upload_end(struct call *c, struct pg *db, const struct upload *u);

/** A file that is ready and that `user` may read. */
CQ_MUST_CHECK enum cq_status media_read(struct call *c, struct pg *db, struct cq_id id,
                                        struct cq_id user, struct media *ret, bool *ret_found);

/** The same bytes, among what `user` may read: nobody else's are told of. */
CQ_MUST_CHECK enum cq_status media_same(struct call *c, struct pg *db, const struct upload *u,
                                        struct media *ret, bool *ret_found);

/* ---- media.c -------------------------------------------------------------------------- */

/** Whether a user of this deployment can send files; else c has its reply. */
CQ_MUST_CHECK bool media_there(struct call *c);

/** Begin an upload: checks, quota, row. CALL_REPLY with c->status 0 when all is well: the caller
 * answers; or CALL_SUBMIT when the bytes are there already. */
enum call_next upload_begin(struct call *c, struct pg *db, struct upload *u);

/** What a fault of the store means for the client. */
enum call_next call_store(struct call *c, enum cq_status st);

/** Undo the open transaction and reply with what `next` says. */
enum call_next media_rollback(struct pg *db, enum call_next next);

/** The type under which bytes sniffed as `sniffed` may be sent as `type`; NULL: not at all. */
const char *media_allowed(enum message_type type, const char *sniffed);

/** Append the link of a route as a JSON string: `path` with the proof. */
void media_link(const struct call *c, struct cq_buf *out, const char *path,
                const struct media_proof *proof);

/** Whether the query has a proof for this path that we signed and that has not ended. Whether its
 * device is still logged in, and its user may still read, is to be asked of the database. */
CQ_MUST_CHECK bool media_link_good(struct call *c, const char *path, struct media_proof *ret);
