/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/api/upload.h - an upload from its announcement to a file that is checked, in the order
 * in which it goes:
 *
 *   upload_check_form()   what is announced is allowed
 *   upload_admit()        by who may send it there
 *   upload_open()         it gets a row, within the quota of the day
 *   upload_hold()         each later request holds that row, in a transaction
 *   upload_verify()       the bytes are there, and are what was announced
 *
 * media_tus.c brings the bytes in pieces, media.c announces and completes. Each says CALL_GO_ON, or
 * the call has its reply.
 */
#pragma once

#include "edge/rest/server/call.h"
#include "edge/rest/view/uploads.h"

enum { MEDIA_DIRECT_PUT_S = 900 /* a link of the store's to upload with */ };

/** Where a file goes that is announced for no chat, such as the user's picture: the direct chat
 * with himself. */
struct cq_id upload_own_place(const struct call *call);

/** *ret: the chat, when the caller is in it now, or his own place; as chat_admit(). */
enum call_next upload_place_admit(struct call *call, struct pg *db, struct cq_id chat,
                                  struct chat_view *ret);

enum call_next upload_check_form(struct call *call, const struct upload *upload);

/** Gives it an id and its keys, too. *ret: its chat. */
enum call_next upload_admit(struct call *call, struct pg *db, struct upload *upload,
                            struct chat_view *ret);
enum call_next upload_open(struct call *call, struct pg *db, const struct upload *upload);

/** On CALL_GO_ON a transaction is open, which locks the row: pieces come one after the other,
 * whichever copy of edge-rest has them. End it with upload_release(), or by a COMMIT. */
enum call_next upload_hold(struct call *call, struct pg *db, struct cq_id id, struct upload *ret);

/** Undo the open transaction and say `next`. */
enum call_next upload_release(struct pg *db, enum call_next next);

/** Of a row that is held. On CALL_GO_ON it is stored and committed; otherwise the transaction is
 * over, too. */
enum call_next upload_verify(struct call *call, struct pg *db, struct upload *upload,
                             const struct chat_view *chat);

/** Under which path its pieces are sent, in the arena. */
struct cq_span upload_path(struct call *call, const struct upload *upload);
