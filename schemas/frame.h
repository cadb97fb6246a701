/* SPDX-License-Identifier: MIT */
/*
 * schemas/frame.h - the only renderer of what clients see on a socket (docs/protocol.md). A frame
 * is rendered once, without its opening brace and number, as `"t":"message",…}`; a gateway writes
 * `{"n":17,` in front.
 */
#pragma once

#include "lib/base/buf.h"
#include "schemas/records.gen.h"

/** `"t":"message",…}` for an accepted message: id, clientId, chatId, seq, from, peer (direct),
 * type, content, mediaId (with media), sentAt. */
void frame_message(struct cq_buf *out, const struct chat_event *e);

enum { FRAME_EXCERPT_MAX = 2048 };

/** What a push may show of a rendered message frame: `"type":…,"content":…}`, at most
 * FRAME_EXCERPT_MAX bytes, the content cut between code points and marked with an ellipsis. An
 * excerpt of an excerpt is the same. Appends nothing for what is no such frame. */
void frame_excerpt(struct cq_buf *out, struct cq_span frame);

/** `"t":"chat",…}` for GroupStarted (with members) and GroupNamed; `"t":"member",…}` for
 * MembershipChanged. */
void frame_chat(struct cq_buf *out, const struct chat_event *e);

/** `"t":"rejected",…}` */
void frame_rejected(struct cq_buf *out, const struct rejection *r);

/** `"t":"receipt_rejected",…}`: the receipt moved no cursor. */
void frame_receipt_rejected(struct cq_buf *out, const struct rejection *r);

/** `"t":"status",…}`: in `chat` everything up to these seqs is delivered to, read by all others. */
void frame_status(struct cq_buf *out, struct cq_id chat, int64_t delivered, int64_t read,
                  int64_t at_ms);

/** `"t":"read",…}`: this user read `chat` up to `seq` on another device. */
void frame_read(struct cq_buf *out, struct cq_id chat, int64_t seq, int64_t at_ms);

/** `"t":"media",…}`: what was found in a file (MediaProcessed). */
void frame_media(struct cq_buf *out, const struct chat_event *e);

/** `"t":"ready",…}`; `at` is a frontier's text. */
void frame_ready(struct cq_buf *out, struct cq_id session, struct cq_span at);

/** Lower-case wire word of an enum: "text", "image", …; "member", "admin", "owner"; "add",
 * "remove", "promote", "demote", "make_owner"; "" for a value out of range. */
const char *message_type_word(enum message_type t);
const char *member_role_word(enum member_role r);
const char *member_change_word(enum member_change_kind k);

/** Parse a wire word of a message type; false for an unknown one. */
CQ_MUST_CHECK bool message_type_parse(struct cq_span word, enum message_type *ret);
