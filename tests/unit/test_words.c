/* SPDX-License-Identifier: MIT */
#include "lib/words/ask.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

static struct words words;
static struct ask ask;

/* The words of a text, a space between two. */
static const char *split(const char *text)
{
    static char out[2 * WORDS_BYTES];
    size_t n = 0;

    words_split(&words, span_str(text));
    for (size_t i = 0; i < words.n; i++) {
        struct cq_span word = words_at(&words, i);

        if (i)
            out[n++] = ' ';
        memcpy(out + n, word.p, word.n);
        n += word.n;
    }
    out[n] = '\0';
    return out;
}

static bool finds(const char *asked, const char *text)
{
    if (!ask_parse(&ask, span_str(asked)))
        return false;
    words_split(&words, span_str(text));
    return ask_fits(&ask, &words);
}

TEST(letters_are_folded)
{
    CHECK_STR(split("Crème BRÛLÉE, s'il-vous plaît!"), "creme brulee s il vous plait");
    CHECK_STR(split("Straße Łódź Ørsted ǅ"), "strasse lodz orsted dz");
    CHECK_STR(split("\u0130stanbul \u0131lık"), "istanbul ilik");
    CHECK_STR(split("Ёлка ΟΔΟΣ οδος"), "елка οδοσ οδοσ");
    CHECK_STR(split("ＦＵＬＬ\uff11 ½ ﬃ"), "full1 1 2 ffi");
    CHECK_STR(split("cafe\u0301 so\u00adft zero\u200bwidth"), "cafe soft zerowidth");
    CHECK_STR(split("\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u0627"), "مرحبا");
    CHECK_STR(split("हिन्दी भाषा"), "हिन्दी भाषा");
    CHECK_STR(split("..., -- \t\n"), "");
}

TEST(what_is_written_without_spaces_is_a_word_a_character)
{
    CHECK_STR(split("東京tower へ"), "東 京 tower へ");
    CHECK_STR(split("학교에"), "학 교 에");
    CHECK_STR(split("ไทย"), "ไ ท ย");
    CHECK_STR(split("ok\U0001F44D\U0001F3FD\ufe0f!"), "ok \U0001F44D");
}

TEST(a_text_is_found_by_words_beginnings_and_phrases)
{
    CHECK(finds("brulee creme", "Crème brûlée"));
    CHECK(!finds("brulee torte", "Crème brûlée"));
    CHECK(!finds("brul", "Crème brûlée"));
    CHECK(finds("BRUL*", "Crème brûlée"));
    CHECK(finds("\"good morn*", "a Good, morning to you"));
    CHECK(!finds("\"good morning\"", "good early morning"));
    CHECK(!finds("\"morning good\"", "good morning"));
    CHECK(finds("don't", "I don't know"));
    CHECK(!finds("don't", "t don"));
    CHECK(finds("3.14", "about 3.14159 and 3.14"));
    CHECK(!finds("\"a a b\"", "a a"));
    CHECK(finds("\"a a b\"", "a a a b"));
    CHECK(finds("京都", "東京都"));
    CHECK(!finds("都京", "東京都"));
    CHECK(finds("京", "東京都"));
    CHECK(finds("tower東", "a Tower東京"));
    CHECK(finds("학교", "학교에 간다"));
    CHECK(finds("\U0001F44D", "great \U0001F44D\U0001F3FF"));
    CHECK(finds("", "anything") && !ask.terms_n);
    CHECK(finds("*", "anything") && !ask.terms_n);
    CHECK(finds("\"\" \" - \" a", "a") && ask.terms_n == 1);
}

TEST(an_ask_has_bounds)
{
    char text[ASK_TEXT_BYTES + 2];

    memset(text, 'a', sizeof text);
    text[ASK_TEXT_BYTES] = '\0';
    CHECK(ask_parse(&ask, span_str(text)));
    text[ASK_TEXT_BYTES] = 'a';
    CHECK(!ask_parse(&ask, span_of(text, ASK_TEXT_BYTES + 1)));
    CHECK(ask_parse(&ask, span_str("a b c d e f g h")));
    CHECK(!ask_parse(&ask, span_str("a b c d e f g h i")));
}

