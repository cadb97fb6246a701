/* SPDX-License-Identifier: MIT */
/*
 * edge/rest/server/answer.h - what a call answers: errors in one form, headers, the status.
 */
#pragma once

#include "edge/rest/server/call.h"

/** Reply with the error form. `code` is static, and never changes its meaning; the text, which
 * printf() makes, is for people: less than CALL_TEXT_MAX bytes. */
__attribute__((format(printf, 4, 5))) enum call_next
call_error(struct call *call, int status, const char *code, const char *format, ...);
__attribute__((format(printf, 2, 3))) enum call_next call_bad_request(struct call *call,
                                                                      const char *format, ...);
enum call_next call_not_found(struct call *call);

/** 500: a mistake of ours, or no memory. */
enum call_next call_internal(struct call *call);

/** What the status of the last statement means for the client: 503 when the database is away or the
 * view is being filled, 500 for a bug of ours. */
enum call_next call_database(struct call *call, enum cq_status st);

/** 503: schema auth is being restored (edge/auth/doors.h). */
enum call_next call_doors_closed(struct call *call);

/** 503: the view is being filled from the log. */
enum call_next call_view_incomplete(struct call *call);

/** Unknown outcome or a view that is late: 503, ask again. */
enum call_next call_unavailable(struct call *call, const char *message);

/** The broker did not say whether it is stored: 503, send the same again. */
enum call_next call_unknown(struct call *call);

/** Add a header to the reply; `name` is static, `value` is copied. */
void call_header(struct call *call, const char *name, struct cq_span value);
void call_header_i64(struct call *call, const char *name, int64_t value);

/** 429, with Retry-After from `wait_ms`. `message` (static) says what is used up. */
enum call_next call_limited(struct call *call, int64_t wait_ms, const char *message);

/** Reply 2xx with what is in call->reply.body. */
enum call_next call_reply(struct call *call, int status);
