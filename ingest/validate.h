/* SPDX-License-Identifier: MIT */
/*
 * ingest/validate.h - the bounds an action must keep to enter the log (pure).
 */
#pragma once

#include "schemas/records.gen.h"

/** NULL when `a` may enter, else the static name of the field that breaks a bound. */
const char *validate_chat(const struct chat_action *a);
const char *validate_user(const struct user_action *a);
const char *validate_push(const struct push_address *a);

/** 1 to 64 printable ASCII characters without space. */
bool client_id_good(struct cq_span s);

/** A name that others see, of a user or a group: valid UTF-8 of 1 to LIMIT_NAME_CHARS code points
 * and at most LIMIT_NAME_BYTES bytes, with at least one visible character. No controls (C0,
 * DEL, C1), no line or paragraph separators, no direction embeddings, overrides or isolates. ZWJ
 * and ZWNJ only behind a character that they can join. */
bool display_name_good(struct cq_span s);

/** A file's name: at most LIMIT_FILE_NAME_BYTES bytes of UTF-8 without what a display name may not
 * have (joiners are free) and without slashes and backslashes; may be empty. "photo" + U+202E +
 * "gpj.exe" would be shown as a picture's name. */
bool file_name_good(struct cq_span s);

/** What a user calls a device: the same characters, at most LIMIT_LABEL_BYTES bytes; may be
 * empty. */
bool device_label_good(struct cq_span s);
