/* SPDX-License-Identifier: MIT */
#include "lib/words/words.h"

#include "lib/base/assert.h"
#include "lib/base/hash.h"
#include "lib/words/folding.h"

#include <stdlib.h>

/* ---- characters ----------------------------------------------------------------------- */

enum { NOT_UTF8 = 0xFFFFFFFF };

/* The character at the beginning of `text`, and its bytes; one byte of what is none. */
static uint32_t take_char(struct cq_span text, size_t *ret_n)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t lead = text.p[0];
    size_t n = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    uint32_t cp = n == 1 ? lead : lead & (0x7Fu >> n);

    *ret_n = 1;
    if (n == 1)
        return lead;
    if (lead < 0xC2 || lead > 0xF4 || n > text.n)
        return NOT_UTF8;
    for (size_t i = 1; i < n; i++) {
        if ((text.p[i] & 0xC0) != 0x80)
            return NOT_UTF8;
        cp = cp << 6 | (text.p[i] & 0x3Fu);
    }
    if (cp < least[n] || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
        return NOT_UTF8;
    *ret_n = n;
    return cp;
}

static int order_in_range(const void *key, const void *item)
{
    const uint32_t *cp = key;
    const struct words_range *range = item;

    return *cp < range->first ? -1 : *cp > range->last;
}

static bool is_within(uint32_t cp, const struct words_range *ranges, size_t n)
{
    return bsearch(&cp, ranges, n, sizeof *ranges, order_in_range) != NULL;
}

static int order_fold(const void *key, const void *item)
{
    const uint32_t *cp = key;
    const struct words_fold *fold = item;

    return *cp < fold->from ? -1 : *cp > fold->from;
}

enum kind { KIND_BETWEEN, KIND_LETTER, KIND_SINGLE };

static enum kind kind_of(uint32_t cp)
{
    if (cp < 0x80)
        return (cp >= 'a' && cp <= 'z') || (cp >= '0' && cp <= '9') ? KIND_LETTER : KIND_BETWEEN;
    if (is_within(cp, words_single, words_single_n))
        return KIND_SINGLE;
    return is_within(cp, words_letters, words_letters_n) ? KIND_LETTER : KIND_BETWEEN;
}

/* ---- splitting ------------------------------------------------------------------------ */

static size_t put_char(uint32_t cp, uint8_t out[4])
{
    size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

    if (n == 1) {
        out[0] = (uint8_t)cp;
        return 1;
    }
    for (size_t i = n; i-- > 1; cp >>= 6)
        out[i] = (uint8_t)(0x80 | (cp & 0x3F));
    out[0] = (uint8_t)(0xF00u >> n | cp);
    return n;
}

/* One folded character. `*in_word`: the last word goes on. */
static void add_char(struct words *words, uint32_t cp, bool *in_word)
{
    enum kind kind = kind_of(cp);
    struct word *word = &words->v[words->n];
    uint8_t utf8[4];
    size_t n;

    if (kind == KIND_BETWEEN) {
        *in_word = false;
        return;
    }
    n = put_char(cp, utf8);
    CQ_ASSERT(words->bytes_n + n <= WORDS_BYTES, words->bytes_n, n);
    if (kind == KIND_LETTER && *in_word) {
        words->v[words->n - 1].n = (uint16_t)(words->v[words->n - 1].n + n);
    } else {
        CQ_ASSERT(words->n < WORDS_MAX, words->n);
        *word = (struct word){ (uint16_t)words->bytes_n, (uint16_t)n, kind == KIND_SINGLE };
        words->n++;
    }
    memcpy(words->bytes + words->bytes_n, utf8, n);
    words->bytes_n += n;
    *in_word = kind == KIND_LETTER;
}

void words_split(struct words *words, struct cq_span text)
{
    bool in_word = false;

    words->n = words->bytes_n = 0;
    if (text.n > WORDS_TEXT_BYTES)
        text.n = WORDS_TEXT_BYTES;
    while (text.n) {
        size_t n;
        uint32_t cp = take_char(text, &n);
        const struct words_fold *fold = NULL;

        text = span_of(text.p + n, text.n - n);
        if (cp >= 'A' && cp <= 'Z')
            cp |= 0x20;
        if (cp >= 0x80 && cp != NOT_UTF8) {
            if (is_within(cp, words_dropped, words_dropped_n))
                continue;
            fold = bsearch(&cp, words_folds, words_folds_n, sizeof *words_folds, order_fold);
        }
        if (!fold)
            add_char(words, cp, &in_word);
        for (size_t i = 0; fold && i < ARRAY_LEN(fold->to) && fold->to[i]; i++)
            add_char(words, fold->to[i], &in_word);
    }
}

/* ---- keys ----------------------------------------------------------------------------- */

/* No folded text has this byte. */
enum { MARK_BEGINS = 1, MARK_BYTES = 32 };

int64_t words_key(struct cq_span bytes)
{
    return (int64_t)fingerprint64(bytes.p, bytes.n);
}

int64_t words_mark(const char *what)
{
    uint8_t bytes[MARK_BYTES] = { MARK_BEGINS };
    size_t n = strlen(what);

    CQ_ASSERT(n < sizeof bytes, n);
    memcpy(bytes + 1, what, n);
    return words_key(span_of(bytes, n + 1));
}

struct cq_span words_head(const struct words *words, size_t i)
{
    struct cq_span word = words_at(words, i), rest = word;

    for (int n = 0; rest.n && n < WORDS_HEAD; n++) {
        size_t bytes;

        take_char(rest, &bytes);
        rest = span_of(rest.p + bytes, rest.n - bytes);
    }
    return span_of(word.p, word.n - rest.n);
}

struct cq_span words_pair(const struct words *words, size_t i)
{
    CQ_ASSERT(i + 1 < words->n && words->v[i].single && words->v[i + 1].single, i, words->n);
    return span_of(words->bytes + words->v[i].at, (size_t)words->v[i].n + words->v[i + 1].n);
}

static int order_keys(const void *one, const void *other)
{
    const int64_t *a = one, *b = other;

    return (*a > *b) - (*a < *b);
}

size_t words_keys(const struct words *words, int64_t keys[WORDS_KEYS_MAX])
{
    size_t n = 0, distinct = 0;

    for (size_t i = 0; i < words->n; i++) {
        bool is_pair = words->v[i].single && i + 1 < words->n && words->v[i + 1].single;

        CQ_ASSERT(n + 2 <= WORDS_KEYS_MAX, n);
        keys[n++] = words_key(words_at(words, i));
        if (is_pair)
            keys[n++] = words_key(words_pair(words, i));
        else if (!words->v[i].single)
            keys[n++] = words_key(words_head(words, i));
    }
    qsort(keys, n, sizeof *keys, order_keys);
    for (size_t i = 0; i < n; i++)
        if (!i || keys[i] != keys[i - 1])
            keys[distinct++] = keys[i];
    return distinct;
}
