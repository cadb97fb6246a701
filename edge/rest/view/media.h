/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/view/media.h - what the view knows of files that are ready.
 */
#pragma once

#include "lib/base/arena.h"
#include "lib/pg/pg.h"
#include "lib/store/store.h"
#include "schemas/records.gen.h"

enum { MEDIA_TYPE_MAX = 127 }; /* bytes of a media type */

/** A file; spans live in an arena. */
struct media {
    struct cq_id id;
    enum message_type type;
    struct cq_span content_type, name;
    uint8_t sha256[32];
    int64_t size, width, height, duration_ms;
    char key[STORE_KEY_MAX], thumbnail[STORE_KEY_MAX]; /* thumbnail "": none */
    bool is_now;  /* the reader owns it, or is in a chat now where it is shown to him, or sees it as
                    somebody's picture */
    bool is_gone; /* its owner took it away */
};

/** A file that is ready and that `user` may read: his own, one that a message shows him, or the
 * picture of somebody whom he may know (view_users_known()). */
CQ_MUST_CHECK enum cq_status media_read(struct pg *db, struct cq_arena *arena, struct cq_id id,
                                        struct cq_id user, int64_t now_ms, struct media *ret,
                                        bool *ret_found);

/** A file of the same bytes among those that `user` may read. It says nothing of any other file. */
CQ_MUST_CHECK enum cq_status media_same(struct pg *db, struct cq_arena *arena, struct cq_id user,
                                        const uint8_t sha256[32], int64_t size, struct media *ret,
                                        bool *ret_found);

/** Whether the file is this user's own, there, and an image: only then it can be his picture. */
CQ_MUST_CHECK enum cq_status media_is_own_image(struct pg *db, struct cq_id media,
                                                struct cq_id user, bool *ret);

/** A file of this user's own: only such a one a message of his may show. */
struct media_own {
    struct cq_id chat; /* where it was uploaded */
    char key[STORE_KEY_MAX];
    bool is_gone; /* he took it away */
};

CQ_MUST_CHECK enum cq_status media_own(struct pg *db, struct cq_id media, struct cq_id user,
                                       struct media_own *ret, bool *ret_found);
