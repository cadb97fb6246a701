/* SPDX-License-Identifier: MIT */
#include "lib/words/ask.h"

#include "lib/base/assert.h"

/* ---- terms ---------------------------------------------------------------------------- */

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Cut the next term off: what stands between quotes, or up to a space or a quote. A quote that is
 * never closed reaches to the end. `*ret_last` is outside; false: there is none. */
static bool next_term(struct cq_span text, size_t *at, size_t *ret_from, size_t *ret_to)
{
    bool is_quoted;

    while (*at < text.n && is_space(text.p[*at]))
        ++*at;
    if (*at == text.n)
        return false;
    is_quoted = text.p[*at] == '"';
    *at += is_quoted;
    *ret_from = *at;
    while (*at < text.n && text.p[*at] != '"' && (is_quoted || !is_space(text.p[*at])))
        ++*at;
    *ret_to = *at;
    if (is_quoted && *at < text.n)
        ++*at;
    return true;
}

/* Append the words of one term to those of the ask. */
static void add_words(struct words *words, const struct words *more)
{
    for (size_t i = 0; i < more->n; i++) {
        words->v[words->n] = more->v[i];
        words->v[words->n].at = (uint16_t)(more->v[i].at + words->bytes_n);
        words->n++;
    }
    memcpy(words->bytes + words->bytes_n, more->bytes, more->bytes_n);
    words->bytes_n += more->bytes_n;
}

/* ---- keys ----------------------------------------------------------------------------- */

enum { SCORE_PAIR = 7, SCORE_SINGLE = 3 };

struct scored {
    int64_t key;
    size_t score; /* the higher, the fewer texts have it, by and large */
};

/* Keep the best, the best one first, each once. */
static void add_key(struct ask *ask, struct scored best[ASK_KEYS_MAX], struct cq_span bytes,
                    size_t score)
{
    struct scored key = { words_key(bytes), score };

    for (size_t i = 0; i < ask->keys_n; i++) {
        struct scored other = best[i];

        if (other.key == key.key)
            return;
        if (key.score > other.score) {
            best[i] = key;
            key = other;
        }
    }
    if (ask->keys_n < ASK_KEYS_MAX)
        best[ask->keys_n++] = key;
}

static void add_keys(struct ask *ask, struct scored *best, const struct ask_term *term)
{
    const struct words *words = &ask->words;

    for (size_t i = term->from; i < term->to; i++) {
        struct cq_span word = words_at(words, i), head = words_head(words, i);
        bool is_last = i + 1u == term->to;

        if (words->v[i].single) {
            if (!is_last && words->v[i + 1].single)
                add_key(ask, best, words_pair(words, i), SCORE_PAIR);
            else if (term->to - term->from == 1)
                add_key(ask, best, word, SCORE_SINGLE);
        } else if (!is_last || !term->is_prefix) {
            add_key(ask, best, word, word.n);
        } else if (span_code_points(head) == WORDS_HEAD) {
            add_key(ask, best, head, 1);
        }
    }
}

static bool is_same(const struct ask *ask, size_t one, size_t other)
{
    return span_eq(words_at(&ask->words, one), words_at(&ask->words, other));
}

/* What Knuth, Morris and Pratt go by: of the words before each one of a term, how many stand at its
 * beginning as well. A last word that is only a beginning is never among them. */
static void find_back(struct ask *ask, const struct ask_term *term)
{
    size_t same = 0;

    ask->back[term->from] = 0;
    for (size_t i = term->from + 1u; i < term->to; i++) {
        ask->back[i] = (uint16_t)same;
        while (same && !is_same(ask, i, term->from + same))
            same = ask->back[term->from + same];
        same += is_same(ask, i, term->from + same);
    }
}

bool ask_parse(struct ask *ask, struct cq_span text)
{
    struct scored best[ASK_KEYS_MAX];
    struct words term;
    size_t at = 0, from, to;

    ask->words.n = ask->words.bytes_n = ask->terms_n = ask->keys_n = 0;
    ask->compared = 0;
    if (text.n > ASK_TEXT_BYTES)
        return false;
    while (next_term(text, &at, &from, &to)) {
        words_split(&term, span_of(text.p + from, to - from));
        if (!term.n)
            continue;
        if (ask->terms_n == ASK_TERMS_MAX)
            return false;
        ask->terms[ask->terms_n++] =
            (struct ask_term){ (uint16_t)ask->words.n, (uint16_t)(ask->words.n + term.n),
                               text.p[to - 1] == '*' };
        add_words(&ask->words, &term);
    }
    CQ_ASSERT(ask->words.n <= ASK_TEXT_BYTES, ask->words.n);
    for (size_t i = 0; i < ask->terms_n; i++) {
        add_keys(ask, best, &ask->terms[i]);
        find_back(ask, &ask->terms[i]);
    }
    for (size_t i = 0; i < ask->keys_n; i++)
        ask->keys[i] = best[i].key;
    return true;
}

/* ---- looking at a text ---------------------------------------------------------------- */

static bool has_term(struct ask *ask, const struct ask_term *term, const struct words *text)
{
    size_t at = 0, want = term->from;

    while (at < text->n && want < term->to) {
        struct cq_span wanted = words_at(&ask->words, want), is = words_at(text, at);

        ask->compared++;
        if (term->is_prefix && want + 1u == term->to && is.n > wanted.n)
            is.n = wanted.n;
        if (span_eq(wanted, is)) {
            at++;
            want++;
        } else if (want == term->from) {
            at++;
        } else {
            want = term->from + ask->back[want];
        }
    }
    return want == term->to;
}

bool ask_fits(struct ask *ask, const struct words *text)
{
    for (size_t i = 0; i < ask->terms_n; i++)
        if (!has_term(ask, &ask->terms[i], text))
            return false;
    return true;
}
