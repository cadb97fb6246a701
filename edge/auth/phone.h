/* SPDX-License-Identifier: MIT */
/*
 * edge/auth/phone.h - phone numbers in E.164 form, and the user ids derived from them (pure).
 */
#pragma once

#include "lib/base/id.h"

enum { PHONE_MAX = 16 /* '+' and 15 digits, ITU-T E.164 */ };

/** `+` and 8 to 15 digits into `out`; spaces, dots, dashes and brackets are dropped, a leading 00
 * is a plus. False for anything else. */
CQ_MUST_CHECK bool phone_normalize(struct cq_span text, char out[PHONE_MAX + 1]);

/** UUIDv8 of HMAC-SHA256(pepper, number ‖ generation): the same person every time, no way back. */
struct cq_id phone_user_id(struct cq_span pepper, const char *number, int32_t generation);
