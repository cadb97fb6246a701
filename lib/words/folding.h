/* SPDX-License-Identifier: MIT */
/*
 * lib/words/folding.h - what words.c asks of Unicode. All tables are in the order of code points.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct words_range {
    uint32_t first, last;
};

extern const struct words_range words_dropped[]; /* as if they were not there */
extern const size_t words_dropped_n;
extern const struct words_range words_single[]; /* each is a word */
extern const size_t words_single_n;
extern const struct words_range words_letters[]; /* parts of words, from U+0080 on */
extern const size_t words_letters_n;

struct words_fold {
    uint32_t from;
    uint32_t to[3]; /* up to a zero; in UTF-8 at most twice as long as `from` */
};

extern const struct words_fold words_folds[];
extern const size_t words_folds_n;