/* A phrase that almost stands at every word of the longest text: each word is looked at a few times. */
TEST(a_look_at_a_text_is_linear)
{
    char asked[ASK_TEXT_BYTES + 1], text[WORDS_TEXT_BYTES + 1];

    for (size_t i = 0; i < WORDS_TEXT_BYTES; i++)
        text[i] = i % 2 ? ' ' : 'a';
    text[WORDS_TEXT_BYTES] = '\0';
    memcpy(asked, text, ASK_TEXT_BYTES);
    asked[0] = '"';
    asked[1] = ' ';
    asked[ASK_TEXT_BYTES - 2] = 'b';
    asked[ASK_TEXT_BYTES] = '\0';
    CHECK(!finds(asked, text) && words.n == WORDS_TEXT_BYTES / 2);
    CHECK(ask.compared > words.n && ask.compared < 2 * words.n);
    text[WORDS_TEXT_BYTES - 2] = 'b';
    CHECK(finds(asked, text) && ask.compared < 2 * words.n);
}

/* The same answer as a look at every place. */
TEST(phrases_that_begin_again_are_found)
{
    static const char *const pieces[] = { "a", "b", "ab" };
    unsigned seed = 3;

    for (int round = 0; round < 20000; round++) {
        const char *end = rand_r(&seed) % 2 ? "*" : " ";
        char asked[64] = "\" ", text[64] = " ", run[64];
        int asked_n = 2, n = 1;

        for (int left = 1 + rand_r(&seed) % 6; left; left--)
            asked_n += snprintf(asked + asked_n, 4, "%s%s", pieces[rand_r(&seed) % 3],
                                left > 1 ? " " : end);
        for (int left = rand_r(&seed) % 12; left; left--)
            n += snprintf(text + n, 4, "%s ", pieces[rand_r(&seed) % 3]);
        memcpy(run, asked, sizeof run);
        run[*end == '*' ? asked_n - 1 : asked_n] = '\0';
        CHECK(finds(asked, text) == (strstr(text, run + 1) != NULL));
    }
}

static bool has_key(const int64_t *keys, size_t n, int64_t key)
{
    for (size_t i = 0; i < n; i++)
        if (keys[i] == key)
            return true;
    return false;
}

/* What makes an index sound: a text that fits has every key that the ask names. */
static bool keys_lead_there(const char *asked, const char *text)
{
    static int64_t keys[WORDS_KEYS_MAX];
    size_t n;

    if (!finds(asked, text))
        return false;
    n = words_keys(&words, keys);
    for (size_t i = 0; i < ask.keys_n; i++)
        if (!has_key(keys, n, ask.keys[i]))
            return false;
    return true;
}

TEST(a_text_that_fits_has_all_keys)
{
    CHECK(keys_lead_there("brul* creme", "Crème brûlée"));
    CHECK(ask.keys_n == 2 && ask.keys[0] == words_key(span_str("creme")));
    CHECK(keys_lead_there("br*", "Crème brûlée") && ask.keys_n == 0);
    CHECK(keys_lead_there("bru*", "bru"));
    CHECK(keys_lead_there("京都", "東京都") && ask.keys_n == 1);
    CHECK(keys_lead_there("京", "東京都") && ask.keys_n == 1);
    CHECK(keys_lead_there("tower東京", "Tower東京都"));
    CHECK(keys_lead_there("\"東 京\"", "東-京"));
    CHECK(keys_lead_there("\"one two thr*\" 東京*", "東京 one two three"));
}

/* ---- hostile texts -------------------------------------------------------------------- */

/* Every character there is, several times: what it becomes is at most twice as long, and no more words
 * than bytes. That is what the room for a text is made for. */
