/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/look.h - run chasqui-thumbnail on one file: a process of its own for each, which may
 * crash, hang or be taken over without harm to this one.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/status.h"

enum { LOOK_FAULT_MAX = 128, LOOK_THUMBNAIL_MAX = 1024 * 1024 };

struct look_found {
    int32_t width, height;
    int64_t duration_ms;
    char fault[LOOK_FAULT_MAX]; /* "": it was understood */
};

/**
 * Look into the file on `fd` of the media type `type`. `thumbnail` gets a JPEG or stays empty.
 * Blocks for 20 s at most. CQ_OK: `ret` is set, if only with a fault. CQ_AGAIN: no process could be
 * started.
 */
CQ_MUST_CHECK enum cq_status look_into(const char *program, int fd, const char *type,
                                       int64_t megapixels_max, struct look_found *ret,
                                       struct cq_buf *thumbnail);
