/* SPDX-License-Identifier: MIT */
/*
 * ingest/validate.h - the bounds an action must keep to enter the log (pure).
 */
#pragma once

#include "schemas/records.gen.h"

/** NULL when `action` may enter, else a static text: the field that breaks a bound, and what it may
 * be. The schemas say the bounds of each field (schemas/bounds.h); here is what concerns several. */
const char *validate_chat(const struct chat_action *action);
const char *validate_user(const struct user_action *action);
const char *validate_push(const struct push_address *address);

/** What a text in form "name", or "label", of a schema has to be: no character that acts on its
 * neighbours, and in a name one that is seen. `span` is UTF-8. */
bool display_characters_good(struct cq_span span);
bool label_characters_good(struct cq_span span);

/** NULL when the message asks nothing, or as a poll may: it is text, its options are each there once. Else what is
 * wrong, a static text. */
const char *poll_refusal(const struct message_sent *message);

/** How often a message was forwarded that is forwarded once more: counted up to a limit. Display only.
 */
int32_t message_forwarded(int64_t before);

/** 1 to LIMIT_CLIENT_ID_BYTES printable ASCII characters without spaces. */
bool client_id_good(struct cq_span span);

/** A name that others see, of a user or a group: valid UTF-8 of 1 to LIMIT_NAME_CHARS code points
 * and at most LIMIT_NAME_BYTES bytes, with at least one visible character. No controls (C0,
 * DEL, C1), no line or paragraph separators, no direction embeddings, overrides or isolates. ZWJ
 * and ZWNJ only behind a character that they can join. */
bool display_name_good(struct cq_span span);

/** What a user says of himself: the same characters, at most LIMIT_ABOUT_CHARS code points and
 * LIMIT_ABOUT_BYTES bytes; may be empty. */
bool about_good(struct cq_span span);

/** What a group says of itself: UTF-8 of at most LIMIT_DESCRIPTION_CHARS code points and
 * LIMIT_DESCRIPTION_BYTES bytes, without controls (C0) but line ends and tabs; may be empty. */
bool description_good(struct cq_span span);

/** What a user began to write: the same characters, at most LIMIT_DRAFT_BYTES bytes; may be empty.
 */
bool draft_good(struct cq_span span);

/** A file's name: at most LIMIT_FILE_NAME_BYTES bytes of UTF-8 without what a display name may not
 * have (joiners are free) and without slashes and backslashes; may be empty. "photo" + U+202E +
 * "gpj.exe" would be shown as a picture's name. */
bool file_name_good(struct cq_span span);

/** What a user calls a device: the same characters, at most LIMIT_LABEL_BYTES bytes; may be
 * empty. */
bool device_label_good(struct cq_span span);
