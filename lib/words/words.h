/* SPDX-License-Identifier: MIT */
/*
 * lib/words/words.h - a text as the words that it is found by, in whatever language, and the keys
 * that an index keeps of it. Pure. Whoever writes an index and whoever reads it split by this code,
 * so a change of it needs the index made anew (docs/operations.md).
 *
 * Letters are folded: no case, no accents, wide forms as narrow ones. A word is a run of letters and
 * digits. Where people write without spaces (Chinese, Japanese, Korean, Thai, …), and of signs such
 * as emoji, each character is a word: what is looked for there is a run of them, which has to stand
 * one behind the other. Bytes that are no UTF-8 separate words.
 */
#pragma once

#include "lib/base/span.h"

#include <stdbool.h>

enum {
    WORDS_TEXT_BYTES = 1024, /* of a text: what stands behind is not looked at */
    WORDS_MAX = WORDS_TEXT_BYTES,
    WORDS_BYTES = 2 * WORDS_TEXT_BYTES,
    WORDS_HEAD = 3, /* characters of a longer word that are a key, too: beginnings of words */
    /* Of a text: no word is shorter than a byte and what separates it, and no single one than two. */
    WORDS_KEYS_MAX = 2 * WORDS_MAX,
};

struct word {
    uint16_t at, n; /* its bytes, folded */
    bool single;    /* a character for itself */
};

struct words {
    size_t n;
    size_t bytes_n;
    struct word v[WORDS_MAX];
    uint8_t bytes[WORDS_BYTES]; /* one word behind the other */
};

/** Split the first WORDS_TEXT_BYTES of a text. Any bytes will do. */
void words_split(struct words *words, struct cq_span text);

static inline struct cq_span words_at(const struct words *words, size_t i)
{
    return span_of(words->bytes + words->v[i].at, words->v[i].n);
}

/** A key of an index: of a word, of the first characters of one, or of two single ones that follow
 * each other. Different ones may have the same key, so what it finds has to be looked at. */
int64_t words_key(struct cq_span bytes);

/** The key of something that a message has and no text can have: "" says that there is a message,
 * any other word is the kind of its file. */
int64_t words_mark(const char *what);

/** The first WORDS_HEAD characters of word `i`; all of a shorter one. */
struct cq_span words_head(const struct words *words, size_t i);

/** Word `i` and the next, which are single ones. */
struct cq_span words_pair(const struct words *words, size_t i);

/** All keys of a text, each once, in order. Returns how many. */
size_t words_keys(const struct words *words, int64_t keys[WORDS_KEYS_MAX]);
