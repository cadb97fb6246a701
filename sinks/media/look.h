/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/look.h - run chasqui-thumbnail on one file: a process of its own for each, which may
 * crash, hang or be taken over without harm to this one.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/status.h"

#include <stdatomic.h>

enum { LOOK_FAULT_MAX = 128, LOOK_THUMBNAIL_MAX = 1024 * 1024, LOOK_LONGEST_MS = 20 * 1000 };

enum look_end {
    LOOK_SAID,     /* it said what it found, or what is wrong with the file */
    LOOK_LIMIT,    /* it used up its time, and was ended */
    LOOK_FILTERED, /* it tried what no picture needs, and was ended by its seccomp filter */
    LOOK_KILLED,   /* it was killed by somebody else, or crashed; another try may go well */
};

struct look_found {
    int32_t width, height;
    int64_t duration_ms;
    char fault[LOOK_FAULT_MAX]; /* "": it was understood */
    enum look_end end;
    int64_t cpu_ms; /* that it used */
};

/**
 * Look into the file on `fd` of the media type `type`. `thumbnail` gets a JPEG or stays empty.
 * Blocks for LOOK_LONGEST_MS at most, and less than 200 ms once `*stop` (NULL: never) is true.
 * CQ_OK: `ret` is set, if only with a fault. CQ_AGAIN: no process could be started, or `*stop`.
 */
CQ_MUST_CHECK enum cq_status look_into(const char *program, int fd, const char *type,
                                       int64_t megapixels_max, const atomic_bool *stop,
                                       struct look_found *ret, struct cq_buf *thumbnail);
