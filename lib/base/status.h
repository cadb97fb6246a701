/* SPDX-License-Identifier: MIT */
/*
 * lib/base/status.h - what the caller does next. The log says what went wrong.
 */
#pragma once

enum cq_status {
    CQ_OK = 0,
    CQ_AGAIN,  /* transient: keep the offset, back off, try the same again */
    CQ_POISON, /* can never succeed: dead-letter this input, go on with the next */
    CQ_FATAL,  /* this process cannot go on: exit 1, be restarted */
};

#define CQ_MUST_CHECK __attribute__((warn_unused_result))
#define CQ_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/** Static lower-case word for logs: "ok", "again", "poison", "fatal". */
const char *cq_status_name(enum cq_status st);
