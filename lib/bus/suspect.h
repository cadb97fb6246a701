/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/suspect.h - what the holder of a partition leaves for its successor, so that a record
 * that kills the process is found and dead-lettered (hold.h). It is written in front of the text of
 * the partition's commit. Pure.
 *
 *     !<starts>,<record>,<kills>;                      … and, where two records have notes:
 *     !<starts>,<record>,<kills>,<record>,<kills>;     the one being stepped, and the suspect
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SUSPECT_STARTS = 2, SUSPECT_KILLS = 3, SUSPECT_TEXT_MAX = 64 };

struct suspect {
    int32_t starts;      /* at this offset without progress, this one included once it is noted */
    int64_t at;          /* record that is being stepped, -1: none … */
    int32_t kills;       /* … and the notes about it, this one included */
    int64_t worst_at;    /* record whose note was found at a start: the suspect … */
    int32_t worst_kills; /* … and at how many starts; 0: there is no suspect */
};

#define SUSPECT_NONE ((struct suspect){ .at = -1, .worst_at = -1 })

/** Take the front off a commit's text; returns the rest of it (all of it when there is no such
 * front, and `*ret` is then SUSPECT_NONE). */
const char *suspect_parse(const char *text, struct suspect *ret);

/** Write the front; nothing for SUSPECT_NONE. Returns its length, less than SUSPECT_TEXT_MAX. */
size_t suspect_format(const struct suspect *suspect, char out[SUSPECT_TEXT_MAX]);

/** A start found this: the record that was being stepped is the suspect now, unless another one has
 * more notes. */
void suspect_found(struct suspect *suspect);

/** Its step begins: the note that is to be written about `at`. */
void suspect_enter(struct suspect *suspect, int64_t at);

/** Its step has ended; with `lived` the record is no suspect any more. */
void suspect_leave(struct suspect *suspect, bool lived);

/** Everything below `next` is done, and no suspect. */
void suspect_passed(struct suspect *suspect, int64_t next);
