/* SPDX-License-Identifier: MIT */
/*
 * lib/bus/proof.h - how far the outputs of a stage reached when it committed its input. A commit can
 * outlive outputs that were not on the disk when the power went. The proof beside it shows that, and
 * where the stage has to begin again to make them once more. It stands in front of the text of the
 * commit, behind what lib/bus/suspect.h writes there. Pure.
 *
 *     =<n><ends now><earlier><ends then>;        numbers packed as in lib/bus/frontier.h
 *
 * `now` belongs to the committed offset. `earlier` is a place of some seconds before: all that was
 * made from records before it ended at `ends then`, and is on the disk in all likelihood. Whoever
 * finds that the logs reach these ends has proved it.
 */
#pragma once

#include "lib/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum { PROOF_OUTPUTS_MAX = 16, PROOF_TEXT_MAX = 320 };

struct proof {
    int n;
    int64_t now
        [PROOF_OUTPUTS_MAX]; /* one past the last record that is known to be stored; 0: no claim */
    int64_t earlier;         /* an offset of the input, -1: none */
    int64_t then[PROOF_OUTPUTS_MAX]; /* the same when everything before `earlier` had been made */
};

#define PROOF_NONE ((struct proof){ .earlier = -1 })

/** Take the front off a commit's text; returns the rest of it. All of it, and PROOF_NONE, when
 * there is no such front, or it speaks of another number of outputs than `n`. */
const char *proof_parse(const char *text, int n, struct proof *ret);

/** Write the front; nothing when there is no claim. Returns its length, less than PROOF_TEXT_MAX. */
size_t proof_format(const struct proof *proof, char out[PROOF_TEXT_MAX]);

/** Where the stage must begin so that nothing is missing, when its outputs end at `ends` and it has
 * committed `committed`: there, or earlier, or -1: further back than the proof knows. */
int64_t proof_begin(const struct proof *proof, const int64_t *ends, int64_t committed);

/** Whether an output ends before `now`. */
bool proof_is_cut(const struct proof *proof, const int64_t *ends);
