/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/length.h - how long audio and video are, and how large a picture they show, from
 * their containers alone. Reads through a function; every loop has a bound; nothing is decoded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct length_source {
    /** `n` bytes from `at` on into `to`; false when they are not all there. */
    bool (*read)(void *arg, int64_t at, void *to, size_t n);
    void *arg;
    int64_t size;
};

struct length {
    int64_t duration_ms; /* 0: unknown */
    int32_t width, height;
};

/** `type` is the media type by content. What cannot be understood stays 0. */
void length_find(const struct length_source *source, const char *type, struct length *ret);
