/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/length_kinds.h - what the files of length.h share.
 */
#pragma once

#include "sinks/media/length.h"

/** The number of `n` bytes, at most 8, at `p`, the highest first. */
uint64_t length_big(const uint8_t *p, int n);

/** False when they are not all there, wherever `at` is. */
bool length_get(const struct length_source *source, int64_t at, void *to, size_t n);

/** `units` of which `per_s` are a second; what nobody would believe is left out. */
void length_set_duration(struct length *ret, double units, double per_s);
void length_set_sides(struct length *ret, uint64_t width, uint64_t height);

/** MP4 and its relatives: QuickTime, 3GPP (ISO/IEC 14496-12). */
void length_find_mp4(const struct length_source *source, struct length *ret);
