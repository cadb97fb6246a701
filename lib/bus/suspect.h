/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/suspect.h - what a stage remembers over its own death, so that a record that kills the
 * process is found and dead-lettered. It travels in front of the text of the partition's commit.
 *
 * A start at an offset where two starts before it made no progress is careful: one record a turn,
 * and around each step a word in the commit's text. A record whose word was found there three times
 * killed its process each time, and is not stepped again. A process killed from outside leaves the
 * word only when that happened during the step itself. A word that cannot be taken back after its
 * step, because the partition went to somebody else or the broker is away, is said to count for
 * nothing in the group chasqui-acquitted (stage.c). Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SUSPECT_STARTS = 2, SUSPECT_KILLS = 3, SUSPECT_TEXT_MAX = 64 };

struct suspect {
    int32_t starts; /* at this offset without progress, this one included once it is noted */
    int64_t at;     /* record that is being stepped, -1: none */
    int32_t kills;  /* times its word was there at a start, and once more while it is stepped */
};

/** Take the front off a commit's text; returns the rest of it (all of it when there is no such
 * front, and `*ret` is then the beginning). */
const char *suspect_parse(const char *text, struct suspect *ret);

/** Write the front; nothing for the beginning. Returns its length, less than SUSPECT_TEXT_MAX. */
size_t suspect_format(const struct suspect *s, char out[SUSPECT_TEXT_MAX]);
