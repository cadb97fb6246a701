/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/uploads.h - uploads on their way: the table media.uploads.
 */
#pragma once

#include "edge/rest/view/chats.h"
#include "lib/base/hash.h"
#include "lib/store/store.h"

/** An upload that is not ready yet; spans live in an arena. */
struct upload {
    struct cq_id id, user, chat;
    enum message_type type;
    struct cq_span declared_type, name, memo, content_type;
    int64_t size, received;
    bool has_hash; /* sha256 is set: as declared, or, once stored, as it is */
    uint8_t sha256[32];
    struct sha256_state hash;     /* of what was received */
    char key[STORE_KEY_MAX];      /* where it is in the end */
    char incoming[STORE_KEY_MAX]; /* where it comes by a link */
    char proven[STORE_KEY_MAX];   /* where it comes by a link that takes these bytes only */
    int64_t links_until_ms; /* a link to `incoming` or `proven` may be good until then; 0: none */
    bool stored;
    bool fresh; /* the client is going to send it, whatever is here already */
};

/** The keys that belong to an id. */
void upload_keys(struct upload *upload);

/** Count it against the day's quota and insert it, in one transaction. `now_ms` is the wall
 * clock's. *ret_full: the quota is used up. */
CQ_MUST_CHECK enum cq_status upload_insert(struct pg *db, const struct upload *upload,
                                           int64_t daily_bytes, int64_t now_ms, bool *ret_full);

/** In an open transaction, lock and read. *ret_found false when there is none of this user;
 * *ret_busy when another request has it. */
CQ_MUST_CHECK enum cq_status upload_lock(struct pg *db, struct cq_arena *arena, struct cq_id id,
                                         struct cq_id user, struct upload *ret, bool *ret_found,
                                         bool *ret_busy);

/** The same without the lock. */
CQ_MUST_CHECK enum cq_status upload_read(struct pg *db, struct cq_arena *arena, struct cq_id id,
                                         struct cq_id user, struct upload *ret, bool *ret_found);

/** Write what was received, its hash and memo. */
CQ_MUST_CHECK enum cq_status upload_moved(struct pg *db, const struct upload *upload,
                                          int64_t now_ms, struct cq_span memo);

/** Note that it is whole and checked. From here on the role `media` brings it into the log, if
 * nobody else does: what it needs for that is written, too. */
CQ_MUST_CHECK enum cq_status upload_stored(struct pg *db, const struct upload *upload,
                                           struct cq_id device, int64_t now_ms,
                                           const struct chat_view *view);

/** End an upload: there is none any more. Where a link for it was handed out, its row stays for the
 * role `media`, which takes away what still comes by that link. */
CQ_MUST_CHECK enum cq_status upload_end(struct pg *db, const struct upload *upload, int64_t now_ms);
