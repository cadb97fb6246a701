/* SPDX-License-Identifier: MIT */
/*
 * A question, a zero byte, and a text. Whatever the bytes: words are within their bounds, are folded
 * once and for all, and a text that fits has every key by which it is looked for.
 */
#include "lib/words/ask.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static bool has_key(const int64_t *keys, size_t n, int64_t key)
{
    size_t i = 0;

    while (i < n && keys[i] != key)
        i++;
    return i < n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct ask ask;
    static struct words text, again;
    static int64_t keys[WORDS_KEYS_MAX];
    const uint8_t *zero = n ? memchr(data, 0, n) : NULL;
    size_t asked_n = zero ? (size_t)(zero - data) : n, keys_n;
    struct cq_span said = zero ? span_of(zero + 1, n - asked_n - 1) : span_of("", 0);

    words_split(&text, said);
    for (size_t i = 0; i < text.n && i < 64; i++) {
        words_split(&again, words_at(&text, i));
        MUST(again.n == 1 && span_eq(words_at(&again, 0), words_at(&text, i)));
    }
    keys_n = words_keys(&text, keys);
    MUST(keys_n <= WORDS_KEYS_MAX);
    if (!ask_parse(&ask, span_of(data, asked_n)) || !ask_fits(&ask, &text))
        return 0;
    for (size_t i = 0; i < ask.keys_n; i++)
        MUST(has_key(keys, keys_n, ask.keys[i]));
    return 0;
}
