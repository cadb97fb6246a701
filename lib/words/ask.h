/* SPDX-License-Identifier: MIT */
/*
 * lib/words/ask.h - what a person looks for: terms, of which a text has to have every one. A term is
 * a word, or a phrase in quotes, whose words stand one behind the other; with * at its end the last
 * word is only a beginning. What a term has that separates words makes it a phrase: don't, 3.14. Pure.
 */
#pragma once

#include "lib/base/status.h"
#include "lib/words/words.h"

enum {
    ASK_TEXT_BYTES = 256,
    ASK_TERMS_MAX = 8,
    ASK_KEYS_MAX = 16, /* that narrow the search; further words are looked for in the texts alone */
};

struct ask_term {
    uint16_t from, to; /* words, the last one outside */
    bool is_prefix;
};

struct ask {
    struct words words;
    uint16_t back[ASK_TEXT_BYTES]; /* of each word of a term: how many before it begin it, too */
    size_t compared;               /* words with words, since it was parsed */
    size_t terms_n;
    struct ask_term terms[ASK_TERMS_MAX];
    size_t keys_n;
    int64_t
        keys[ASK_KEYS_MAX]; /* a text that fits has all of them; the first is likely the rarest */
};

/** False: more than ASK_TEXT_BYTES, or more than ASK_TERMS_MAX terms. What has no letter and no sign
 * is no term, so an ask may have none. */
CQ_MUST_CHECK bool ask_parse(struct ask *ask, struct cq_span text);

/** Whether a text has every term. An ask without terms fits every text. It compares less than 2 * text->n words for a term. */
bool ask_fits(struct ask *ask, const struct words *text);
