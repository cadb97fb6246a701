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

/** 1 to 100 code points of UTF-8 without control characters. */
bool display_name_good(struct cq_span s);