TEST(no_character_makes_a_text_too_long)
{
    enum { TIMES = 8 };
    static int64_t keys[WORDS_KEYS_MAX];

    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
        uint8_t text[TIMES * 4];

        text[0] = (uint8_t)(n == 1 ? cp : (0xF00u >> n) | cp >> 6 * (n - 1));
        for (size_t i = 1; i < n; i++)
            text[i] = (uint8_t)(0x80 | (cp >> 6 * (n - 1 - i) & 0x3F));
        for (size_t i = n; i < TIMES * n; i++)
            text[i] = text[i - n];
        words_split(&words, span_of(text, TIMES * n));
        CHECK(words.n <= TIMES * n && words.bytes_n <= 2 * TIMES * n);
        CHECK(words_keys(&words, keys) <= 2 * words.n);
    }
}

/* Bytes from a seed: pieces of letters, of signs, of both halves of characters, quotes and stars. The
 * answer is the same each time, its words are folded already, and an ask that fits leads to the text. */
TEST(any_bytes_will_do)
{
    static const char *const pieces[] = { "a",           "\xC3",   "\xA9",     "é",    "\"",
                                          "*",           " ",      "\xF0",     "\x9F", "\U0001F600",
                                          "京",          "都",     "\xE4\xBA", "ß",    "\xFF",
                                          "ﬃ",           "\u0301", "\u200D",   "ไ",    "Z9",
                                          "\xED\xA0\x80" };
    static struct words again;
    static int64_t keys[WORDS_KEYS_MAX];
    unsigned seed = 7;

    for (int round = 0; round < 3000; round++) {
        char text[512], asked[64];
        size_t n = 0, asked_n = 0, keys_n;

        for (int left = rand_r(&seed) % 60; left; left--) {
            const char *piece = pieces[(size_t)rand_r(&seed) % (sizeof pieces / sizeof *pieces)];
            size_t piece_n = strlen(piece);

            memcpy(text + n, piece, piece_n);
            n += piece_n;
            if (asked_n + piece_n <= sizeof asked && rand_r(&seed) % 4 == 0) {
                memcpy(asked + asked_n, piece, piece_n);
                asked_n += piece_n;
            }
        }
        words_split(&words, span_of(text, n));
        for (size_t i = 0; i < words.n; i++) {
            words_split(&again, words_at(&words, i));
            CHECK(again.n == 1 && span_eq(words_at(&again, 0), words_at(&words, i)));
        }
        if (!ask_parse(&ask, span_of(asked, asked_n)) || !ask_fits(&ask, &words))
            continue;
        keys_n = words_keys(&words, keys);
        for (size_t i = 0; i < ask.keys_n; i++)
            CHECK(has_key(keys, keys_n, ask.keys[i]));
    }
}

TEST(what_stands_far_behind_is_not_looked_at)
{
    static char text[2 * WORDS_TEXT_BYTES];

    memset(text, '.', sizeof text);
    memcpy(text + WORDS_TEXT_BYTES - 5, "early", 5);
    memcpy(text + WORDS_TEXT_BYTES + 1, "late", 4);
    words_split(&words, span_of(text, sizeof text));
    CHECK(words.n == 1 && span_eq_str(words_at(&words, 0), "early"));
}

/* What one message can cost an index, as docs/limits.md says. */
TEST(a_text_of_different_characters_has_its_bound_of_keys)
{
    static int64_t keys[WORDS_KEYS_MAX];
    static char text[2 * WORDS_TEXT_BYTES];

    for (size_t i = 0; i + 3 < sizeof text; i += 3) {
        unsigned cp = 0x4E00 + (unsigned)(i / 3);

        text[i] = (char)(0xE0 | cp >> 12);
        text[i + 1] = (char)(0x80 | (cp >> 6 & 0x3F));
        text[i + 2] = (char)(0x80 | (cp & 0x3F));
    }
    words_split(&words, span_of(text, sizeof text));
    CHECK(words_keys(&words, keys) == 681);
}

TEST(a_mark_is_no_word)
{
    CHECK(words_mark("image") != words_key(span_str("image")));
    CHECK(words_mark("") != words_key(span_str("")));
}
