/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/suspect.h - what a stage leaves for its successor, so that a record that kills the
 * process is found and dead-lettered. It is written in front of the text of the partition's commit.
 *
 * After two starts at one offset without progress, the third is careful: it steps one record a
 * turn, with a note about it in the text of the commit during the step. A record whose note was
 * found three times at a start killed its process each time, and becomes a dead letter. (A process
 * that is killed from outside leaves a note only if that happens during such a step.) A note that
 * cannot be removed after its step, because the partition went to another owner or the broker is
 * away, is cancelled in the group chasqui-acquitted (stage.c). Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SUSPECT_STARTS = 2, SUSPECT_KILLS = 3, SUSPECT_TEXT_MAX = 64 };

struct suspect {
    int32_t starts; /* at this offset without progress, this one included once it is noted */
    int64_t at;     /* record that is being stepped, -1: none */
    int32_t kills;  /* notes about it: those found at starts, and one more while it is stepped */
};

/** Take the front off a commit's text; returns the rest of it (all of it when there is no such
 * front, and `*ret` is then the beginning). */
const char *suspect_parse(const char *text, struct suspect *ret);

/** Write the front; nothing for the beginning. Returns its length, less than SUSPECT_TEXT_MAX. */
size_t suspect_format(const struct suspect *s, char out[SUSPECT_TEXT_MAX]);
